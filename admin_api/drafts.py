"""From a changed entity to the record that says so. Pure.

A record is the change and its audit event in one, so a change is either there whole or not at all.
"""

from typing import NamedTuple

import msgspec

from admin_api.config_state import KIND_OF, ConfigState
from schemas.config_record import Action, Change, ConfigRecord, Entity, EntityKind, entity_id_of
from schemas.ids import RandomBytes, new_id
from schemas.tenancy import ApiKey, ManagementKey, Project

_NULL = msgspec.Raw(b"null")


class Author(NamedTuple):
    """Who makes a change, and when (unix ms)."""

    actor: str
    at_ms: int
    random_bytes: RandomBytes


def organization_of(state: ConfigState, entity: Entity) -> str:
    """Whose it is; empty for a management key that is bound to no organization."""
    if isinstance(entity, ApiKey):
        project = state.get(Project, entity.project_id)
        if project is not None:
            return project.organization_id
        held = state.find("api_key", entity.api_key_id)
        return "" if held is None else held.organization_id
    if isinstance(entity, ManagementKey):
        return entity.organization_id or ""
    return entity.organization_id


def draft(state: ConfigState, entity: Entity, action: Action, author: Author) -> ConfigRecord:
    """The record that makes the entity so."""
    kind = KIND_OF[type(entity)]
    raw = msgspec.Raw(msgspec.json.encode(entity))
    return _record(state, kind, entity_id_of(entity), organization_of(state, entity), raw, action, author)


def draft_deletion(state: ConfigState, entity: Entity, author: Author) -> ConfigRecord:
    kind = KIND_OF[type(entity)]
    return _record(state, kind, entity_id_of(entity), organization_of(state, entity), _NULL, "deleted", author)


def _record(
    state: ConfigState,
    kind: EntityKind,
    entity_id: str,
    organization_id: str,
    raw: msgspec.Raw,
    action: Action,
    author: Author,
) -> ConfigRecord:
    held = state.find(kind, entity_id)
    return ConfigRecord(
        kind=kind,
        entity_id=entity_id,
        version=1 if held is None else held.record.version + 1,
        organization_id=organization_id,
        entity=raw,
        change=Change(
            change_id=new_id("chg", author.at_ms, author.random_bytes),
            at_ms=author.at_ms,
            actor=author.actor,
            action=action,
        ),
    )
