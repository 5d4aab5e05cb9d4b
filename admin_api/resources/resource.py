"""What the files beside this one say of their kind of entity; `admin_api.crud` makes the operations of it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from admin_api.config_state import ConfigState, Held
from admin_api.operation import Caller, invalid
from schemas.config_record import Entity, EntityKind
from schemas.ids import RandomBytes, new_id
from schemas.spend import LedgerState


class Making(NamedTuple):
    """What a new entity is made with."""

    state: ConfigState
    caller: Caller
    now_ms: int
    random_bytes: RandomBytes

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self.now_ms, self.random_bytes)

    def organization_id(self, given: str | None) -> str:
        """A key that is bound to an organization need not name it. Raises Refusal."""
        organization_id = given if given is not None else self.caller.organization_id
        if organization_id is None:
            raise invalid("organization_id", "Object missing required field `organization_id`")
        return organization_id


class Made(NamedTuple):
    """`secret`: of a key, to be shown once."""

    entity: Entity
    secret: str | None = None


class Showing(NamedTuple):
    """What a view may need besides the entity."""

    now_ms: int
    ledger: Callable[[str], LedgerState | None]
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """path: of the collection. id_param: the last variable of an item's path. in_organization: ids are an
    organization's own, so the path is completed by the query parameter `organization_id`. whole_gateway: only a key
    that is bound to no organization makes and deletes these. names_secrets: nor does any other change them: they name
    secrets and addresses of the fleet itself, and a name may be another organization's. make, change: from a request
    to the entity; they raise Refusal for what needs no look at the other entities. obstacle: why an entity may not be
    deleted."""

    kind: EntityKind
    path: str
    id_param: str
    new: type[msgspec.Struct]
    patch: type[msgspec.Struct]
    view: type[msgspec.Struct]
    page: type[msgspec.Struct]
    filters: type[msgspec.Struct]
    make: Callable[[Making, Any], Made]
    change: Callable[[Any, Mapping[str, Any], int], Entity]
    show: Callable[[Held, Showing], msgspec.Struct]
    obstacle: Callable[[ConfigState, Any], str | None] = lambda _state, _entity: None
    in_organization: bool = False
    whole_gateway: bool = False
    names_secrets: bool = False


def given_fields(patch: msgspec.Struct) -> dict[str, Any]:
    """What a PATCH says: a field that it does not have is not the same as null."""
    return {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET}


def replaced(entity: Any, given: Mapping[str, Any], _now_ms: int) -> Any:
    """The change of an entity whose fields are the same in JSON and in Kafka."""
    return msgspec.structs.replace(entity, **given)


def obstacles(**found: list[str]) -> str | None:
    """What is still there, by what people call it; None if nothing is."""
    parts = [
        f"{len(ids)} {name.replace('_', ' ')} ({', '.join(sorted(ids)[:3])}{', ...' if len(ids) > 3 else ''})"
        for name, ids in found.items()
        if ids
    ]
    return ", ".join(parts) or None
