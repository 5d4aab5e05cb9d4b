"""All entities as the topic `config` has them, with what is looked up when one of them is to be changed. Pure."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple, TypeVar, cast

import msgspec

from schemas.budgets import Budget, BudgetPeriod
from schemas.config_record import CONFIG, ENTITY_TYPES, ConfigRecord, Entity, EntityKind, entity_of
from schemas.tenancy import ApiKey, ManagementKey

EntityT = TypeVar("EntityT", bound=Entity)

KIND_OF: dict[type[msgspec.Struct], EntityKind] = {entity_type: kind for kind, entity_type in ENTITY_TYPES.items()}


class Held(NamedTuple):
    """The last change of an entity, and the entity itself: None once it is deleted, but its id, version and
    organization are remembered for good."""

    record: ConfigRecord
    entity: Entity | None

    @property
    def organization_id(self) -> str:
        return self.record.organization_id


SEEN_CHANGES = 5_000
"""Of the newest changes it is known that they counted, also when others came after them."""


class ConfigState:
    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._held: dict[EntityKind, dict[str, Held]] = {kind: {} for kind in ENTITY_TYPES}
        self._owner_of_hash: dict[str, tuple[EntityKind, str]] = {}
        self._budget_of: dict[tuple[str, BudgetPeriod], str] = {}

    def apply(self, record: ConfigRecord) -> None:
        """One record of the topic. Raises UndecodableRecord, and has then changed nothing."""
        entity = entity_of(record)
        self._seen[record.change.change_id] = None
        if len(self._seen) > SEEN_CHANGES:
            self._seen.popitem(last=False)
        before = self._held[record.kind].get(record.entity_id)
        if before is not None and before.entity is not None:
            self._forget(record.kind, record.entity_id, before.entity)
        self._held[record.kind][record.entity_id] = Held(record, entity)
        if isinstance(entity, ApiKey | ManagementKey):
            for key_sha256 in _hashes(entity):
                self._owner_of_hash[key_sha256] = (record.kind, record.entity_id)
        elif isinstance(entity, Budget):
            self._budget_of[entity.scope, entity.period] = entity.budget_id

    def apply_bytes(self, _partition: int, _key: str, value: bytes | None) -> None:
        """For a runtime.kafka.fenced_table. Nobody deletes keys of this topic: what is deleted stays known."""
        if value is not None:
            self.apply(CONFIG.decode(value))

    def copy(self) -> "ConfigState":
        """For trying out changes that build upon one another."""
        twin = ConfigState()
        twin._seen = OrderedDict(self._seen)
        twin._held = {kind: dict(held) for kind, held in self._held.items()}
        twin._owner_of_hash = dict(self._owner_of_hash)
        twin._budget_of = dict(self._budget_of)
        return twin

    def has_seen(self, change_id: str) -> bool:
        """Whether this change, one of the last SEEN_CHANGES, was applied."""
        return change_id in self._seen

    def find(self, kind: EntityKind, entity_id: str) -> Held | None:
        """What is known of an id, also when its entity is deleted."""
        return self._held[kind].get(entity_id)

    def record_of_key(self, key: str) -> ConfigRecord | None:
        """The record that the topic's key stands for (`schemas.config_record.config_key`)."""
        kind, _, entity_id = key.partition(":")
        held = self._held[kind].get(entity_id) if kind in ENTITY_TYPES else None
        return None if held is None else held.record

    def get(self, entity_type: type[EntityT], entity_id: str) -> EntityT | None:
        held = self._held[KIND_OF[entity_type]].get(entity_id)
        return None if held is None else cast(EntityT | None, held.entity)

    def all_of(self, kind: EntityKind) -> Iterator[Held]:
        """Those that are not deleted, in no order."""
        return (held for held in self._held[kind].values() if held.entity is not None)

    def every(self, entity_type: type[EntityT]) -> Iterator[EntityT]:
        return (cast(EntityT, held.entity) for held in self.all_of(KIND_OF[entity_type]))

    def owner_of_hash(self, key_sha256: str) -> tuple[EntityKind, str] | None:
        """Kind and id of the key whose secret, present or previous, has this hash."""
        return self._owner_of_hash.get(key_sha256)

    def budget_of(self, scope: str, period: BudgetPeriod) -> str | None:
        """The id of the one budget that a scope has for a period."""
        return self._budget_of.get((scope, period))

    def _forget(self, kind: EntityKind, entity_id: str, entity: Entity) -> None:
        if isinstance(entity, ApiKey | ManagementKey):
            for key_sha256 in _hashes(entity):
                if self._owner_of_hash.get(key_sha256) == (kind, entity_id):
                    del self._owner_of_hash[key_sha256]
        elif isinstance(entity, Budget) and self._budget_of.get((entity.scope, entity.period)) == entity_id:
            del self._budget_of[entity.scope, entity.period]


def _hashes(key: ApiKey | ManagementKey) -> tuple[str, ...]:
    return tuple(each for each in (key.key_sha256, key.previous_key_sha256) if each is not None)
