"""A ledger that is wanted, while ClickHouse is asked what it has spent. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from billing_consumer.authority.ledger import Ledger, open_ledger
from schemas.budgets import Budget, Period, ledger_id
from schemas.spend import LeaseReport, LeaseReports


class Opening(NamedTuple):
    """The question: what had the budget's scope spent in the period, by usage below the offsets `through` (by partition
    of `usage`; a partition that is not named has nothing that counts)?"""

    ledger_id: str
    budget: Budget
    period: Period
    through: Mapping[int, int]


class _Settled(NamedTuple):
    usage_partition: int
    end: int
    scope_delta_pico_usd: int
    lease_deltas: Mapping[str, int]


class PendingLedger:
    """Keeps what is said to the ledger until there is one: settlements all, of reports the last of each lease."""

    def __init__(self, budget: Budget, period: Period) -> None:
        self.budget = budget
        self.period = period
        self.period_start = period.start.isoformat()
        self.period_end = period.end.isoformat()
        self._through: Mapping[int, int] | None = None
        self._reports: dict[str, tuple[LeaseReports, LeaseReport]] = {}
        self._settled: list[_Settled] = []

    @property
    def asked(self) -> bool:
        return self._through is not None

    def ask(self, through: Mapping[int, int]) -> Opening:
        """`through` must be at or beyond every settlement that came before: it may not be here."""
        self._through = through
        return Opening(ledger_id(self.budget.budget_id, self.period), self.budget, self.period, through)

    def ask_again(self) -> None:
        self._through = None

    def keep_report(self, said: LeaseReports, report: LeaseReport) -> None:
        last = self._reports.get(report.lease_id)
        if last is None or last[1].seq < report.seq:
            self._reports[report.lease_id] = (said, report)

    def keep_settlement(
        self, usage_partition: int, end: int, scope_delta_pico_usd: int, lease_deltas: Mapping[str, int]
    ) -> None:
        self._settled.append(_Settled(usage_partition, end, scope_delta_pico_usd, lease_deltas))

    def open(self, spent_pico_usd: int, monotonic_s: float, now_ms: int) -> Ledger | None:
        """None if nothing was asked: the answer is to a question of before."""
        if self._through is None:
            return None
        ledger = open_ledger(self.budget, self.period, spent_pico_usd, self._through, monotonic_s, now_ms)
        # Settlements first: a grant must know of all spending that is known.
        for settled in self._settled:
            ledger.settle(*settled, now_ms)
        for said, report in self._reports.values():
            ledger.report(said, report, monotonic_s, now_ms)
        return ledger
