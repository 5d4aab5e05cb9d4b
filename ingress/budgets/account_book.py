"""All accounts of an ingress: which ones a request is paid from, and which have something to say. Pure.

Ten thousand accounts must cost nothing while nothing happens to them: those with something to say are found in a heap
by time, one for each partition of `spend.commands`.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

from ingress.budgets.budget_words import Standing
from ingress.budgets.lease import Lease
from ingress.budgets.lease_account import LeaseAccount
from ingress.budgets.lease_rules import LeaseRules
from ingress.budgets.ledger_view import LedgerView
from ingress.directory import Directory
from schemas.budgets import FOREVER, Budget, day_of, ledger_id, period_at
from schemas.spend import LeaseRef, LeaseReport, LeaseReports, LedgerState, SpendCommandRecord, spend_partition
from schemas.topics import TOPICS, Topic

DAY_MS = 86_400_000

MAX_REPORTS = 2000
"""In one record: about half of what Kafka takes."""


class HardCharge(NamedTuple):
    """A hard budget of a request, in the period of its acceptance: [from_ms, until_ms)."""

    budget: Budget
    from_ms: int
    until_ms: int
    account: LeaseAccount


class LedgerPeriod(NamedTuple):
    budget: Budget
    from_ms: int
    until_ms: int
    ledger_id: str


class AccountBook:
    """`holder`: a name that no other process, and no other life of this one, has. `monotonic_s`: the time.
    `longest_request_ms`: from acceptance to the deadline."""

    def __init__(
        self,
        directory: Directory,
        view: LedgerView,
        holder: str,
        longest_request_ms: int,
        rules: LeaseRules,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._view = view
        self._holder = holder
        self._longest_request_ms = longest_request_ms
        self._rules = rules
        self._monotonic_s = monotonic_s
        self._hard: dict[str, HardCharge] = {}
        self._periods: dict[str, LedgerPeriod] = {}
        self._accounts: dict[str, LeaseAccount] = {}
        self._partition_of: dict[str, int] = {}
        self._lease_numbers = count(1)
        self._entries = count()
        self._due: list[list[tuple[float, int, LeaseAccount]]] = [
            [] for _ in range(TOPICS[Topic.SPEND_COMMANDS].partitions)
        ]
        self._on_due: Callable[[int], None] | None = None
        view.listen(self._ledger_changed)

    def listen(self, on_due: Callable[[int], None]) -> None:
        """`on_due(partition)`: something has to be said there earlier than before."""
        self._on_due = on_due

    @property
    def partitions(self) -> int:
        return len(self._due)

    @property
    def accounts(self) -> int:
        return len(self._accounts)

    def hard_charges(self, scopes: tuple[str, ...], accepted_at_ms: int) -> list[HardCharge]:
        """In the order of the scopes."""
        found = []
        budgets_of, charges = self._directory.budgets_of, self._hard
        for scope in scopes:
            for budget in budgets_of(scope):
                if budget.enforcement == "hard":
                    charge = charges.get(budget.budget_id)
                    # A changed budget is another object: comparing identities is enough, and fast.
                    if (
                        charge is None
                        or charge.budget is not budget
                        or not charge.from_ms <= accepted_at_ms < charge.until_ms
                    ):
                        charge = self._new_hard(budget, accepted_at_ms)
                    found.append(charge)
        return found

    def standings(self, scopes: tuple[str, ...], accepted_at_ms: int) -> list[Standing]:
        """Of every budget, hard or soft, of whose ledger something is known."""
        standings = []
        for scope in scopes:
            for budget in self._directory.budgets_of(scope):
                spent = self._spent(budget, accepted_at_ms)
                if spent is not None:
                    standings.append(Standing(budget, budget.limit_at(accepted_at_ms), spent))
        return standings

    def next_due_s(self, partition: int) -> float:
        """Monotonic; infinity if nothing is to be said."""
        heap = self._due[partition]
        while heap and heap[0][2].due_at_s != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def collect(self, partition: int, now_s: float) -> SpendCommandRecord | None:
        """All that is due in a partition, or as much as goes in a record. It must be sent, before the next."""
        reports: list[LeaseReport] = []
        heap = self._due[partition]
        while self.next_due_s(partition) <= now_s and len(reports) < MAX_REPORTS:
            _, _, account = heappop(heap)
            reports += account.reports(now_s)
            self._drop_if_closed(account)
        return self._record(reports)

    def collect_last(self, partition: int, now_s: float) -> list[SpendCommandRecord]:
        """Closes what nothing is held of; for the end of the process."""
        reports: list[LeaseReport] = []
        for account in [a for a in self._accounts.values() if self._partition_of[a.ledger_id] == partition]:
            reports += account.close_idle(now_s)
        batches = [reports[at : at + MAX_REPORTS] for at in range(0, len(reports), MAX_REPORTS)]
        return [record for batch in batches if (record := self._record(batch)) is not None]

    def _record(self, reports: list[LeaseReport]) -> SpendCommandRecord | None:
        if not reports:
            return None
        return SpendCommandRecord(
            command=LeaseReports(
                holder=self._holder,
                ttl_ms=int(self._rules.ttl_s * 1000),
                longest_request_ms=self._longest_request_ms,
                reports=tuple(reports),
            )
        )

    def _spent(self, budget: Budget, accepted_at_ms: int) -> int | None:
        hard = self._hard.get(budget.budget_id)
        if hard is not None and hard.budget is budget and hard.from_ms <= accepted_at_ms < hard.until_ms:
            return hard.account.spent if hard.account.state is not None else None
        known = self._periods.get(budget.budget_id)
        if known is None or known.budget is not budget or not known.from_ms <= accepted_at_ms < known.until_ms:
            known = self._periods[budget.budget_id] = LedgerPeriod(budget, *_bounds(budget, accepted_at_ms))
        state = self._view.state(known.ledger_id)
        return None if state is None else state.spent_pico_usd

    def _new_hard(self, budget: Budget, accepted_at_ms: int) -> HardCharge:
        before = self._hard.get(budget.budget_id)
        if before is not None:
            self._drop_if_closed(before.account)
        from_ms, until_ms, ledger = _bounds(budget, accepted_at_ms)
        charge = HardCharge(budget, from_ms, until_ms, self._account(ledger, budget.scope))
        self._hard[budget.budget_id] = charge
        return charge

    def _account(self, ledger: str, scope: str) -> LeaseAccount:
        account = self._accounts.get(ledger)
        if account is None:
            self._partition_of[ledger] = spend_partition(scope)
            account = self._accounts[ledger] = LeaseAccount(
                ledger, self._view.state(ledger), self._rules, self._open_lease, self._schedule, self._monotonic_s()
            )
        return account

    def _open_lease(self, account: LeaseAccount, now_s: float) -> Lease:
        lease_id = f"{self._holder}.{next(self._lease_numbers)}"
        ref = LeaseRef(self._partition_of[account.ledger_id], account.ledger_id, lease_id)
        return Lease(lease_id, str(ref), now_s)

    def _schedule(self, account: LeaseAccount) -> None:
        partition = self._partition_of[account.ledger_id]
        heap = self._due[partition]
        heappush(heap, (account.due_at_s, next(self._entries), account))
        if heap[0][2] is account and self._on_due is not None:
            self._on_due(partition)

    def _ledger_changed(self, ledger: str, state: LedgerState | None) -> None:
        account = self._accounts.get(ledger)
        if account is not None:
            account.answer(state, self._monotonic_s())
            self._drop_if_closed(account)

    def _drop_if_closed(self, account: LeaseAccount) -> None:
        """Customers come and go: what nothing is held of must not stay in memory."""
        if account.is_closed and self._accounts.get(account.ledger_id) is account:
            account.due_at_s = inf
            del self._accounts[account.ledger_id]
            del self._partition_of[account.ledger_id]
            budget_id = account.ledger_id.rpartition("@")[0]
            charge = self._hard.get(budget_id)
            if charge is not None and charge.account is account:
                del self._hard[budget_id]


def _bounds(budget: Budget, at_ms: int) -> tuple[int, int, str]:
    """The period around a time, in unix ms from and to before, and its ledger."""
    period = period_at(budget.period, day_of(at_ms))
    from_ms, until_ms = ((day - FOREVER.start).days * DAY_MS for day in period)
    return from_ms, until_ms, ledger_id(budget.budget_id, period)
