"""/customers: end customers of the user's own product."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from admin_api.config_state import Held
from admin_api.fields import Label, Name, Page, time_of
from admin_api.resources.resource import Made, Making, Resource, Showing, replaced
from schemas.tenancy import Customer, EntityId


class NewCustomer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`organization_id` may be left out with a management key that is bound to one."""

    customer_id: Label
    organization_id: EntityId | None = None
    name: Name = ""
    active: bool = True


class CustomerPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class CustomerView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    customer_id: str
    organization_id: str
    name: str
    active: bool
    version: int
    updated_at: datetime


class CustomerPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[CustomerView, ...]
    next_cursor: str | None


class CustomerFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    active: bool | None = None


def _make(making: Making, body: NewCustomer) -> Made:
    return Made(
        Customer(
            customer_id=body.customer_id,
            organization_id=making.organization_id(body.organization_id),
            name=body.name,
            active=body.active,
        )
    )


def _show(held: Held, _showing: Showing) -> CustomerView:
    assert isinstance(held.entity, Customer)
    return CustomerView(
        **msgspec.structs.asdict(held.entity),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


CUSTOMERS = Resource(
    kind="customer",
    path="/customers",
    id_param="customer_id",
    new=NewCustomer,
    patch=CustomerPatch,
    view=CustomerView,
    page=CustomerPage,
    filters=CustomerFilters,
    make=_make,
    change=replaced,
    show=_show,
    in_organization=True,
)
