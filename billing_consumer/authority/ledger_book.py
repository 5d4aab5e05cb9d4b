"""All ledgers of one partition, as its authority keeps them for one term. Pure.

Commands go in, in the order of the log; states to be written come out (`dirty`), and questions to ClickHouse
(`openings`). What a command led to takes effect when the states it led to are read back as valid; commands whose states
were not may be applied again, to this book or to the next authority's.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

from billing_consumer.authority.ledger import CLOCK_SLACK_MS, Ledger
from billing_consumer.authority.pending_ledger import Opening, PendingLedger
from billing_consumer.authority.usage_clocks import UsageClocks
from schemas.budgets import FOREVER, Budget, Period, day_of, ledger_id, period_at
from schemas.spend import (
    LeaseReports,
    LedgerState,
    Settlement,
    Settlements,
    SpendCommand,
    spend_partition,
)

OPEN_EARLY_MS = 15 * 60_000
"""How long before a period's end the next one's ledger is opened, so that ClickHouse may be away at midnight."""

BUSY_S = 3600.0
"""A ledger that was settled to within this time is likely to be needed in the next period too."""

IDLE_PER_TICK = 500
"""Of ledgers without leases, of which there may be one for every customer, so many are looked at in a tick."""

KEEP_AFTER_END_MS = 86_400_000
"""How long a ledger outlives its period: late usage still counts in it."""


class BudgetLookup(Protocol):
    """The configuration as it is now. It must be read to its end before a book is ticked: a budget that is not there
    counts as deleted."""

    def budget(self, budget_id: str) -> Budget | None: ...

    def budgets_of(self, scope: str) -> tuple[Budget, ...]: ...


class LedgerBook:
    """`monotonic_s`, `now_ms`: the moment of taking over, when the wall clock must be right to within CLOCK_SLACK_MS.
    From then on it may jump: time is taken from whatever shows the latest of it, the wall clock, the time that has
    passed since, and Kafka's clock. A lease that ended too late is only kept back for longer."""

    def __init__(self, partition: int, budgets: BudgetLookup, monotonic_s: float, now_ms: int) -> None:
        self._partition = partition
        self._budgets = budgets
        self._began_s = monotonic_s
        self._began_ms = now_ms
        self._now_ms = now_ms
        self._clocks = UsageClocks()
        self._ledgers: dict[str, Ledger] = {}
        self._pending: dict[str, PendingLedger] = {}
        self._of_scope: defaultdict[str, set[str]] = defaultdict(set)
        self._settled_s: dict[str, float] = {}
        self._budget_applied: dict[str, Budget] = {}
        self._dirty: dict[str, None] = {}
        self._idle_turn: list[str] = []

    def load(self, state: LedgerState) -> None:
        """As the authority before left it; for every ledger of the partition, before the first command."""
        self._add(Ledger(state, self._began_s))

    def apply(self, command: SpendCommand, monotonic_s: float, now_ms: int, offset: int = 0) -> None:
        """`offset`: the command's own, for `replay_from`."""
        now_ms = self._latest(monotonic_s, now_ms)
        if isinstance(command, LeaseReports):
            self._report(command, monotonic_s, now_ms)
        elif isinstance(command, Settlements):
            for batch in command.batches:
                self._clocks.reached(batch.usage_partition, batch.end, offset)
                self._settle(batch, monotonic_s, now_ms)
        else:
            self._clocks.hear(command, offset)

    def tick(self, monotonic_s: float, now_ms: int) -> None:
        """What time brings: leases that die or are let go, raises that end, periods that end."""
        now_ms = self._latest(monotonic_s, now_ms)
        settled_ms = self._clocks.settled_ms
        for name, ledger in self._ledgers_in_turn():
            budget = self._budgets.budget(ledger.budget_id)
            if budget is not None and not self._is_of(ledger, budget, name):
                budget = None
            if budget is not None:
                self._set_limit(name, ledger, budget, now_ms)
            if ledger.has_leases and (ledger.expire(monotonic_s, now_ms) or ledger.release(self._clocks, now_ms)):
                self._dirty[name] = None
            if not ledger.has_leases and (budget is None or settled_ms >= ledger.ends_at_ms + KEEP_AFTER_END_MS):
                self._retire(name, ledger)
            elif budget is not None:
                self._open_next_early(name, ledger, budget, monotonic_s, now_ms)
        for name, pending in list(self._pending.items()):
            budget = self._budgets.budget(pending.budget.budget_id)
            is_of = budget is not None and budget.scope == pending.budget.scope and _has(budget, pending.period)
            # One that is asked for stays: its answer must not be taken for that to a later question.
            if not is_of and not pending.asked:
                del self._pending[name]
                self._forget_scope(name, pending.budget.scope)

    def openings(self) -> list[Opening]:
        """What ClickHouse is to be asked. Each is told once, until `failed` says that there will be no answer."""
        if not self._clocks.complete:
            return []
        return [pending.ask(self._clocks.ends()) for pending in self._pending.values() if not pending.asked]

    def opened(self, name: str, spent_pico_usd: int, monotonic_s: float, now_ms: int) -> None:
        """The answer to the last opening of this ledger. An answer that nobody waits for is ignored."""
        pending = self._pending.get(name)
        ledger = (
            None if pending is None else pending.open(spent_pico_usd, monotonic_s, self._latest(monotonic_s, now_ms))
        )
        if ledger is not None:
            del self._pending[name]
            self._add(ledger)
            self._settled_s[name] = monotonic_s
            self._dirty[name] = None

    def failed(self, name: str) -> None:
        """There is no answer: it will be asked again, from where usage is by then."""
        if name in self._pending:
            self._pending[name].ask_again()

    def alert_delivered(self, name: str, alert_id: str) -> None:
        ledger = self._ledgers.get(name)
        if ledger is not None and ledger.alert_delivered(alert_id):
            self._dirty[name] = None

    def repeat(self, name: str) -> None:
        """To be written once more: a void record has the place of this one's key in the log (`schemas.fencing`)."""
        self._dirty[name] = None

    def dirty(self) -> list[tuple[str, LedgerState | None]]:
        """What has changed since the last call, to be written. None: the ledger is retired."""
        names, self._dirty = self._dirty, {}
        return [(name, self._ledgers[name].state(self._now_ms) if name in self._ledgers else None) for name in names]

    def replay_from(self, done: int) -> int:
        """The offset to commit when all that commands below `done` led to is read back. It is some seconds lower, so
        that the next authority learns how far usage was known to have come: it could take a late, older clock for the
        latest, and open a ledger without what was settled, and dropped, since then."""
        since = self._clocks.said_since
        return done if since is None else min(done, since)

    def ledger(self, name: str) -> Ledger | None:
        return self._ledgers.get(name)

    def _latest(self, monotonic_s: float, now_ms: int) -> int:
        passed_ms = int((monotonic_s - self._began_s) * 1000)
        self._now_ms = max(now_ms, self._began_ms + passed_ms, self._clocks.latest_ms)
        return self._now_ms

    def _report(self, said: LeaseReports, monotonic_s: float, now_ms: int) -> None:
        for report in said.reports:
            name = report.ledger_id
            ledger = self._ledgers.get(name)
            budget = self._budgets.budget(name.rpartition("@")[0])
            if ledger is not None:
                # What is left of a budget that is no more takes no new leases, so that it ends.
                ends = budget is None or not self._is_of(ledger, budget, name)
                if budget is not None and not ends:
                    # Without a lease it may not have been looked at since the budget was changed.
                    self._set_limit(name, ledger, budget, now_ms)
                if (not ends or ledger.has_lease(report.lease_id)) and ledger.report(said, report, monotonic_s, now_ms):
                    self._dirty[name] = None
            # A budget may have been moved to another partition's scope: two authorities would grant its limit twice.
            elif budget is not None and spend_partition(budget.scope) == self._partition:
                for period in _periods_around(budget, now_ms):
                    if ledger_id(budget.budget_id, period) == name:
                        self._want(name, budget, period).keep_report(said, report)

    def _settle(self, batch: Settlement, monotonic_s: float, now_ms: int) -> None:
        scope_deltas: defaultdict[str, int] = defaultdict(int)
        for delta in batch.scopes:
            self._want_for_scope(delta.scope, delta.day, now_ms)
            for name in self._of_scope.get(delta.scope, ()):
                at = self._ledgers.get(name) or self._pending[name]
                if at.period_start <= delta.day < at.period_end:
                    scope_deltas[name] += delta.delta_pico_usd
        lease_deltas: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for paid in batch.leases:
            of_ledger = lease_deltas[paid.ledger_id]
            of_ledger[paid.lease_id] = of_ledger.get(paid.lease_id, 0) + paid.delta_pico_usd
        # Once for each ledger, with all that the batch says of it: what comes second is taken for a repetition.
        for name in scope_deltas.keys() | lease_deltas.keys():
            said = (batch.usage_partition, batch.end, scope_deltas[name], lease_deltas[name])
            if name in self._pending:
                self._pending[name].keep_settlement(*said)
            elif name in self._ledgers:
                self._settled_s[name] = monotonic_s
                if self._ledgers[name].settle(*said, now_ms):
                    self._dirty[name] = None

    def _want_for_scope(self, scope: str, day: str, now_ms: int) -> None:
        for budget in self._budgets.budgets_of(scope):
            for period in _periods_around(budget, now_ms):
                name = ledger_id(budget.budget_id, period)
                if name not in self._ledgers and period.start.isoformat() <= day < period.end.isoformat():
                    self._want(name, budget, period)

    def _want(self, name: str, budget: Budget, period: Period) -> PendingLedger:
        if name not in self._pending:
            self._pending[name] = PendingLedger(budget, period)
            self._of_scope[budget.scope].add(name)
        return self._pending[name]

    def _add(self, ledger: Ledger) -> None:
        self._ledgers[ledger.ledger_id] = ledger
        self._of_scope[ledger.scope].add(ledger.ledger_id)

    def _retire(self, name: str, ledger: Ledger) -> None:
        del self._ledgers[name]
        self._settled_s.pop(name, None)
        self._budget_applied.pop(name, None)
        self._forget_scope(name, ledger.scope)
        self._dirty[name] = None

    def _forget_scope(self, name: str, scope: str) -> None:
        of_scope = self._of_scope[scope]
        of_scope.discard(name)
        if not of_scope:
            del self._of_scope[scope]

    def _is_of(self, ledger: Ledger, budget: Budget, name: str) -> bool:
        """Whether the ledger is still the budget's: its scope or period may have been changed."""
        if self._budget_applied.get(name) is budget:
            return True
        return ledger.scope == budget.scope and _has(budget, ledger.period)

    def _set_limit(self, name: str, ledger: Ledger, budget: Budget, now_ms: int) -> None:
        if self._budget_applied.get(name) is budget and not budget.raises:
            return
        self._budget_applied[name] = budget
        if ledger.set_limit(budget.limit_at(now_ms), budget.enforcement, budget.alerts_percent, now_ms):
            self._dirty[name] = None

    def _ledgers_in_turn(self) -> list[tuple[str, Ledger]]:
        """All that have leases, and the next of the others."""
        if not self._idle_turn:
            self._idle_turn = [name for name, ledger in self._ledgers.items() if not ledger.has_leases]
        turn, self._idle_turn = self._idle_turn[:IDLE_PER_TICK], self._idle_turn[IDLE_PER_TICK:]
        leased = [(name, ledger) for name, ledger in self._ledgers.items() if ledger.has_leases]
        idle = [(name, self._ledgers[name]) for name in turn if name in self._ledgers]
        return leased + [(name, ledger) for name, ledger in idle if not ledger.has_leases]

    def _open_next_early(self, name: str, ledger: Ledger, budget: Budget, monotonic_s: float, now_ms: int) -> None:
        if not ledger.ends_at_ms - OPEN_EARLY_MS <= now_ms < ledger.ends_at_ms:
            return
        settled_s = self._settled_s.get(name)
        if ledger.has_leases or (settled_s is not None and monotonic_s - settled_s <= BUSY_S):
            period = period_at(budget.period, ledger.period.end)
            next_name = ledger_id(budget.budget_id, period)
            if next_name not in self._ledgers:
                self._want(next_name, budget, period)


def _has(budget: Budget, period: Period) -> bool:
    """Whether it is one of the budget's periods."""
    return period_at(budget.period, period.start) == period


def _periods_around(budget: Budget, now_ms: int) -> Iterator[Period]:
    """The current period and the next; just after its end also the one before, which hosts may still be in."""
    current = period_at(budget.period, day_of(now_ms))
    before = period_at(budget.period, day_of(now_ms - CLOCK_SLACK_MS))
    if before != current:
        yield before
    yield current
    if current != FOREVER:
        yield period_at(budget.period, current.end)
