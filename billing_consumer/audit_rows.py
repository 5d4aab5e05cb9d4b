"""A change of the configuration as a row of `config_changes`. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.config_record import ConfigRecord

TABLE = "config_changes"
COLUMNS = ("at", "kind", "entity_id", "version", "organization_id", "actor", "action", "change_id", "entity")

_HASHES = frozenset({"key_sha256", "previous_key_sha256"})
"""A hash of a secret opens nothing, but whoever reads the audit log has no use for it either."""


def audit_row(record: ConfigRecord) -> Sequence[Any]:
    """In the order of COLUMNS. Raises msgspec.DecodeError if the entity is not JSON."""
    change = record.change
    entity: Any = msgspec.json.decode(record.entity)
    if isinstance(entity, dict):
        entity = {name: value for name, value in entity.items() if name not in _HASHES}
    return (
        datetime.fromtimestamp(change.at_ms / 1000, UTC),
        record.kind,
        record.entity_id,
        record.version,
        record.organization_id,
        change.actor,
        change.action,
        change.change_id,
        "" if entity is None else msgspec.json.encode(entity).decode(),
    )
