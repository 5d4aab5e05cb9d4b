"""/management-keys: what this API is called with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from admin_api.config_state import ConfigState, Held
from admin_api.fields import Name, Page, Time, ms_of, optional_time_of, time_of
from admin_api.key_secrets import new_secret
from admin_api.operation import conflict
from admin_api.resources.api_keys import change_expiry
from admin_api.resources.resource import Made, Making, Resource, Showing
from schemas.tenancy import EntityId, ManagementKey, hash_api_key

Role = Literal["admin", "viewer"]


class NewManagementKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`organization_id`: all that the key may see and change; without it, everything. One that is made with a key of an
    organization is that organization's."""

    management_key_id: EntityId | None = None
    organization_id: EntityId | None = None
    role: Role = "admin"
    name: Name = ""
    expires_at: Time | None = None


class ManagementKeyPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Role | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET


class ManagementKeyView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret` is in the answer that made it and in no other."""

    management_key_id: str
    organization_id: str | None
    role: Role
    name: str
    revoked: bool
    expires_at: datetime | None
    previous_valid_until: datetime | None
    version: int
    updated_at: datetime
    secret: str | UnsetType = UNSET


class ManagementKeyPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[ManagementKeyView, ...]
    next_cursor: str | None


class ManagementKeyFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    revoked: bool | None = None


def _make(making: Making, body: NewManagementKey) -> Made:
    secret = new_secret(ManagementKey, making.random_bytes)
    organization_id = body.organization_id if body.organization_id is not None else making.caller.organization_id
    key = ManagementKey(
        management_key_id=body.management_key_id or making.new_id("mgk"),
        key_sha256=hash_api_key(secret),
        organization_id=organization_id,
        role=body.role,
        name=body.name,
        expires_at_ms=None if body.expires_at is None else ms_of(body.expires_at, "expires_at", making.now_ms),
    )
    return Made(key, secret)


def _change(key: ManagementKey, given: Mapping[str, Any], now_ms: int) -> ManagementKey:
    changed: ManagementKey = change_expiry(key, given, now_ms)
    return changed


def _show(held: Held, showing: Showing) -> ManagementKeyView:
    key = held.entity
    assert isinstance(key, ManagementKey)
    return ManagementKeyView(
        management_key_id=key.management_key_id,
        organization_id=key.organization_id,
        role=key.role,
        name=key.name,
        revoked=key.revoked,
        expires_at=optional_time_of(key.expires_at_ms),
        previous_valid_until=optional_time_of(key.previous_valid_until_ms),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
        secret=UNSET if showing.secret is None else showing.secret,
    )


def check_not_the_last(state: ConfigState, before: ManagementKey, after: ManagementKey | None) -> None:
    """Somebody must be left who can change everything, without an end in sight. Raises Refusal."""
    if not _rules(before) or (after is not None and _rules(after)):
        return
    if not any(_rules(key) for key in state.every(ManagementKey) if key.management_key_id != before.management_key_id):
        text = "This is the last admin key for the whole gateway that does not expire. Make another one first."
        raise conflict("last_admin_key", text)


def _rules(key: ManagementKey) -> bool:
    return key.organization_id is None and key.role == "admin" and not key.revoked and key.expires_at_ms is None


MANAGEMENT_KEYS = Resource(
    kind="management_key",
    path="/management-keys",
    id_param="management_key_id",
    new=NewManagementKey,
    patch=ManagementKeyPatch,
    view=ManagementKeyView,
    page=ManagementKeyPage,
    filters=ManagementKeyFilters,
    make=_make,
    change=_change,
    show=_show,
)
