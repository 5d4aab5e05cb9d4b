"""/webhooks: where budget alerts go."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from admin_api.config_state import Held
from admin_api.fields import Page, time_of
from admin_api.resources.resource import Made, Making, Resource, Showing, replaced
from admin_api.resources.vendor_credentials import SecretName, check_secret_name
from schemas.tenancy import EntityId, Webhook

Url = Annotated[str, Meta(pattern="^https?://[^ ]+$", max_length=2048)]


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret_name`: an environment variable of the billing consumers, or a file in their secrets directory, with what
    alerts are signed with."""

    url: Url
    secret_name: SecretName
    webhook_id: EntityId | None = None
    organization_id: EntityId | None = None
    active: bool = True


class WebhookPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Url | UnsetType = UNSET
    secret_name: SecretName | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class WebhookView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    webhook_id: str
    organization_id: str
    url: str
    secret_name: str
    active: bool
    version: int
    updated_at: datetime


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[WebhookView, ...]
    next_cursor: str | None


class WebhookFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    active: bool | None = None


def _make(making: Making, body: NewWebhook) -> Made:
    check_secret_name(body.secret_name)
    return Made(
        Webhook(
            webhook_id=body.webhook_id or making.new_id("whk"),
            organization_id=making.organization_id(body.organization_id),
            url=body.url,
            secret_name=body.secret_name,
            active=body.active,
        )
    )


def _change(webhook: Webhook, given: Mapping[str, Any], now_ms: int) -> Webhook:
    if "secret_name" in given:
        check_secret_name(given["secret_name"])
    changed: Webhook = replaced(webhook, given, now_ms)
    return changed


def _show(held: Held, _showing: Showing) -> WebhookView:
    assert isinstance(held.entity, Webhook)
    return WebhookView(
        **msgspec.structs.asdict(held.entity),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


WEBHOOKS = Resource(
    kind="webhook",
    path="/webhooks",
    id_param="webhook_id",
    new=NewWebhook,
    patch=WebhookPatch,
    view=WebhookView,
    page=WebhookPage,
    filters=WebhookFilters,
    make=_make,
    change=_change,
    show=_show,
    names_secrets=True,
)
