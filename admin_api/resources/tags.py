"""/tags: those that an organization wants to be known by name. An item's path ends in key=value."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from admin_api.config_state import Held
from admin_api.fields import Label, Name, Page, time_of
from admin_api.resources.resource import Made, Making, Resource, Showing, replaced
from schemas.tenancy import EntityId, Tag

TagKey = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[^=]*$")]


class NewTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`organization_id` may be left out with a management key that is bound to one."""

    key: TagKey
    value: Label
    organization_id: EntityId | None = None
    description: Name = ""


class TagPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    description: Name | UnsetType = UNSET


class TagView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: str
    key: str
    value: str
    description: str
    version: int
    updated_at: datetime


class TagPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[TagView, ...]
    next_cursor: str | None


class TagFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    key: TagKey | None = None


def _make(making: Making, body: NewTag) -> Made:
    return Made(
        Tag(
            organization_id=making.organization_id(body.organization_id),
            key=body.key,
            value=body.value,
            description=body.description,
        )
    )


def _show(held: Held, _showing: Showing) -> TagView:
    assert isinstance(held.entity, Tag)
    return TagView(
        **msgspec.structs.asdict(held.entity),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


TAGS = Resource(
    kind="tag",
    path="/tags",
    id_param="tag",
    new=NewTag,
    patch=TagPatch,
    view=TagView,
    page=TagPage,
    filters=TagFilters,
    make=_make,
    change=replaced,
    show=_show,
    in_organization=True,
)
