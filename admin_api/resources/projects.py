"""/projects."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from admin_api.config_state import ConfigState, Held
from admin_api.fields import LimitsPatch, Name, Page, time_of
from admin_api.resources.resource import Made, Making, Resource, Showing, obstacles, replaced
from schemas.budgets import Budget, scope_key
from schemas.tenancy import NO_LIMITS, ApiKey, EntityId, Limits, Project, VendorCredential


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`organization_id` may be left out with a management key that is bound to one."""

    project_id: EntityId | None = None
    organization_id: EntityId | None = None
    name: Name = ""
    zero_data_retention: bool = False
    limits: Limits = NO_LIMITS


class ProjectPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET
    zero_data_retention: bool | UnsetType = UNSET
    limits: LimitsPatch | UnsetType = UNSET


class ProjectView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    project_id: str
    organization_id: str
    name: str
    zero_data_retention: bool
    limits: Limits
    version: int
    updated_at: datetime


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[ProjectView, ...]
    next_cursor: str | None


class ProjectFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None


def _make(making: Making, body: NewProject) -> Made:
    return Made(
        Project(
            project_id=body.project_id or making.new_id("prj"),
            organization_id=making.organization_id(body.organization_id),
            name=body.name,
            zero_data_retention=body.zero_data_retention,
            limits=body.limits,
        )
    )


def _show(held: Held, _showing: Showing) -> ProjectView:
    assert isinstance(held.entity, Project)
    return ProjectView(
        **msgspec.structs.asdict(held.entity),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


def _obstacle(state: ConfigState, project: Project) -> str | None:
    here = project.project_id
    scope = scope_key(project.organization_id, "project", here)
    return obstacles(
        active_keys=[each.api_key_id for each in state.every(ApiKey) if each.project_id == here and not each.revoked],
        budgets=[each.budget_id for each in state.every(Budget) if each.scope == scope],
        vendor_credentials=[each.credential_id for each in state.every(VendorCredential) if each.project_id == here],
    )


PROJECTS = Resource(
    kind="project",
    path="/projects",
    id_param="project_id",
    new=NewProject,
    patch=ProjectPatch,
    view=ProjectView,
    page=ProjectPage,
    filters=ProjectFilters,
    make=_make,
    change=replaced,
    show=_show,
    obstacle=_obstacle,
)
