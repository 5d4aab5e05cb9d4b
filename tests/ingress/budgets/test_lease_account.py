"""One account and the real authority: asking, waiting, topping up, giving back, replacing."""

from typing import Any

import pytest

from ingress.budgets.lease import Lease
from ingress.budgets.lease_account import MAX_KEPT_BACK, LeaseAccount
from ingress.budgets.lease_hold import LeaseHold, Waiter
from schemas.spend import LeaseDelta, LeaseReport, LeaseReports, LedgerState, lease_ref
from tests.ingress.budgets.world import NOON_MS, RULES, World, budget, tell

KEY = ("api_key:k",)


class Desk(World):
    """A world with one budget of 1,000, and its account."""

    def __init__(self, limit: int = 1000) -> None:
        self.budget = budget(limit)
        super().__init__(self.budget)

    @property
    def account(self) -> LeaseAccount:
        return self.book.hard_charges(KEY, self.clock.now_ms())[0].account

    @property
    def state(self) -> LedgerState:
        state = self.view.state("b-api_key-k@2026-11-22")
        assert state is not None
        return state

    def queue(self, amount: int) -> tuple[Waiter, list[int]]:
        woken: list[int] = []
        waiter = Waiter(lambda: woken.append(1))
        self.account.wait(waiter, amount, self.clock.s)
        return waiter, woken

    def hold(self, amount: int) -> LeaseHold:
        """After whatever it takes."""
        hold = self.account.hold(amount, self.clock.s)
        if hold is None:
            waiter, _ = self.queue(amount)
            self.pump()
            hold = self.account.hold(amount, self.clock.s, waiter)
            self.account.leave(waiter, self.clock.s)
        assert hold is not None
        return hold

    def settle(self, hold: LeaseHold, cost: int) -> None:
        self.account.settle(hold, cost, self.clock.s)

    def said(self, number: int = -1) -> LeaseReports:
        command = self.records[number].command
        assert isinstance(command, LeaseReports)
        return command


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_nothing_is_held_before_the_authority_has_granted(desk: Desk) -> None:
    assert desk.account.hold(1, desk.clock.s) is None
    _, woken = desk.queue(10)
    assert desk.collect() == 1
    assert desk.account.hold(10, desk.clock.s) is None
    desk.answer()
    assert woken


def test_the_first_need_speaks_at_once_and_asks_ahead(desk: Desk) -> None:
    desk.hold(10)
    (report,) = desk.said().reports
    assert (report.seq, report.used_pico_usd, report.need_pico_usd) == (1, 0, 10)
    # The next one finds room without a word.
    desk.hold(10)
    desk.run(0.3)
    assert desk.account.hold(10, desk.clock.s)


def test_what_settles_is_free_again(desk: Desk) -> None:
    hold = desk.hold(900)
    assert desk.account.hold(900, desk.clock.s) is None
    desk.settle(hold, 50)
    assert desk.account.hold(850, desk.clock.s)
    assert desk.account.spent == 50


def test_cost_beyond_the_hold_counts(desk: Desk) -> None:
    desk.settle(desk.hold(100), 700)
    assert desk.account.spent == 700
    desk.run(1)
    assert desk.account.hold(400, desk.clock.s) is None


def test_waiters_are_served_in_order_and_newcomers_after_them(desk: Desk) -> None:
    hold = desk.hold(1000)
    first, first_woken = desk.queue(600)
    second, second_woken = desk.queue(100)
    desk.settle(hold, 350)
    assert first_woken
    assert not second_woken
    assert desk.account.hold(10, desk.clock.s) is None
    assert desk.account.hold(100, desk.clock.s, second) is None
    assert desk.account.hold(600, desk.clock.s, first)
    desk.account.leave(first, desk.clock.s)
    # 50 are left: too little for the second, and it is not passed over.
    assert desk.account.hold(10, desk.clock.s) is None
    desk.account.leave(second, desk.clock.s)
    assert desk.account.hold(10, desk.clock.s)


def test_who_leaves_makes_way(desk: Desk) -> None:
    hold = desk.hold(1000)
    first, _ = desk.queue(800)
    _, woken = desk.queue(100)
    desk.settle(hold, 800)
    assert not woken
    desk.account.leave(first, desk.clock.s)
    assert woken


def test_a_need_that_is_no_more_is_taken_back(desk: Desk) -> None:
    desk.hold(1000)
    waiter, _ = desk.queue(500)
    desk.run(0.2)
    assert desk.state.short
    desk.account.leave(waiter, desk.clock.s)
    desk.run(0.3)
    assert not desk.state.short


def test_a_lease_is_good_for_its_ttl_after_the_answered_report_was_sent(desk: Desk) -> None:
    waiter, _ = desk.queue(10)
    desk.collect()
    desk.clock.s += RULES.good_for_s - 1
    desk.answer()
    assert desk.account.fits(10, desk.clock.s, waiter)
    desk.clock.s += 1
    assert not desk.account.fits(10, desk.clock.s, waiter)
    assert desk.account.hold(10, desk.clock.s, waiter) is None


def test_unanswered_renewals_do_not_prolong_it_and_holds_settle_on(desk: Desk) -> None:
    hold = desk.hold(100)
    for _ in range(40):
        desk.clock.s += 0.5
        desk.collect()
    assert not desk.account.verified(desk.clock.s)
    assert desk.account.hold(1, desk.clock.s) is None
    assert not desk.account.extend(hold, 1, desk.clock.s)
    desk.settle(hold, 60)
    desk.run(1)
    assert desk.hold(900).amount == 900


def test_renewals_keep_it_valid_with_few_records(desk: Desk) -> None:
    hold = desk.hold(10)
    before = len(desk.records)
    for _ in range(29):
        desk.run(1)
        assert desk.account.verified(desk.clock.s)
    assert len(desk.records) - before <= 7
    desk.settle(hold, 5)


def test_it_is_replaced_while_requests_go_on(desk: Desk) -> None:
    first = desk.hold(10)
    for _ in range(45):
        desk.run(1)
        desk.settle(desk.hold(10), 1)
    second = desk.hold(10)
    assert second.lease is not first.lease
    desk.settle(first, 10)
    desk.run(10)
    phases = {lease.lease_id: lease.phase for lease in desk.state.leases}
    assert phases.get(first.lease.lease_id, "gone") in ("closing", "gone")
    assert phases[second.lease.lease_id] == "open"


def test_an_idle_one_is_closed_and_the_account_forgotten(desk: Desk) -> None:
    desk.settle(desk.hold(10), 7)
    desk.run(40)
    (lease,) = desk.state.leases or (None,)
    assert lease is None or lease.phase == "closing"
    assert desk.book.accounts == 0
    before = len(desk.records)
    desk.run(20)
    assert len(desk.records) == before


def test_when_somebody_is_short_what_lies_idle_is_given_back() -> None:
    one = Desk()
    one.settle(one.hold(200), 10)
    assert one.account.hold(300, one.clock.s), "it asked ahead"
    granted = sum(lease.granted_pico_usd for lease in one.state.leases)
    partition = one.said()
    hungry = LeaseReports(
        holder="other", ttl_ms=partition.ttl_ms, longest_request_ms=1, reports=(_need("other.1", one.state, 600),)
    )
    number = next(n for n, each in enumerate(one.authorities) if each.ledger(one.state.ledger_id) is not None)
    one.command(number, hungry)
    one.answer()
    assert one.state.short
    one.run(0.3)
    ours = [lease for lease in one.state.leases if lease.holder == "i1"]
    assert sum(lease.granted_pico_usd for lease in ours) == 310 < granted
    assert not one.state.short


def _need(lease_id: str, state: LedgerState, amount: int) -> LeaseReport:
    return LeaseReport(
        ledger_id=state.ledger_id,
        lease_id=lease_id,
        seq=1,
        used_pico_usd=0,
        need_pico_usd=amount,
        want_pico_usd=amount,
    )


def test_a_lower_limit_calls_back_what_lies_idle() -> None:
    desk = Desk()
    desk.settle(desk.hold(200), 10)
    assert desk.account.has_room(300, desk.clock.s)
    desk.set(budget(100))
    desk.answer()
    desk.run(0.3)
    assert not desk.account.has_room(100, desk.clock.s)
    assert desk.account.hold(50, desk.clock.s) is None
    assert desk.state.outstanding_pico_usd == 10


def test_a_dead_lease_is_not_drawn_on(desk: Desk) -> None:
    desk.hold(10)
    lease = desk.state.leases[0]
    desk.clock.s += 18
    # The authority has heard nothing for too long; the ingress still has its report to make.
    desk.answer()
    assert desk.state.leases[0].phase == "dead"
    assert desk.account.hold(1, desk.clock.s) is None
    fresh = desk.hold(10)
    assert fresh.lease.lease_id != lease.lease_id


def test_an_extension_from_a_later_lease_stays_used_there(desk: Desk) -> None:
    first = desk.hold(100)
    for _ in range(45):
        desk.run(1)
        desk.settle(desk.hold(50), 0)
    later = desk.hold(50).lease
    assert later is not first.lease
    used = later.used
    assert desk.account.extend(first, 50, desk.clock.s)
    desk.settle(first, 120)
    assert first.lease.consumed == 100
    assert later.used == used + 20


@pytest.mark.parametrize(
    ("parts", "cost", "first", "second", "third"),
    [((5, 5), 8, 8, 0, 0), ((5, 5), 12, 10, 2, 0), ((5, 5), 17, 10, 5, 2), ((5, 5), 33, 23, 5, 5)],
)
def test_cost_goes_to_the_first_lease_first(
    desk: Desk, parts: tuple[int, int], cost: int, first: int, second: int, third: int
) -> None:
    leases = [Lease(f"l{n}", "", 0.0) for n in range(3)]
    hold = LeaseHold(leases[0], 10)
    for lease, amount in zip(leases[1:], parts, strict=True):
        hold.extend(lease, amount)
    hold.settle(cost)
    assert [lease.used for lease in leases] == [first, second, third]
    assert [lease.held for lease in leases] == [0, 0, 0]


def test_the_next_period_has_an_account_of_its_own(desk: Desk) -> None:
    today = desk.account
    hold = desk.hold(1000)
    midnight_ms = NOON_MS + 12 * 3_600_000
    assert desk.book.hard_charges(KEY, midnight_ms - 1)[0].account is today
    tomorrow = desk.book.hard_charges(KEY, midnight_ms)[0].account
    assert tomorrow is not today
    assert tomorrow.ledger_id == "b-api_key-k@2026-11-23"
    today.settle(hold, 100, desk.clock.s)
    desk.run(20)
    assert desk.book.accounts <= 1, "the past one has drained"


def test_a_deleted_budget_leaves_nothing_behind(desk: Desk) -> None:
    hold = desk.hold(10)
    account = desk.account
    del desk.list.budgets[desk.budget.budget_id]
    tell(desk.directory, desk.budget, deleted=True)
    assert desk.book.hard_charges(KEY, desk.clock.now_ms()) == []
    account.settle(hold, 5, desk.clock.s)
    desk.run(40)
    assert desk.book.accounts == 0
    assert desk.view.state(account.ledger_id) is None


def test_the_end_of_the_process_gives_everything_back(desk: Desk) -> None:
    desk.settle(desk.hold(10), 4)
    for partition in range(desk.book.partitions):
        for record in desk.book.collect_last(partition, desk.clock.s):
            desk.command(partition, record.command)
    desk.answer()
    (lease,) = desk.state.leases
    assert (lease.phase, lease.used_pico_usd) == ("closing", 4)


def test_what_a_later_lease_has_paid_is_kept_back_while_the_first_one_is_held(desk: Desk) -> None:
    """Its usage names the first lease and, settled there, hides as much of what another request still holds of it."""
    extended, long = desk.hold(100), desk.hold(100)
    first = lease_ref(long.lease.ref)
    desk.run(RULES.rotate_s + 2)
    assert desk.account.extend(extended, 100, desk.clock.s)
    desk.settle(extended, 200)
    desk.spend(desk.budget, 200, LeaseDelta(ledger_id=first.ledger_id, lease_id=first.lease_id, delta_pico_usd=200))
    desk.run(2 * RULES.rotate_s)
    # Of 1,000 are 200 spent, and 100 may still be.
    assert desk.account.spent == 200
    waiter, _ = desk.queue(701)
    desk.run(2)
    assert desk.account.hold(701, desk.clock.s, waiter) is None
    desk.account.leave(waiter, desk.clock.s)

    desk.settle(long, 100)
    desk.spend(desk.budget, 100, LeaseDelta(ledger_id=first.ledger_id, lease_id=first.lease_id, delta_pico_usd=100))
    desk.run(RULES.renew_s * 5)
    desk.hold(700)
    desk.run(2 * RULES.rotate_s)
    assert len(desk.state.leases) == 2, "the one that is held, and the one in use"


class CountingQueue(dict[Waiter, int]):
    looked_at = 0

    def items(self) -> Any:
        for item in super().items():
            self.looked_at += 1
            yield item


def test_thousands_may_wait_and_none_has_to_look_at_all(desk: Desk) -> None:
    desk.hold(10)
    queue = desk.account._waiters = CountingQueue()
    waiters = [desk.queue(5000)[0] for _ in range(1000)]
    late = Waiter(lambda: None)
    for waiter in waiters:
        assert not desk.account.fits(1, desk.clock.s, late)
        desk.account.leave(waiter, desk.clock.s)
    assert queue.looked_at <= 2 * len(waiters)


@pytest.mark.parametrize("pause_s", [1, RULES.idle_s + RULES.renew_s])
def test_leases_do_not_pile_up_while_nothing_is_settled(desk: Desk, pause_s: float) -> None:
    """ClickHouse is away: no clock is heard. The ledger must go on fitting into one record."""
    for _ in range(200):
        desk.settle(desk.hold(1), 1)
        until_s = desk.clock.s + pause_s
        while desk.clock.s < until_s:
            desk.clock.s += 1
            desk.pump()
    assert len(desk.state.leases) <= MAX_KEPT_BACK + 2
    desk.run(2 * RULES.rotate_s)
    assert len(desk.state.leases) <= 1


def test_a_debt_to_a_later_lease_ends_with_a_lease_that_is_not_known_any_more(desk: Desk) -> None:
    first, later = Lease("1", "", 0.0), Lease("2", "", 0.0)
    hold, other = LeaseHold(first, 10), LeaseHold(first, 10)
    hold.extend(later, 10)
    other.extend(later, 10)
    hold.settle(15)
    assert (later.pledged, later.may_close) == (5, False)
    first.end()
    other.settle(20)
    assert later.may_close
    assert (first.used, later.used, later.held) == (20, 15, 0)
