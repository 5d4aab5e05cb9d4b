"""Configuration as the admin API writes it, without the admin API."""

import msgspec

from ingress.directory import Directory
from schemas.config_record import ENTITY_TYPES, Change, ConfigRecord, Entity, entity_id_of


def config_record(entity: Entity, version: int = 1, *, deleted: bool = False) -> ConfigRecord:
    [kind] = [kind for kind, entity_type in ENTITY_TYPES.items() if type(entity) is entity_type]
    return ConfigRecord(
        kind=kind,
        entity_id=entity_id_of(entity),
        version=version,
        organization_id=getattr(entity, "organization_id", None) or "",
        entity=msgspec.Raw(b"null" if deleted else msgspec.json.encode(entity)),
        change=Change(change_id=f"chg_{version}", at_ms=0, actor="test", action="deleted" if deleted else "created"),
    )


def directory_of(*entities: Entity) -> Directory:
    directory = Directory()
    for entity in entities:
        directory.apply(config_record(entity))
    return directory
