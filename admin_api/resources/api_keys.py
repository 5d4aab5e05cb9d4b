"""/keys: what clients call models with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from admin_api.config_state import ConfigState, Held
from admin_api.fields import Label, LimitsPatch, Name, Page, Time, ms_of, optional_time_of, time_of
from admin_api.key_secrets import new_secret
from admin_api.resources.resource import Made, Making, Resource, Showing, obstacles, replaced
from schemas.budgets import Budget
from schemas.tenancy import NO_LIMITS, ApiKey, EntityId, Limits, hash_api_key


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models`: what it may call; empty: everything. `customer_id`: all its requests are this customer's."""

    project_id: EntityId
    api_key_id: EntityId | None = None
    name: Name = ""
    expires_at: Time | None = None
    models: tuple[Label, ...] = ()
    customer_id: Label | None = None
    routing_policy: Label | None = None
    limits: Limits = NO_LIMITS


class ApiKeyPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models` is replaced as a whole; empty: everything. Null clears."""

    name: Name | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET
    models: tuple[Label, ...] | UnsetType = UNSET
    customer_id: Label | UnsetType | None = UNSET
    routing_policy: Label | UnsetType | None = UNSET
    limits: LimitsPatch | UnsetType = UNSET


class ApiKeyView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret` is in the answer that made it and in no other. `previous_valid_until`: after a rotation, until when the
    secret before is good."""

    api_key_id: str
    organization_id: str
    project_id: str
    name: str
    revoked: bool
    expires_at: datetime | None
    previous_valid_until: datetime | None
    models: tuple[str, ...]
    customer_id: str | None
    routing_policy: str | None
    limits: Limits
    version: int
    updated_at: datetime
    secret: str | UnsetType = UNSET


class ApiKeyPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[ApiKeyView, ...]
    next_cursor: str | None


class ApiKeyFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    project_id: EntityId | None = None
    customer_id: Label | None = None
    revoked: bool | None = None


def _make(making: Making, body: NewApiKey) -> Made:
    secret = new_secret(ApiKey, making.random_bytes)
    expires_at_ms = None if body.expires_at is None else ms_of(body.expires_at, "expires_at", making.now_ms)
    key = ApiKey(
        api_key_id=body.api_key_id or making.new_id("key"),
        project_id=body.project_id,
        key_sha256=hash_api_key(secret),
        name=body.name,
        expires_at_ms=expires_at_ms,
        models=body.models,
        customer_id=body.customer_id,
        routing_policy=body.routing_policy,
        limits=body.limits,
    )
    return Made(key, secret)


def change_expiry(key: Any, given: Mapping[str, Any], now_ms: int) -> Any:
    """A key's PATCH, of either kind of key."""
    fields = dict(given)
    if "expires_at" in fields:
        at = fields.pop("expires_at")
        fields["expires_at_ms"] = None if at is None else ms_of(at, "expires_at", now_ms)
    return replaced(key, fields, now_ms)


def _show(held: Held, showing: Showing) -> ApiKeyView:
    key = held.entity
    assert isinstance(key, ApiKey)
    return ApiKeyView(
        api_key_id=key.api_key_id,
        organization_id=held.organization_id,
        project_id=key.project_id,
        name=key.name,
        revoked=key.revoked,
        expires_at=optional_time_of(key.expires_at_ms),
        previous_valid_until=optional_time_of(key.previous_valid_until_ms),
        models=key.models,
        customer_id=key.customer_id,
        routing_policy=key.routing_policy,
        limits=key.limits,
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
        secret=UNSET if showing.secret is None else showing.secret,
    )


def _obstacle(state: ConfigState, key: ApiKey) -> str | None:
    scope = f"api_key:{key.api_key_id}"
    return obstacles(budgets=[each.budget_id for each in state.every(Budget) if each.scope == scope])


API_KEYS = Resource(
    kind="api_key",
    path="/keys",
    id_param="api_key_id",
    new=NewApiKey,
    patch=ApiKeyPatch,
    view=ApiKeyView,
    page=ApiKeyPage,
    filters=ApiKeyFilters,
    make=_make,
    change=change_expiry,
    show=_show,
    obstacle=_obstacle,
)
