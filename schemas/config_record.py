"""One change of the configuration, as the admin API writes it to the compacted topic `config`.

The record is the change *and* its audit event, so that neither can be there without the other: every process applies
the entity, and the billing consumer writes the change to ClickHouse.
"""

from typing import Literal

import msgspec

from schemas.budgets import Budget
from schemas.codec import RecordCodec, UndecodableRecord
from schemas.tenancy import ApiKey, Customer, ManagementKey, Organization, Project, Tag, VendorCredential, Webhook

EntityKind = Literal[
    "organization",
    "project",
    "api_key",
    "management_key",
    "customer",
    "tag",
    "budget",
    "vendor_credential",
    "webhook",
]
Entity = Organization | Project | ApiKey | ManagementKey | Customer | Tag | Budget | VendorCredential | Webhook
Action = Literal["created", "updated", "rotated", "revoked", "deleted"]

ENTITY_TYPES: dict[EntityKind, type[Entity]] = {
    "organization": Organization,
    "project": Project,
    "api_key": ApiKey,
    "management_key": ManagementKey,
    "customer": Customer,
    "tag": Tag,
    "budget": Budget,
    "vendor_credential": VendorCredential,
    "webhook": Webhook,
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, when (unix ms). `actor`: a management key's id, or "bootstrap"."""

    change_id: str
    at_ms: int
    actor: str
    action: Action


class ConfigRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts an entity's changes, from 1. `entity` is null once it is deleted. `organization_id`: whose
    change it is; empty for what belongs to none."""

    kind: EntityKind
    entity_id: str
    version: int
    organization_id: str
    entity: msgspec.Raw
    change: Change
    v: int = 1


CONFIG = RecordCodec(ConfigRecord, major=1)

_DECODERS = {kind: msgspec.json.Decoder(entity_type) for kind, entity_type in ENTITY_TYPES.items()}


def config_key(kind: EntityKind, entity_id: str) -> str:
    """The Kafka key: compaction keeps the last state of each entity."""
    return f"{kind}:{entity_id}"


def entity_of(record: ConfigRecord) -> Entity | None:
    """None once it is deleted. Raises UndecodableRecord."""
    if bytes(record.entity) == b"null":
        return None
    try:
        return _DECODERS[record.kind].decode(record.entity)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UndecodableRecord(f"ConfigRecord: the {record.kind} cannot be read: {error}") from error


def entity_id_of(entity: Entity) -> str:
    """What it is known by among its kind."""
    if isinstance(entity, Customer):
        return f"{entity.organization_id}/{entity.customer_id}"
    if isinstance(entity, Tag):
        return f"{entity.organization_id}/{entity.key}={entity.value}"
    if isinstance(entity, Organization):
        return entity.organization_id
    if isinstance(entity, Project):
        return entity.project_id
    if isinstance(entity, ApiKey):
        return entity.api_key_id
    if isinstance(entity, ManagementKey):
        return entity.management_key_id
    if isinstance(entity, Budget):
        return entity.budget_id
    if isinstance(entity, VendorCredential):
        return entity.credential_id
    return entity.webhook_id
