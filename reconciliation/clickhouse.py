"""The edge to ClickHouse: what its tables say, in the forms of `reconciliation.compare`.

Costs arrive as Decimal and leave as whole pico-USD. Everything is asked a day at a time, so that no answer grows with
the range.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.asyncclient import AsyncClient

from reconciliation.compare import AttemptFigures, Attributed, Figures, Group, RequestFigures, is_forever
from reconciliation.statement import Bill, BillKey
from schemas.money import usd_to_pico
from schemas.spend import LedgerState

MARGIN = timedelta(hours=6)
"""Rows about one request may differ by this much in what they call its acceptance: those from before that was a column
have the start of each attempt instead."""

LEDGERS_PER_QUERY = 200
"""ClickHouse refuses a query text above 256 KiB by default."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """`keys`: its columns and those of `attempts` that are the same, besides the day. `day`: the day of a row of it."""

    name: str
    keys: tuple[str, ...]
    day: str = "day"


ROLLUPS = (
    Rollup("spend_by_key", ("api_key_id", "project_id", "organization_id")),
    Rollup("spend_by_project", ("project_id", "organization_id")),
    Rollup(
        "spend_by_model_hour",
        ("model", "provider", "vendor", "vendor_model", "outcome", "failure", "toString(estimated)"),
        day="toDate(hour)",
    ),
)

_ROLLED_UP = "sum(attempts), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(cost_usd)"
_SIGNED = (
    "sum(toInt64(sign)), sum(sign * toInt64(input_tokens)), sum(sign * toInt64(cached_input_tokens)),"
    " sum(sign * toInt64(output_tokens)), sum(sign * cost_usd)"
)
_WHO = "toString((organization_id, project_id, api_key_id, customer_id, tags))"
_SCOPES = """arrayConcat(
    [concat('api_key:', api_key_id), concat('project:', project_id), concat('organization:', organization_id)],
    if(customer_id = '', [], [concat('customer:', organization_id, '/', customer_id)]),
    arrayMap((k, v) -> concat('tag:', organization_id, '/', k, '=', v), mapKeys(tags), mapValues(tags)))"""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a day, from `start` to before `end`."""

    day: date
    start: datetime
    end: datetime


def windows(start: date, end: date, not_after: datetime) -> Iterator[Window]:
    """The days of a range, up to a moment."""
    for number in range((end - start).days):
        day = start + timedelta(days=number)
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if first < not_after:
            yield Window(day, first, min(first + timedelta(days=1), not_after))


class Tables:
    """Every method raises one of runtime.clickhouse.CLICKHOUSE_ERRORS."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def rollup(self, rollup: Rollup, day: date) -> dict[Group, Figures]:
        """By day and keys, as the rollup says."""
        query = f"SELECT {', '.join(rollup.keys)}, {_ROLLED_UP} FROM {rollup.name}"
        return _by_group(day, await self._rows(f"{query} WHERE {rollup.day} = %(day)s GROUP BY ALL", {"day": day}))

    async def base(self, rollup: Rollup, day: date) -> dict[Group, Figures]:
        """The same from `attempts`. These rollups are by the day on which an attempt started."""
        query = f"SELECT {', '.join(rollup.keys)}, {_SIGNED} FROM attempts"
        rows = await self._rows(f"{query} WHERE {_within('started_at')} GROUP BY ALL", _day(day))
        return _by_group(day, rows)

    async def scope_rollup(self, day: date) -> dict[Group, Figures]:
        query = f"SELECT scope, {_ROLLED_UP} FROM spend_by_scope WHERE day = %(day)s GROUP BY scope"
        return _by_group(day, await self._rows(query, {"day": day}))

    async def attributed(self, day: date) -> list[Attributed]:
        """By everything that makes a scope, from `attempts`, by the day of acceptance."""
        keys = "organization_id, project_id, api_key_id, customer_id, mapKeys(tags), mapValues(tags)"
        query = f"SELECT {keys}, {_SIGNED} FROM attempts WHERE {_within('accepted_at')} GROUP BY ALL"
        return [
            Attributed(row[0], row[1], row[2], row[3], dict(zip(row[4], row[5], strict=True)), _figures(row[6:]))
            for row in await self._rows(query, _day(day))
        ]

    async def odd_requests(self, window: Window) -> tuple[int, list[RequestFigures]]:
        """How many requests there are, and those for which something may not fit."""
        near = _within("accepted_at")
        query = f"""
            SELECT request_id, sum(r) AS rows_found, sum(r * (origin = 'worker')) AS by_worker,
                sum(r * told) AS told_all,
                sumMap(map(toInt64(delivery), a))[sum(r * toInt64(delivery))] AS counted,
                countIf(a > 0 AND origin = 'audit') AS audited, uniqExact(who) AS owners,
                if(countIf(r != 0) > 0, maxIf(moment, r != 0), minIf(moment, a != 0)) AS at
            FROM (
                SELECT request_id, accepted_at AS moment, origin, delivery, toInt64(sign) AS a, toInt64(0) AS r,
                    toInt64(0) AS told, {_WHO} AS who
                FROM attempts WHERE {near}
                UNION ALL
                SELECT request_id, accepted_at AS moment, origin, delivery, toInt64(0) AS a, toInt64(sign) AS r,
                    toInt64(attempts) AS told, {_WHO} AS who
                FROM requests WHERE {near}
            )
            GROUP BY request_id
            HAVING {_within("at", "own")}
                AND (rows_found != 1 OR owners != 1 OR if(by_worker != 0, counted != told_all, counted < told_all))"""
        rows = await self._rows(query, _around(window))
        known = await self._rows(
            f"SELECT uniqExact(request_id) FROM requests WHERE {near}", _span(window.start, window.end)
        )
        return known[0][0], [
            RequestFigures(request_id, found, bool(by_worker), told, counted, audited, owners)
            for request_id, found, by_worker, told, counted, audited, owners, _ in rows
        ]

    async def odd_attempts(self, window: Window) -> tuple[int, list[AttemptFigures]]:
        """How many attempts there are, and those whose rows do not add up to the one report that ranks highest."""
        query = f"""
            SELECT attempt_id, sum(toInt64(sign)) AS standing, sum(sign * cost_usd) AS added,
                argMaxIf(cost_usd, indexOf(['audit', 'ingress', 'worker', 'correction'], origin), sign = 1) AS last,
                max(accepted_at) AS at
            FROM attempts WHERE {_within("accepted_at")}
            GROUP BY attempt_id HAVING {_within("at", "own")} AND (standing != 1 OR added != last)"""
        rows = await self._rows(query, _around(window))
        count = f"SELECT sum(toInt64(sign)) FROM attempts WHERE {_within('accepted_at')}"
        known = await self._rows(count, _span(window.start, window.end))
        return known[0][0], [
            AttemptFigures(attempt_id, standing, usd_to_pico(added), usd_to_pico(last))
            for attempt_id, standing, added, last, _ in rows
        ]

    async def unreported_intents(self, window: Window) -> tuple[int, list[str]]:
        """How many intents were due, and the attempts of those about which nobody has reported."""
        due = await self._rows(
            f"SELECT count() FROM intents WHERE {_within('due_at')}", _span(window.start, window.end)
        )
        # A request is accepted before it is due, by no more than the longest that one may take.
        query = f"""
            SELECT DISTINCT attempt_id FROM intents WHERE {_within("due_at", "own")} AND attempt_id NOT IN (
                SELECT attempt_id FROM attempts WHERE {_within("accepted_at")}
            ) ORDER BY attempt_id"""
        span = _span(window.start - timedelta(days=1), window.end) | _span(window.start, window.end, "own")
        return due[0][0], [attempt_id for (attempt_id,) in await self._rows(query, span)]

    async def spent(self, ledgers: Iterable[LedgerState]) -> dict[str, int]:
        """By ledger: what the attempts of its scope and period cost that are below the offsets it has counted to."""
        found: dict[str, int] = {}
        for chunk in _chunks(ledgers):
            first = chunk[0]
            start, end = date.fromisoformat(first.period_start), date.fromisoformat(first.period_end)
            within = "1" if is_forever(first) else _within("accepted_at")
            # A usage partition that a ledger does not name is past the end of its array: then the offset is 0.
            query = f"""
                SELECT number, sum(sign * cost_usd) FROM (
                    SELECT sign, cost_usd, kafka_partition, kafka_offset, arrayJoin(arrayFilter(n -> n > 0, arrayMap(
                        scope -> transform(scope, %(scopes)s, %(numbers)s, toUInt64(0)), arrayDistinct({_SCOPES})
                    ))) AS number
                    FROM attempts WHERE {within}
                )
                WHERE kafka_offset < %(through)s[number][kafka_partition + 1] GROUP BY number"""
            parameters = {
                "scopes": [ledger.scope for ledger in chunk],
                "numbers": list(range(1, len(chunk) + 1)),
                "through": [_offsets(ledger) for ledger in chunk],
            }
            spans = {} if is_forever(first) else _span(_midnight(start), _midnight(end))
            for number, cost in await self._rows(query, parameters | spans):
                found[chunk[number - 1].ledger_id] = usd_to_pico(cost)
        return found

    async def bills(self, start: date, end: date) -> dict[BillKey, Bill]:
        """By vendor, day of the call and the vendor's model. What the vendor refused is no request."""
        query = f"""
            SELECT vendor, toString(toDate(started_at)) AS day, vendor_model, sum(sign * cost_usd),
                sumIf(toInt64(sign), outcome != 'failed')
            FROM attempts WHERE {_within("started_at")} GROUP BY vendor, day, vendor_model"""
        rows = await self._rows(query, _span(_midnight(start), _midnight(end)))
        bills = {(vendor, day, model): Bill(usd_to_pico(cost), count) for vendor, day, model, cost, count in rows}
        # What was taken back, or cost nothing and was refused, is on no bill.
        return {key: bill for key, bill in bills.items() if bill != Bill(0, 0)}

    async def _rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = (await self._client.query(query, parameters=parameters)).result_rows
        return rows


def _within(column: str, name: str = "near") -> str:
    return (
        f"({column} >= fromUnixTimestamp64Milli(toInt64(%({name}_start)s))"
        f" AND {column} < fromUnixTimestamp64Milli(toInt64(%({name}_end)s)))"
    )


def _span(start: datetime, end: datetime, name: str = "near") -> dict[str, Any]:
    return {f"{name}_start": round(start.timestamp() * 1000), f"{name}_end": round(end.timestamp() * 1000)}


def _around(window: Window) -> dict[str, Any]:
    return _span(window.start - MARGIN, window.end + MARGIN) | _span(window.start, window.end, "own")


def _day(day: date) -> dict[str, Any]:
    return _span(_midnight(day), _midnight(day + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _figures(values: Sequence[Any]) -> Figures:
    attempts, input_tokens, cached_input_tokens, output_tokens, cost_usd = values
    return Figures(attempts, input_tokens, cached_input_tokens, output_tokens, usd_to_pico(cost_usd))


def _by_group(day: date, rows: Iterable[Sequence[Any]]) -> dict[Group, Figures]:
    return {(day.isoformat(), *map(str, row[:-5])): _figures(row[-5:]) for row in rows}


def _offsets(ledger: LedgerState) -> list[int]:
    return [ledger.through.get(number, 0) for number in range(max(ledger.through, default=0) + 1)]


def _chunks(ledgers: Iterable[LedgerState]) -> Iterator[list[LedgerState]]:
    """Of one period each, no scope twice."""
    open_: dict[tuple[str, str], list[list[LedgerState]]] = {}
    for ledger in ledgers:
        of_period = open_.setdefault((ledger.period_start, ledger.period_end), [])
        fitting = (c for c in of_period if len(c) < LEDGERS_PER_QUERY and all(o.scope != ledger.scope for o in c))
        chunk = next(fitting, None)
        if chunk is None:
            of_period.append([ledger])
        else:
            chunk.append(ledger)
    for of_period in open_.values():
        yield from of_period
