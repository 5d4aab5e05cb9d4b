"""One ledger: each rule of decision 5, one by one."""

from datetime import date

import pytest

from billing_consumer.authority.ledger import CLOCK_SLACK_MS, LEASE_MARGIN_S, SWEEP_GRACE_MS, Ledger, open_ledger
from billing_consumer.authority.usage_clocks import UsageClocks
from schemas.budgets import Budget, Period
from schemas.spend import LeaseReport, LeaseReports, LeaseState, UsageClock

NOW_MS = 1_790_000_000_000
TTL_S = 15.0
LONGEST_MS = 600_000
PERIOD = Period(date(2026, 9, 1), date(2026, 10, 1))


def make(limit: int = 1000, spent: int = 0, enforcement: str = "hard") -> Ledger:
    budget = Budget(
        budget_id="b",
        organization_id="o",
        scope_kind="project",
        scope_id="p",
        limit_pico_usd=limit,
        enforcement=enforcement,  # type: ignore[arg-type]
        alerts_percent=(50, 80, 90),
    )
    return open_ledger(budget, PERIOD, spent, {0: 10}, 0.0, NOW_MS)


def tell(
    ledger: Ledger,
    lease: str,
    seq: int,
    used: int = 0,
    need: int | None = None,
    want: int | None = None,
    *,
    closing: bool = False,
    at_s: float = 0.0,
    now_ms: int = NOW_MS,
) -> bool:
    need = used if need is None else need
    report = LeaseReport(
        ledger_id=ledger.ledger_id,
        lease_id=lease,
        seq=seq,
        used_pico_usd=used,
        need_pico_usd=need,
        want_pico_usd=need if want is None else want,
        closing=closing,
    )
    holder = lease.partition(".")[0]
    said = LeaseReports(holder=holder, ttl_ms=int(TTL_S * 1000), longest_request_ms=LONGEST_MS, reports=(report,))
    return ledger.report(said, report, at_s, now_ms)


def lease(ledger: Ledger, lease_id: str) -> LeaseState:
    return next(lease for lease in ledger.state(NOW_MS).leases if lease.lease_id == lease_id)


def granted(ledger: Ledger, lease_id: str) -> int:
    return lease(ledger, lease_id).granted_pico_usd


def is_short(ledger: Ledger) -> bool:
    return ledger.short


def clocks(settled_ms: int, swept_ms: int) -> UsageClocks:
    """Two partitions, of which the second is the one that is behind."""
    known = UsageClocks()
    for partition, ahead_ms in ((0, 10**9), (1, 0)):
        known.hear(
            UsageClock(
                usage_partition=partition,
                partitions=2,
                end=0,
                settled_through_ms=settled_ms + ahead_ms,
                swept_through_ms=swept_ms + ahead_ms,
            ),
            0,
        )
    return known


# Grants.


def test_a_need_is_met_and_a_wish_in_part() -> None:
    ledger = make()
    assert tell(ledger, "a.1", 1, need=100, want=900)
    assert granted(ledger, "a.1") == 100 + 900 // 2
    assert ledger.outstanding_pico_usd == 550
    assert ledger.available_pico_usd == 450


def test_the_more_holders_the_smaller_the_share_of_each() -> None:
    ledger = make()
    tell(ledger, "a.1", 1)
    tell(ledger, "a.2", 1)
    tell(ledger, "b.1", 1)
    tell(ledger, "c.1", 1, want=1000)
    assert granted(ledger, "c.1") == 1000 // 6


def test_no_more_is_granted_than_there_is_and_the_rest_when_it_comes_back() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=700)
    tell(ledger, "b.1", 1, need=500)
    assert granted(ledger, "b.1") == 300
    assert is_short(ledger)
    tell(ledger, "a.1", 2, used=550, want=550)
    assert granted(ledger, "b.1") == 450
    assert is_short(ledger)
    tell(ledger, "a.1", 3, used=550, closing=True)
    ledger.settle(0, 20, 400, {"a.1": 400}, NOW_MS)
    assert granted(ledger, "b.1") == 450
    ledger.set_limit(1050, "hard", (), NOW_MS)
    assert granted(ledger, "b.1") == 500
    assert not is_short(ledger)


def test_needs_are_met_in_the_order_in_which_they_came() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=1000)
    tell(ledger, "b.1", 1, need=10)
    tell(ledger, "c.1", 1, need=10)
    tell(ledger, "b.1", 2, need=20)
    tell(ledger, "a.1", 2, used=985)
    assert (granted(ledger, "b.1"), granted(ledger, "c.1")) == (15, 0)


def test_a_need_that_is_no_more_is_forgotten() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=1000)
    tell(ledger, "b.1", 1, need=10)
    assert is_short(ledger)
    tell(ledger, "b.1", 2)
    assert not is_short(ledger)
    tell(ledger, "a.1", 2, used=100)
    assert granted(ledger, "b.1") == 0


@pytest.mark.parametrize("end", ["closing", "silence"])
def test_the_need_of_a_lease_that_has_ended_is_forgotten(end: str) -> None:
    ledger = make(limit=100)
    tell(ledger, "b.1", 1, need=200)
    assert is_short(ledger)
    if end == "closing":
        tell(ledger, "b.1", 2, closing=True)
    else:
        ledger.expire(TTL_S + LEASE_MARGIN_S + 0.1, NOW_MS)
    ledger.set_limit(1000, "hard", (), NOW_MS)
    assert not is_short(ledger)
    assert granted(ledger, "b.1") == 100


def test_what_was_used_is_never_taken_back() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=600)
    tell(ledger, "a.1", 2, used=500, need=500, want=100)
    assert granted(ledger, "a.1") == 500


def test_nor_by_a_report_that_contradicts_itself() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=600)
    tell(ledger, "a.1", 2, used=500, need=100, want=100)
    assert granted(ledger, "a.1") == 500


def test_a_lease_that_came_back_by_a_repetition_keeps_back_no_more_than_it_was_granted_anew() -> None:
    ledger = make(spent=900)
    tell(ledger, "a.1", 1, need=300)
    assert granted(ledger, "a.1") == 100
    tell(ledger, "a.1", 2, used=300, closing=True)
    assert ledger.outstanding_pico_usd == 100


def test_a_report_counts_once_and_only_forward() -> None:
    ledger = make()
    assert tell(ledger, "a.1", 1, need=10)
    assert tell(ledger, "a.1", 3, used=5, need=300)
    assert not tell(ledger, "a.1", 3, used=5, need=900)
    assert not tell(ledger, "a.1", 2, used=0, need=0)
    assert granted(ledger, "a.1") == 300
    assert lease(ledger, "a.1").seq == 3


def test_only_a_lease_that_never_held_anything_opens_late() -> None:
    ledger = make()
    assert not tell(ledger, "a.1", 2, used=5, need=50)
    assert not tell(ledger, "a.1", 1, closing=True)
    assert not ledger.has_leases
    assert tell(ledger, "a.2", 3, used=0, need=50)
    assert granted(ledger, "a.2") == 50


@pytest.mark.parametrize(("used", "need", "want"), [(-1, 5, 5), (0, -1, 5), (0, 5, -1)])
def test_nonsense_is_ignored(used: int, need: int, want: int) -> None:
    ledger = make()
    assert not tell(ledger, "a.1", 1, used=used, need=need, want=want)
    assert not ledger.has_leases


def test_a_soft_budget_grants_nothing_and_ends_what_was_granted_before() -> None:
    ledger = make(enforcement="soft")
    assert not tell(ledger, "a.1", 1, need=5)
    ledger.set_limit(1000, "hard", (), NOW_MS)
    tell(ledger, "a.1", 1, need=5)
    tell(ledger, "b.1", 1, need=2000)
    ledger.set_limit(1000, "soft", (), NOW_MS)
    assert not is_short(ledger)
    tell(ledger, "a.1", 2, need=50)
    assert granted(ledger, "a.1") == 5
    ledger.set_limit(1000, "hard", (), NOW_MS)
    assert granted(ledger, "b.1") == 1000 - 5
    ledger.set_limit(1000, "soft", (), NOW_MS)
    tell(ledger, "a.1", 3, used=2, closing=True)
    assert lease(ledger, "a.1").phase == "closing"


# Settlements.


def test_settling_moves_money_from_outstanding_to_spent_once() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    assert ledger.settle(0, 20, 30, {"a.1": 30, "gone.1": 7}, NOW_MS)
    assert not ledger.settle(0, 20, 30, {"a.1": 30}, NOW_MS)
    assert not ledger.settle(0, 15, 30, {"a.1": 30}, NOW_MS)
    assert ledger.settle(1, 5, 10, {"a.1": 10}, NOW_MS)
    state = ledger.state(NOW_MS)
    assert (state.spent_pico_usd, state.outstanding_pico_usd, state.through) == (40, 60, {0: 20, 1: 5})


def test_a_settlement_below_where_the_ledger_began_is_in_what_it_began_with() -> None:
    ledger = make(spent=70)
    assert not ledger.settle(0, 10, 30, {}, NOW_MS)
    assert ledger.spent_pico_usd == 70


def test_a_correction_gives_money_back_to_those_who_wait() -> None:
    ledger = make(limit=100, spent=100)
    tell(ledger, "a.1", 1, need=30)
    assert is_short(ledger)
    ledger.settle(0, 20, -40, {}, NOW_MS)
    assert granted(ledger, "a.1") == 30
    assert not is_short(ledger)


# The end of leases.


def test_a_closed_lease_keeps_back_what_is_not_settled() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    tell(ledger, "a.1", 2, used=60, closing=True)
    assert ledger.outstanding_pico_usd == 60
    ledger.settle(0, 20, 25, {"a.1": 25}, NOW_MS)
    assert ledger.outstanding_pico_usd == 35
    # It says so until it is answered; but it cannot come back.
    assert tell(ledger, "a.1", 3, used=90, need=500)
    assert (lease(ledger, "a.1").seq, lease(ledger, "a.1").phase, ledger.outstanding_pico_usd) == (3, "closing", 35)


def test_a_closed_lease_goes_when_all_that_was_in_kafka_is_settled_everywhere() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    tell(ledger, "a.1", 2, used=60, closing=True)
    # The settled figure may be an audit's bound, for a request whose true cost is still to come.
    ledger.settle(0, 20, 60, {"a.1": 60}, NOW_MS)
    assert not ledger.release(clocks(NOW_MS + CLOCK_SLACK_MS - 1, 10**15), NOW_MS)
    assert not ledger.release(UsageClocks(), NOW_MS)
    ledger.settle(0, 30, -20, {"a.1": -20}, NOW_MS)
    assert ledger.outstanding_pico_usd == 20
    assert ledger.release(clocks(NOW_MS + CLOCK_SLACK_MS, 0), NOW_MS)
    assert not ledger.has_leases
    assert ledger.outstanding_pico_usd == 0


def test_silence_is_death_and_keeps_everything_back() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    tell(ledger, "b.1", 1, need=100, at_s=5.0)
    assert not ledger.expire(TTL_S + LEASE_MARGIN_S, NOW_MS)
    assert ledger.expire(TTL_S + LEASE_MARGIN_S + 0.1, NOW_MS + 7)
    assert (lease(ledger, "a.1").phase, lease(ledger, "a.1").ended_at_ms) == ("dead", NOW_MS + 7)
    assert lease(ledger, "b.1").phase == "open"
    assert ledger.outstanding_pico_usd == 200
    ledger.settle(0, 20, 30, {"a.1": 30}, NOW_MS)
    assert ledger.outstanding_pico_usd == 170


def test_a_dead_lease_that_reports_lives() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    ledger.expire(100.0, NOW_MS)
    assert tell(ledger, "a.1", 2, used=40, need=100, at_s=100.0)
    assert (lease(ledger, "a.1").phase, lease(ledger, "a.1").ended_at_ms, granted(ledger, "a.1")) == ("open", 0, 100)
    assert not ledger.expire(100.0 + TTL_S, NOW_MS)


def test_a_dead_lease_goes_when_every_request_under_it_must_be_accounted_for() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    ledger.expire(100.0, NOW_MS)
    swept_ms = NOW_MS + LONGEST_MS + SWEEP_GRACE_MS + CLOCK_SLACK_MS
    assert not ledger.release(clocks(10**15, swept_ms - 1), NOW_MS)
    assert ledger.release(clocks(0, swept_ms), NOW_MS)
    assert ledger.outstanding_pico_usd == 0


def test_an_end_that_was_written_down_by_a_clock_that_was_ahead_is_put_right() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=100)
    tell(ledger, "a.1", 2, used=60, closing=True, now_ms=NOW_MS + 86_400_000)
    assert ledger.release(clocks(0, 0), NOW_MS + 3)
    assert lease(ledger, "a.1").ended_at_ms == NOW_MS + 3


# Rebuilding.


def test_the_next_authority_knows_all_that_counts() -> None:
    before = make(spent=600)
    tell(before, "a.1", 1, need=300)
    tell(before, "b.1", 1, need=200)
    tell(before, "c.1", 1)
    tell(before, "c.1", 2, closing=True)
    state = before.state(NOW_MS)
    after = Ledger(state, 1000.0)
    assert after.state(NOW_MS) == state
    assert not after.expire(1000.0 + TTL_S + LEASE_MARGIN_S, NOW_MS)
    assert not tell(after, "a.1", 1, need=300)
    assert not after.settle(0, 10, 5, {}, NOW_MS)


def test_a_ledger_that_was_short_is_short_until_all_have_reported_or_ended() -> None:
    before = make(limit=100)
    tell(before, "a.1", 1, need=100)
    tell(before, "b.1", 1, need=50)
    after = Ledger(before.state(NOW_MS), 0.0)
    assert is_short(after)
    tell(after, "b.1", 2)
    assert is_short(after)
    assert after.expire(TTL_S + LEASE_MARGIN_S + 1, NOW_MS)
    assert not is_short(after)


# Limits and alerts.


def test_a_limit_below_what_is_out_makes_the_ledger_short() -> None:
    ledger = make()
    tell(ledger, "a.1", 1, need=400)
    assert ledger.set_limit(300, "hard", (50, 80, 90), NOW_MS)
    assert is_short(ledger)
    assert ledger.available_pico_usd == 0
    tell(ledger, "a.1", 2, used=100)
    assert not is_short(ledger)


def alerts(ledger: Ledger) -> list[tuple[str, int, int]]:
    return [(a.alert_id, a.spent_pico_usd, a.limit_pico_usd) for a in ledger.state(NOW_MS).alerts_due]


def test_the_highest_threshold_alerts_once_in_a_period() -> None:
    ledger = make()
    ledger.settle(0, 11, 499, {}, NOW_MS)
    assert alerts(ledger) == []
    ledger.settle(0, 12, 1, {}, NOW_MS)
    assert alerts(ledger) == [("b@2026-09-01:50", 500, 1000)]
    ledger.settle(0, 13, 400, {}, NOW_MS)
    assert [a[0] for a in alerts(ledger)] == ["b@2026-09-01:50", "b@2026-09-01:90"]
    ledger.settle(0, 14, -900, {}, NOW_MS)
    ledger.settle(0, 15, 850, {}, NOW_MS)
    assert len(alerts(ledger)) == 2
    assert ledger.alert_delivered("b@2026-09-01:50")
    assert not ledger.alert_delivered("b@2026-09-01:50")
    assert [a[0] for a in alerts(ledger)] == ["b@2026-09-01:90"]
    again = Ledger(ledger.state(NOW_MS), 0.0)
    assert not again.set_limit(1000, "hard", (50, 80, 90), NOW_MS)
    assert [a[0] for a in alerts(again)] == ["b@2026-09-01:90"]


def test_a_lowered_limit_may_alert_and_so_may_what_was_spent_before_the_opening() -> None:
    ledger = make(spent=400)
    assert alerts(ledger) == []
    assert ledger.set_limit(500, "hard", (50, 80, 90), NOW_MS)
    assert alerts(ledger) == [("b@2026-09-01:80", 400, 500)]
    assert alerts(make(spent=500)) == [("b@2026-09-01:50", 500, 1000)]


def test_of_a_limit_of_nothing_any_spending_alerts() -> None:
    ledger = make(limit=0)
    assert alerts(ledger) == []
    ledger.settle(0, 20, 1, {}, NOW_MS)
    assert alerts(ledger) == [("b@2026-09-01:90", 1, 0)]
