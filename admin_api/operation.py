"""What the admin API can do: one `Operation` each. Routes, checks and the OpenAPI document are made from them. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

BASE_PATH = "/admin/v1"

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Access = Literal["viewer", "admin", "public"]
"""Who may call: any management key, only one with the role admin, or anybody."""


class Caller(NamedTuple):
    """Whose management key it is. `organization_id`: all that it may see and change; None: everything."""

    actor: str
    organization_id: str | None
    is_admin: bool

    def sees(self, organization_id: str) -> bool:
        return self.organization_id is None or self.organization_id == organization_id


class Queries(Protocol):
    """ClickHouse, as handlers see it."""

    async def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Column name → value, for each row. `{name:Type}` in the SQL is a parameter. Raises QueriesUnavailable."""


class QueriesUnavailable(Exception):
    """ClickHouse is away or refuses. The caller gets 503; what it said is logged, not shown."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed every check that its operation declares.

    query, body: of the types that the operation names (else None). path: the variables of its path. if_match: the
    version that the caller has seen.
    """

    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    now_ms: int
    queries: Queries
    config: Any
    """The handlers of the configuration know what it is: an `admin_api.configuration.Configuration`."""
    if_match: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """body: a struct, for JSON. text: anything else, with its `content_type`. version: becomes the ETag."""

    body: msgspec.Struct | None = None
    text: str | None = None
    content_type: str = "application/json"
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """path: from BASE_PATH on, with variables: "/projects/{project_id}". query, body: msgspec structs with
    `forbid_unknown_fields` (a query's values are converted from text). answer: the struct that JSON answers are encoded
    from. other_types: content types that it can answer with besides JSON. errors: statuses that its handler may refuse
    with, besides those that every operation can have."""

    operation_id: str
    method: Method
    path: str
    group: str
    summary: str
    handler: Handler
    access: Access = "viewer"
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    other_types: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()


class Refusal(Exception):
    """What a caller is told instead of an answer. `param`: the field at fault. `code`: a fixed name for programs."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param


def invalid(param: str | None, message: str) -> Refusal:
    return Refusal(400, "invalid_value", message, param)


def not_found(what: str, entity_id: str) -> Refusal:
    """Also for what the caller may not see: whether it is there is not its business."""
    return Refusal(404, "not_found", f"There is no {what} '{entity_id}'.")


def conflict(code: str, message: str, param: str | None = None) -> Refusal:
    return Refusal(409, code, message, param)
