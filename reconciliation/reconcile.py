"""All checks, in order. A fleet may be at work meanwhile: what differs is looked at again, and told if it stays."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from reconciliation.clickhouse import ROLLUPS, Rollup, Tables, Window, windows
from reconciliation.compare import (
    Checked,
    Difference,
    attempt_differences,
    by_scope,
    compare_figures,
    lease_differences,
    ledger_differences,
    ledgers_of,
    request_differences,
    that_stayed,
)
from reconciliation.statement import Bill, BillKey, statement_differences
from schemas.spend import LedgerState


@dataclass(frozen=True, slots=True)
class Range:
    """Days of the UTC calendar, from `start` to before `end`. What happened in the last `settle_s` seconds may still be
    on its way, and is not judged where that matters."""

    start: date
    end: date
    settle_s: float


@dataclass(frozen=True, slots=True)
class VendorStatement:
    bills: Mapping[BillKey, Bill]
    tolerance_pico_usd: int = 0


class Now(Protocol):
    def now_ms(self) -> int: ...


Check = Callable[[], Awaitable[Checked]]


class Reconciliation:
    """`read_ledgers`: the ledgers as they are now. `pause`: waits between two looks."""

    def __init__(
        self,
        tables: Tables,
        read_ledgers: Callable[[], Awaitable[Sequence[LedgerState]]],
        clock: Now,
        pause: Callable[[], Awaitable[None]],
        asked: Range,
        statement: VendorStatement | None = None,
    ) -> None:
        self._tables = tables
        self._read_ledgers = read_ledgers
        self._clock = clock
        self._pause = pause
        self._range = asked
        self._statement = statement

    async def run(self) -> list[Checked]:
        checks: list[Check] = [self._requests, self._attempts]
        checks += [self._rollup_check(rollup) for rollup in ROLLUPS]
        checks += [self._scopes, self._ledgers, self._leases, self._intents]
        if self._statement is not None:
            checks.append(self._vendors)
        return [await self._twice(check) for check in checks]

    async def _twice(self, check: Check) -> Checked:
        first = await check()
        if not first.differences:
            return first
        await self._pause()
        second = await check()
        kept = that_stayed(first.differences, second.differences)
        return Checked(second.check, second.what, second.compared, kept, second.note)

    async def _requests(self) -> Checked:
        name, compared, found = "requests", 0, list[Difference]()
        for window in self._settled():
            count, odd = await self._tables.odd_requests(window)
            compared += count
            found += request_differences(name, odd)
        return Checked(name, "requests", compared, tuple(found))

    async def _attempts(self) -> Checked:
        name, compared, found = "attempts", 0, list[Difference]()
        for window in self._settled():
            count, odd = await self._tables.odd_attempts(window)
            compared += count
            found += attempt_differences(name, odd)
        return Checked(name, "attempts", compared, tuple(found))

    def _rollup_check(self, rollup: Rollup) -> Check:
        async def check() -> Checked:
            compared, found = 0, list[Difference]()
            for day in self._days():
                base = await self._tables.base(rollup, day)
                compared += len(base)
                rolled_up = await self._tables.rollup(rollup, day)
                found += compare_figures(rollup.name, "attempts", base, rollup.name, rolled_up)
            return Checked(rollup.name, "groups", compared, tuple(found))

        return check

    async def _scopes(self) -> Checked:
        name, compared, found = "spend_by_scope", 0, list[Difference]()
        for day in self._days():
            base = by_scope(day.isoformat(), await self._tables.attributed(day))
            compared += len(base)
            found += compare_figures(name, "attempts", base, name, await self._tables.scope_rollup(day))
        return Checked(name, "groups", compared, tuple(found))

    async def _ledgers(self) -> Checked:
        ledgers = await self._ledgers_in_range()
        spent = await self._tables.spent(ledgers)
        return Checked("ledgers", "ledgers", len(ledgers), tuple(ledger_differences("ledgers", ledgers, spent)))

    async def _leases(self) -> Checked:
        ledgers = await self._ledgers_in_range()
        settled_ms = self._clock.now_ms() - round(self._range.settle_s * 1000)
        found = lease_differences("leases", ledgers, settled_ms)
        return Checked("leases", "leases", sum(len(ledger.leases) for ledger in ledgers), tuple(found))

    async def _intents(self) -> Checked:
        name, compared, found = "intents", 0, list[Difference]()
        for window in self._settled():
            count, unreported = await self._tables.unreported_intents(window)
            compared += count
            found += [Difference(name, attempt, "reports", "expected", 1, "attempts", 0) for attempt in unreported]
        return Checked(name, "due intents", compared, tuple(found))

    async def _vendors(self) -> Checked:
        assert self._statement is not None
        asked = {key: bill for key, bill in self._statement.bills.items() if self._holds(key[1])}
        left_out = len(self._statement.bills) - len(asked)
        ours = await self._tables.bills(self._range.start, self._range.end)
        found = statement_differences("statement", asked, ours, self._statement.tolerance_pico_usd)
        note = f"{left_out} of the statement's are of other days" if left_out else ""
        return Checked("statement", "bills", len(asked), tuple(found), note)

    async def _ledgers_in_range(self) -> list[LedgerState]:
        return ledgers_of(await self._read_ledgers(), self._range.start, self._range.end)

    def _holds(self, day: str) -> bool:
        return self._range.start <= date.fromisoformat(day) < self._range.end

    def _days(self) -> list[date]:
        return [self._range.start + timedelta(days=n) for n in range((self._range.end - self._range.start).days)]

    def _settled(self) -> list[Window]:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        return list(windows(self._range.start, self._range.end, now - timedelta(seconds=self._range.settle_s)))
