"""One request: who made it, what was tried for it, what it cost. Pure.

Only the reports that stand are told (the views ..._final of billing_consumer's migrations).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from admin_api.usage.report import Rows
from admin_api.usage.statements import Statement
from admin_api.usage.times import rfc3339
from schemas.money import format_usd, usd_to_pico


class RequestAttempt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call to a vendor. `price_id`: the dated price that the cost was computed with. `estimated`: the vendor gave
    no figures, so tokens and cost are upper bounds. `origin`: who reported it; "ingress" and "audit" for a worker that
    was lost. `outcome`: completed, failed, cancelled, interrupted or worker_lost."""

    attempt_id: str
    delivery: int
    attempt_no: int
    origin: str
    outcome: str
    provider: str
    model: str
    vendor: str
    vendor_model: str
    vendor_request_id: str | None
    started_at: str
    ended_at: str
    first_byte_ms: int | None
    status: int | None
    failure: str | None
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: str
    estimated: bool
    price_id: str


class RequestAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`finished_at`, `status` and the times are null as long as only attempts are known: the request is not over, or
    its ingress and its worker were lost. `status` is what the client got; 499: it had gone away. `model` and `vendor`
    that answered."""

    request_id: str
    organization_id: str
    project_id: str
    api_key_id: str
    customer_id: str | None
    tags: dict[str, str]
    surface: str
    streaming: bool
    requested_model: str
    accepted_at: str
    finished_at: str | None
    status: int | None
    failure: str | None
    model: str | None
    vendor: str | None
    queue_ms: int | None
    total_ms: int | None
    first_byte_ms: int | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: str
    estimated: bool
    attempts: tuple[RequestAttempt, ...]


_WHO = """organization_id, project_id, api_key_id, customer_id, tags, surface, streaming, requested_model,
    toUnixTimestamp64Milli(accepted_at) AS accepted_ms"""

_REQUEST = f"""SELECT {_WHO}, toUnixTimestamp64Milli(finished_at) AS finished_ms, status, failure, model, vendor,
    queue_ms, total_ms, first_byte_ms
FROM requests_final WHERE request_id = {{request_id:String}}"""

_ATTEMPTS = f"""SELECT {_WHO}, attempt_id, delivery, attempt_no, origin, outcome, provider, model, vendor, vendor_model,
    vendor_request_id, toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms,
    first_byte_ms, status, failure, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost_usd, estimated, price_id
FROM attempts_final WHERE request_id = {{request_id:String}}"""

_MINE = " AND organization_id = {organization:String}"


def request_statements(request_id: str, organization_id: str | None) -> tuple[Statement, Statement]:
    """For the request's row and for its attempts. `organization_id`: the only one that the caller may see."""
    parameters = {"request_id": request_id}
    if organization_id is not None:
        parameters["organization"] = organization_id
    mine = "" if organization_id is None else _MINE
    return (
        Statement(f"{_REQUEST}{mine} LIMIT 1", parameters),
        Statement(f"{_ATTEMPTS}{mine} ORDER BY delivery, attempt_no", parameters),
    )


def request_account(request_id: str, requests: Rows, attempts: Rows) -> RequestAccount | None:
    """None if nothing is known of it."""
    if not requests and not attempts:
        return None
    end: Any = requests[0] if requests else {}
    who = end or attempts[0]
    told = tuple(_attempt(row) for row in attempts)
    return RequestAccount(
        request_id=request_id,
        organization_id=who["organization_id"],
        project_id=who["project_id"],
        api_key_id=who["api_key_id"],
        customer_id=who["customer_id"] or None,
        tags=dict(who["tags"]),
        surface=who["surface"],
        streaming=bool(who["streaming"]),
        requested_model=who["requested_model"],
        accepted_at=rfc3339(who["accepted_ms"]),
        finished_at=rfc3339(end["finished_ms"]) if end else None,
        status=end.get("status"),
        failure=end.get("failure") or None,
        model=end.get("model") or None,
        vendor=end.get("vendor") or None,
        queue_ms=end.get("queue_ms"),
        total_ms=end.get("total_ms"),
        first_byte_ms=end.get("first_byte_ms"),
        input_tokens=_sum(told, "input_tokens"),
        cached_input_tokens=_sum(told, "cached_input_tokens"),
        output_tokens=_sum(told, "output_tokens"),
        cost_usd=format_usd(sum(usd_to_pico(row["cost_usd"]) for row in attempts)),
        estimated=any(attempt.estimated for attempt in told),
        attempts=told,
    )


def _attempt(row: Any) -> RequestAttempt:
    same = {name: row[name] for name in RequestAttempt.__struct_fields__ if name in row}
    same |= {name: row[name] or None for name in ("vendor_request_id", "failure")}
    same |= {"cost_usd": format_usd(usd_to_pico(row["cost_usd"])), "estimated": bool(row["estimated"])}
    return RequestAttempt(**same, started_at=rfc3339(row["started_ms"]), ended_at=rfc3339(row["ended_ms"]))


def _sum(attempts: Sequence[RequestAttempt], name: str) -> int:
    return sum(getattr(attempt, name) for attempt in attempts)
