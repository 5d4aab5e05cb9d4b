"""What keys of both kinds have besides: a new secret, and an end."""

from typing import Annotated

import msgspec
from msgspec import Meta

from admin_api.config_state import ConfigState, Held
from admin_api.configuration import configuration_of
from admin_api.crud import make_change
from admin_api.key_secrets import new_secret, revoked, rotated
from admin_api.operation import Answer, Call, Handler, Operation
from admin_api.resources.api_keys import API_KEYS
from admin_api.resources.management_keys import MANAGEMENT_KEYS
from admin_api.resources.resource import Resource
from schemas.config_record import Entity
from schemas.tenancy import ApiKey, ManagementKey

MAX_OVERLAP_S = 30 * 86_400


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`overlap_s`: how long the secret before stays good; 0: not at all."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = 3600


def _rotate(resource: Resource, key_type: type[ApiKey | ManagementKey]) -> Handler:
    async def rotate(call: Call) -> Answer:
        body: Rotation = call.body

        def change(_state: ConfigState, held: Held) -> tuple[Entity, str | None]:
            secret = new_secret(key_type, configuration_of(call).random_bytes)
            return rotated(held.entity, secret, body.overlap_s, call.now_ms), secret

        return await make_change(resource, call, "rotated", change)

    return rotate


def _revoke(resource: Resource) -> Handler:
    async def revoke(call: Call) -> Answer:
        def change(_state: ConfigState, held: Held) -> tuple[Entity, str | None]:
            return revoked(held.entity), None

        return await make_change(resource, call, "revoked", change)

    return revoke


def _operations(resource: Resource, key_type: type[ApiKey | ManagementKey], name: str) -> tuple[Operation, ...]:
    item_path, group = f"{resource.path}/{{{resource.id_param}}}", resource.path.strip("/")
    return (
        Operation(
            operation_id=f"rotate_{resource.kind}",
            method="POST",
            path=f"{item_path}/rotate",
            group=group,
            summary=f"Give one {name} a new secret; the one before stays good for a while",
            handler=_rotate(resource, key_type),
            access="admin",
            body=Rotation,
            answer=resource.view,
            errors=(404, 409, 503),
        ),
        Operation(
            operation_id=f"revoke_{resource.kind}",
            method="POST",
            path=f"{item_path}/revoke",
            group=group,
            summary=f"End one {name} for good, everywhere within a second",
            handler=_revoke(resource),
            access="admin",
            answer=resource.view,
            errors=(404, 409, 503),
        ),
    )


KEY_OPERATIONS: tuple[Operation, ...] = (
    *_operations(API_KEYS, ApiKey, "API key"),
    *_operations(MANAGEMENT_KEYS, ManagementKey, "management key"),
)
