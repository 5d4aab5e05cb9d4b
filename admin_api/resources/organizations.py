"""/organizations."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from admin_api.config_state import ConfigState, Held
from admin_api.fields import Name, Page, time_of
from admin_api.resources.resource import Made, Making, Resource, Showing, obstacles, replaced
from schemas.budgets import Budget
from schemas.tenancy import (
    Customer,
    EntityId,
    ManagementKey,
    Organization,
    Project,
    Tag,
    VendorCredential,
    Webhook,
)


class NewOrganization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    name: Name = ""


class OrganizationPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET


class OrganizationView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: str
    name: str
    version: int
    updated_at: datetime


class OrganizationPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[OrganizationView, ...]
    next_cursor: str | None


def _make(making: Making, body: NewOrganization) -> Made:
    return Made(Organization(organization_id=body.organization_id or making.new_id("org"), name=body.name))


def _show(held: Held, _showing: Showing) -> OrganizationView:
    assert isinstance(held.entity, Organization)
    return OrganizationView(
        organization_id=held.entity.organization_id,
        name=held.entity.name,
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


def _obstacle(state: ConfigState, organization: Organization) -> str | None:
    here = organization.organization_id
    return obstacles(
        projects=[each.project_id for each in state.every(Project) if each.organization_id == here],
        management_keys=[
            each.management_key_id
            for each in state.every(ManagementKey)
            if each.organization_id == here and not each.revoked
        ],
        customers=[each.customer_id for each in state.every(Customer) if each.organization_id == here],
        tags=[f"{each.key}={each.value}" for each in state.every(Tag) if each.organization_id == here],
        budgets=[each.budget_id for each in state.every(Budget) if each.organization_id == here],
        vendor_credentials=[
            each.credential_id for each in state.every(VendorCredential) if each.organization_id == here
        ],
        webhooks=[each.webhook_id for each in state.every(Webhook) if each.organization_id == here],
    )


ORGANIZATIONS = Resource(
    kind="organization",
    path="/organizations",
    id_param="organization_id",
    new=NewOrganization,
    patch=OrganizationPatch,
    view=OrganizationView,
    page=OrganizationPage,
    filters=Page,
    make=_make,
    change=replaced,
    show=_show,
    obstacle=_obstacle,
    whole_gateway=True,
)
