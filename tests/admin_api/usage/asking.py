"""Calls the handlers as the API's server would, with a real ClickHouse behind them."""

from typing import Any

import msgspec

from admin_api.operation import Answer, Call, Caller, Operation, Queries
from admin_api.usage.operations import OPERATIONS
from admin_api.usage.report import UsageReport
from admin_api.usage.requests import RequestAccount

NOW_MS = 1_794_333_600_000
"""2026-11-10T18:00:00Z"""


def operation(operation_id: str) -> Operation:
    return next(each for each in OPERATIONS if each.operation_id == operation_id)


async def ask(
    operation_id: str,
    queries: Queries,
    *,
    organization_id: str | None = None,
    path: dict[str, str] | None = None,
    now_ms: int = NOW_MS,
    **query: str,
) -> Answer:
    """`query`: as text, as it is in a URL."""
    asked = operation(operation_id)
    values: Any = msgspec.convert(query, asked.query, strict=False) if asked.query is not None else None
    caller = Caller("mk", organization_id, is_admin=True)
    return await asked.handler(Call(caller, path or {}, values, None, now_ms, queries, None))


async def usage(queries: Queries, **asked: Any) -> UsageReport:
    answer = await ask("get_usage", queries, **asked)
    assert isinstance(answer.body, UsageReport)
    return answer.body


async def request_of(queries: Queries, request_id: str, organization_id: str | None = None) -> RequestAccount:
    answer = await ask("get_request", queries, organization_id=organization_id, path={"request_id": request_id})
    assert isinstance(answer.body, RequestAccount)
    return answer.body
