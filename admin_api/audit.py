"""GET /audit: who changed what, from ClickHouse, where the billing consumer keeps it. Latest first."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from admin_api.fields import Label, Page, Time
from admin_api.operation import Answer, Call, Operation
from schemas.config_record import Action, EntityKind

_HASHES = ("key_sha256", "previous_key_sha256")


class AuditFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`start`, `end`: of the change; the end is not part of the range."""

    kind: EntityKind | None = None
    entity_id: Annotated[str, Meta(min_length=1, max_length=700)] | None = None
    organization_id: Label | None = None
    actor: Label | None = None
    action: Action | None = None
    start: Time | None = None
    end: Time | None = None


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`actor`: a management key's id, or "bootstrap". `entity`: as it was after the change, without the hashes of
    secrets; null where it was deleted."""

    change_id: str
    at: datetime
    actor: str
    action: str
    kind: str
    entity_id: str
    version: int
    organization_id: str | None
    entity: dict[str, Any] | None


class AuditPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[AuditEvent, ...]
    next_cursor: str | None


async def list_changes(call: Call) -> Answer:
    filters: AuditFilters = call.query
    sql, parameters = audit_query(filters, call.caller.organization_id)
    events = [_event(row) for row in await call.queries.rows(sql, parameters)]
    more = len(events) > filters.limit
    events = events[: filters.limit]
    return Answer(body=AuditPage(data=tuple(events), next_cursor=events[-1].change_id if more else None))


def audit_query(filters: AuditFilters, organization_id: str | None) -> tuple[str, dict[str, Any]]:
    """`organization_id`: all that the caller may see. A change's id begins with its time, so ids are the order."""
    parameters: dict[str, Any] = {"limit": filters.limit + 1}
    conditions = []
    for name in ("kind", "entity_id", "organization_id", "actor", "action"):
        if (value := getattr(filters, name)) is not None:
            conditions.append(f"{name} = {{{name}:String}}")
            parameters[name] = value
    if organization_id is not None:
        conditions.append("organization_id = {seen:String}")
        parameters["seen"] = organization_id
    if filters.cursor is not None:
        conditions.append("change_id < {cursor:String}")
        parameters["cursor"] = filters.cursor
    for name, sign in (("start", ">="), ("end", "<")):
        if (at := getattr(filters, name)) is not None:
            conditions.append(f"at {sign} fromUnixTimestamp64Milli({{{name}:Int64}})")
            parameters[name] = _clickhouse_ms(at)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = "change_id, toUnixTimestamp64Milli(at) AS at_ms, actor, action, kind, entity_id, version"
    # FINAL: the billing consumer may have written a change twice, and nobody else's merge is waited for.
    sql = (
        f"SELECT {columns}, organization_id, entity FROM config_changes FINAL{where}"
        " ORDER BY change_id DESC LIMIT {limit:UInt32}"
    )
    return sql, parameters


def _clickhouse_ms(at: datetime) -> int:
    """ClickHouse has no times before 1970 or after 2299; nor has the audit."""
    return min(max(0, int(at.timestamp() * 1000)), 10_413_000_000_000)


def _event(row: dict[str, Any]) -> AuditEvent:
    entity: dict[str, Any] | None = msgspec.json.decode(row["entity"]) if row["entity"] else None
    if entity is not None:
        for name in _HASHES:
            entity.pop(name, None)
    return AuditEvent(
        change_id=row["change_id"],
        at=datetime.fromtimestamp(row["at_ms"] / 1000, UTC),
        actor=row["actor"],
        action=row["action"],
        kind=row["kind"],
        entity_id=row["entity_id"],
        version=row["version"],
        organization_id=row["organization_id"] or None,
        entity=entity,
    )


LIST_CHANGES = Operation(
    operation_id="list_changes",
    method="GET",
    path="/audit",
    group="audit",
    summary="Who changed what, latest first; a change is here a few seconds after it holds",
    handler=list_changes,
    query=AuditFilters,
    answer=AuditPage,
    errors=(503,),
)
