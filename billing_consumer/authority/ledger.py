"""One ledger: what its budget has spent in a period, and who may still spend how much of it. Pure.

    spent + what is outstanding on leases ≤ limit          (DESIGN §5, decision 5)

A lease's money is outstanding until it is known where it went. Grants are made only from what is neither spent nor
outstanding. Whatever is asked for and does not fit is remembered, and granted as soon as money comes back.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from msgspec.structs import replace

from billing_consumer.authority.usage_clocks import UsageClocks
from schemas.budgets import Budget, Enforcement, Period, ledger_id
from schemas.spend import AlertDue, LeaseReport, LeaseReports, LeaseState, LedgerState

LEASE_MARGIN_S = 2.0
"""How much longer than a lease's `ttl` its ingress may be silent: two hosts' seconds are not quite equally long."""

CLOCK_SLACK_MS = 5_000
"""Wall clocks of two hosts, and of Kafka, agree within this."""

SWEEP_GRACE_MS = 5_000
"""An intent is due this long after its request's deadline (billing_consumer/intents.py)."""


def open_ledger(
    budget: Budget, period: Period, spent_pico_usd: int, through: Mapping[int, int], monotonic_s: float, now_ms: int
) -> "Ledger":
    """`spent_pico_usd`: by all usage below the offsets `through`."""
    state = LedgerState(
        ledger_id=ledger_id(budget.budget_id, period),
        budget_id=budget.budget_id,
        scope=budget.scope,
        enforcement=budget.enforcement,
        period_start=period.start.isoformat(),
        period_end=period.end.isoformat(),
        limit_pico_usd=budget.limit_at(now_ms),
        spent_pico_usd=spent_pico_usd,
        through=dict(through),
    )
    ledger = Ledger(state, monotonic_s)
    ledger.set_limit(state.limit_pico_usd, state.enforcement, budget.alerts_percent, now_ms)
    return ledger


class Ledger:
    """Methods say whether anything changed. Times are the caller's: `monotonic_s` to measure silence, `now_ms` for what
    is written down."""

    def __init__(self, state: LedgerState, monotonic_s: float) -> None:
        """As the authority before left it. Every lease counts as heard now: how long it was silent, nobody knows."""
        self._written = state
        self.period = Period(date.fromisoformat(state.period_start), date.fromisoformat(state.period_end))
        self.ends_at_ms = int(datetime.combine(self.period.end, time.min, UTC).timestamp()) * 1000
        self.ledger_id = state.ledger_id
        self.spent_pico_usd = state.spent_pico_usd
        self._limit_pico_usd = state.limit_pico_usd
        self._enforcement: Enforcement = state.enforcement
        self._through = dict(state.through)
        self._leases = {lease.lease_id: lease for lease in state.leases}
        self._alerts_percent: tuple[int, ...] = ()
        self._alerted_percent = state.alerted_percent
        self._alerts_due = state.alerts_due
        self._heard_s = dict.fromkeys(self._leases, monotonic_s)
        # Needs are not written down: until every lease has reported again, a ledger that was short still is.
        self._short_since_before = {lease.lease_id for lease in state.leases if lease.phase == "open" and state.short}
        self._unmet: dict[str, int] = {}

    @property
    def budget_id(self) -> str:
        return self._written.budget_id

    @property
    def scope(self) -> str:
        return self._written.scope

    @property
    def period_start(self) -> str:
        return self._written.period_start

    @property
    def period_end(self) -> str:
        return self._written.period_end

    @property
    def has_leases(self) -> bool:
        return bool(self._leases)

    def has_lease(self, lease_id: str) -> bool:
        return lease_id in self._leases

    @property
    def outstanding_pico_usd(self) -> int:
        return sum(lease.outstanding_pico_usd for lease in self._leases.values())

    @property
    def available_pico_usd(self) -> int:
        """What may still be granted. Soft budgets grant nothing: nobody has to ask."""
        if self._enforcement == "soft":
            return 0
        return max(0, self._limit_pico_usd - self.spent_pico_usd - self.outstanding_pico_usd)

    @property
    def short(self) -> bool:
        """Also when the limit was lowered below what is out: what lies idle should come back."""
        if self._enforcement == "soft":
            return False
        outstanding = self.outstanding_pico_usd
        overdrawn = outstanding > 0 and self.spent_pico_usd + outstanding > self._limit_pico_usd
        return bool(self._unmet or self._short_since_before or overdrawn)

    def report(self, said: LeaseReports, report: LeaseReport, monotonic_s: float, now_ms: int) -> bool:
        """One report of those in `said`. A closed lease stays closed; a dead one lives again, for all of it is still
        kept back."""
        amounts = (report.used_pico_usd, report.need_pico_usd, report.want_pico_usd)
        known = self._leases.get(report.lease_id)
        if min(amounts) < 0 or (known is not None and report.seq <= known.seq):
            return False
        if known is None and (self._enforcement == "soft" or not _may_open(report)):
            return False
        lease = replace(known or _new_lease(said, report), seq=report.seq)
        if lease.phase != "closing":
            self._heard_s[lease.lease_id] = monotonic_s
            in_need = not report.closing and report.need_pico_usd > lease.granted_pico_usd
            self._forget_need(lease.lease_id, keep_place=in_need)
            longest_ms = max(lease.longest_request_ms, said.longest_request_ms)
            lease = replace(lease, ttl_ms=said.ttl_ms, longest_request_ms=longest_ms)
            lease = _closed(lease, report, now_ms) if report.closing else _opened(lease, report)
        self._leases[lease.lease_id] = lease
        if lease.phase == "open":
            self._grant(lease.lease_id, report)
        self._conclude(now_ms)
        return True

    def settle(
        self, usage_partition: int, end: int, scope_delta_pico_usd: int, lease_deltas: Mapping[str, int], now_ms: int
    ) -> bool:
        """All that one batch of usage changes here, at once: a second call with the same `end` is a repetition."""
        if end <= self._through.get(usage_partition, 0):
            return False
        self._through[usage_partition] = end
        self.spent_pico_usd += scope_delta_pico_usd
        for lease_id, delta in lease_deltas.items():
            lease = self._leases.get(lease_id)
            if lease is not None:
                self._leases[lease_id] = replace(lease, settled_pico_usd=lease.settled_pico_usd + delta)
        self._conclude(now_ms)
        return True

    def expire(self, monotonic_s: float, now_ms: int) -> bool:
        """Leases that were silent for too long are dead. To be wrong about it is safe: it only keeps money back."""
        silent = [
            lease
            for lease in self._leases.values()
            if lease.phase == "open"
            and monotonic_s - self._heard_s[lease.lease_id] > lease.ttl_ms / 1000 + LEASE_MARGIN_S
        ]
        for lease in silent:
            self._leases[lease.lease_id] = replace(lease, phase="dead", ended_at_ms=now_ms)
            self._forget_need(lease.lease_id)
        if silent:
            self._conclude(now_ms)
        return bool(silent)

    def release(self, clocks: UsageClocks, now_ms: int) -> bool:
        """Lets go of leases of which it is known where all the money went.

        That `settled` has reached `used` does not say so: a lost request is settled at its bound until its true cost is
        known, and the excess would hide another request that is not settled yet.
        """
        changed = False
        for lease in list(self._leases.values()):
            if lease.phase != "open" and lease.ended_at_ms > now_ms:
                # It has ended, so it ended before now: the clock was ahead when that was written down.
                lease = self._leases[lease.lease_id] = replace(lease, ended_at_ms=now_ms)
                changed = True
            if _is_accounted_for(lease, clocks):
                del self._leases[lease.lease_id]
                del self._heard_s[lease.lease_id]
                changed = True
        if changed:
            self._conclude(now_ms)
        return changed

    def set_limit(
        self, limit_pico_usd: int, enforcement: Enforcement, alerts_percent: tuple[int, ...], now_ms: int
    ) -> bool:
        """A lower limit takes no lease back; it makes the ledger short, and grants wait."""
        asked = (limit_pico_usd, enforcement, alerts_percent)
        if asked == (self._limit_pico_usd, self._enforcement, self._alerts_percent):
            return False
        changed = asked[:2] != (self._limit_pico_usd, self._enforcement)
        self._limit_pico_usd, self._enforcement, self._alerts_percent = asked
        alerted_percent = self._alerted_percent
        self._conclude(now_ms)
        return changed or self._alerted_percent != alerted_percent

    def alert_delivered(self, alert_id: str) -> bool:
        before = self._alerts_due
        self._alerts_due = tuple(alert for alert in before if alert.alert_id != alert_id)
        return self._alerts_due != before

    def state(self, now_ms: int) -> LedgerState:
        return replace(
            self._written,
            enforcement=self._enforcement,
            limit_pico_usd=self._limit_pico_usd,
            spent_pico_usd=self.spent_pico_usd,
            through=dict(self._through),
            leases=tuple(self._leases.values()),
            short=self.short,
            alerted_percent=self._alerted_percent,
            alerts_due=self._alerts_due,
            as_of_ms=now_ms,
        )

    def _grant(self, lease_id: str, report: LeaseReport) -> None:
        if report.need_pico_usd > self._leases[lease_id].granted_pico_usd:
            self._unmet[lease_id] = report.need_pico_usd
        self._meet_needs()
        lease = self._leases[lease_id]
        # Of what is left over nobody gets more than a share: half of it, at most, is out for what may come.
        holders = {other.holder for other in self._leases.values() if other.phase == "open"}
        share = self.available_pico_usd // (2 * len(holders))
        extra = min(max(0, report.want_pico_usd - lease.granted_pico_usd), share)
        self._leases[lease_id] = replace(lease, granted_pico_usd=lease.granted_pico_usd + extra)

    def _meet_needs(self) -> None:
        """First come, first served; a need may be met in part, so that of several small requests some can start."""
        available = self.available_pico_usd
        for lease_id, need in list(self._unmet.items()):
            if available == 0:
                return
            lease = self._leases[lease_id]
            granted = min(need, lease.granted_pico_usd + available)
            available -= granted - lease.granted_pico_usd
            self._leases[lease_id] = replace(lease, granted_pico_usd=granted)
            if granted == need:
                del self._unmet[lease_id]

    def _forget_need(self, lease_id: str, *, keep_place: bool = False) -> None:
        self._short_since_before.discard(lease_id)
        if not keep_place:
            self._unmet.pop(lease_id, None)

    def _conclude(self, now_ms: int) -> None:
        self._meet_needs()
        spent, limit = self.spent_pico_usd, self._limit_pico_usd
        crossed = max((p for p in self._alerts_percent if spent > 0 and spent * 100 >= limit * p), default=0)
        if crossed > self._alerted_percent:
            self._alerted_percent = crossed
            alert = AlertDue(
                alert_id=f"{self.ledger_id}:{crossed}",
                percent=crossed,
                spent_pico_usd=spent,
                limit_pico_usd=limit,
                crossed_at_ms=now_ms,
            )
            self._alerts_due = (*self._alerts_due, alert)


def _may_open(report: LeaseReport) -> bool:
    """A lease that was let go must not come back with what it once used. A later report than the first may open it if
    nothing was ever held under it: the first may have been lost with an authority that had not opened the ledger."""
    return not report.closing and (report.seq == 1 or report.used_pico_usd == 0)


def _new_lease(said: LeaseReports, report: LeaseReport) -> LeaseState:
    return LeaseState(
        lease_id=report.lease_id,
        holder=said.holder,
        seq=report.seq,
        granted_pico_usd=0,
        used_pico_usd=0,
        settled_pico_usd=0,
    )


def _opened(lease: LeaseState, report: LeaseReport) -> LeaseState:
    """Its ingress uses no more than `want` from here on, so the rest is free; but never what it has used already."""
    granted = min(lease.granted_pico_usd, max(report.used_pico_usd, report.want_pico_usd))
    return replace(lease, phase="open", ended_at_ms=0, granted_pico_usd=granted, used_pico_usd=report.used_pico_usd)


def _closed(lease: LeaseState, report: LeaseReport, now_ms: int) -> LeaseState:
    """No more than was granted: a lease that came back by a repetition may speak of more, long settled."""
    used = min(report.used_pico_usd, lease.granted_pico_usd)
    return replace(lease, phase="closing", used_pico_usd=used, ended_at_ms=now_ms)


def _is_accounted_for(lease: LeaseState, clocks: UsageClocks) -> bool:
    """closing: all its usage was in Kafka when it ended. dead: a request that it pays for may have started until it
    ended, and may leave nothing but an intent."""
    if lease.phase == "closing":
        return clocks.settled_ms >= lease.ended_at_ms + CLOCK_SLACK_MS
    if lease.phase == "dead":
        longest_ms = lease.longest_request_ms + SWEEP_GRACE_MS + CLOCK_SLACK_MS
        return clocks.swept_ms >= lease.ended_at_ms + longest_ms
    return False
