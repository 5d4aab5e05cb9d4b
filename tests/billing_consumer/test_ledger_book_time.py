"""All ledgers of a partition: silence, the ends of periods, and budgets that go or become others."""

from typing import Any

import msgspec
import pytest

from billing_consumer.authority.ledger_book import BUSY_S, IDLE_PER_TICK, KEEP_AFTER_END_MS, OPEN_EARLY_MS
from schemas.budgets import Budget
from tests.billing_consumer.ledger_talk import (
    DAY_MS,
    MIDNIGHT_MS,
    NOON_MS,
    TODAY,
    TOMORROW,
    batch,
    begin,
    hear,
    open_all,
    tell,
    written,
)
from tests.billing_consumer.ledger_world import budget

# Time.


def test_silence_is_noticed_though_the_wall_clock_stands() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    written(book)
    book.tick(17.0, NOON_MS)
    assert written(book) == {}
    book.tick(17.1, NOON_MS)
    state = written(book)[f"b@{TODAY}"]
    assert state is not None
    # The wall clock stood still, or went back; time did not.
    assert (state.leases[0].phase, state.leases[0].ended_at_ms) == ("dead", NOON_MS + 17_100)


def test_a_wall_clock_that_is_behind_kafkas_is_not_believed() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    hear(book, 0, 100, settled_ms=NOON_MS + 50_000)
    tell(book, f"b@{TODAY}", 0, seq=2, closing=True)
    state = written(book)[f"b@{TODAY}"]
    assert state is not None
    assert state.leases[0].ended_at_ms == NOON_MS + 50_000


@pytest.mark.parametrize("closing", [True, False])
def test_a_clock_that_comes_late_takes_nothing_back(closing: bool) -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    if closing:
        tell(book, f"b@{TODAY}", 0, seq=2, closing=True)
    book.tick(20.0, NOON_MS + 20_000)
    for settled_ms in (NOON_MS + 60_000, NOON_MS):
        for partition in (0, 1):
            hear(book, partition, 0, settled_ms)
    book.tick(60.0, NOON_MS + 60_000)
    ledger = book.ledger(f"b@{TODAY}")
    assert ledger is not None
    assert not ledger.has_leases


def test_many_ledgers_without_leases_take_turns_and_none_grants_by_an_old_limit() -> None:
    """A tick that looked at each customer's would take longer than the time to the next."""
    count = 3 * IDLE_PER_TICK
    book, config = begin(*(budget(f"b{n}") for n in range(count)))
    book.apply(batch(100, 110, (TODAY, 5)), 0.0, NOON_MS)
    open_all(book, spent=5)
    written(book)
    book.tick(1.0, NOON_MS)
    for n in range(count):
        config.budgets[f"b{n}"] = budget(f"b{n}", 100)
    tell(book, f"b{count - 1}@{TODAY}", 150)
    state = written(book)[f"b{count - 1}@{TODAY}"]
    assert state is not None
    assert (state.limit_pico_usd, state.leases[0].granted_pico_usd) == (100, 95)
    changed = 1
    for _ in range(2 * count // IDLE_PER_TICK):
        book.tick(1.0, NOON_MS)
        changed += len(states := written(book))
        assert len(states) <= IDLE_PER_TICK
    assert changed == count


@pytest.mark.parametrize(("busy", "before_ms", "opened"), [(True, 1, True), (True, -1, False), (False, 1, False)])
def test_the_next_ledger_is_opened_early_if_this_one_is_busy(busy: bool, before_ms: int, opened: bool) -> None:
    book, _ = begin()
    book.apply(batch(100, 110, (TODAY, 5)), 0.0, NOON_MS)
    open_all(book)
    at_ms = MIDNIGHT_MS + DAY_MS - OPEN_EARLY_MS + before_ms
    at_s = (at_ms - NOON_MS) / 1000
    if busy:
        book.apply(batch(110, 120, (TODAY, 5)), at_s - BUSY_S, at_ms)
    book.tick(at_s, at_ms)
    assert open_all(book, now_ms=at_ms) == ([f"b@{TOMORROW}"] if opened else [])
    book.tick(at_s, at_ms)
    assert open_all(book, now_ms=at_ms) == []


def test_a_ledger_with_leases_is_followed_by_the_next_but_a_total_one_by_none() -> None:
    book, _ = begin(budget("b"), budget("all", period="total"))
    at_ms = MIDNIGHT_MS + DAY_MS - OPEN_EARLY_MS
    at_s = (at_ms - NOON_MS) / 1000
    tell(book, f"b@{TODAY}", 1)
    tell(book, "all@1970-01-01", 1)
    open_all(book)
    book.tick(at_s, at_ms)
    assert open_all(book, now_ms=at_ms) == [f"b@{TOMORROW}"]


def test_a_ledger_is_retired_a_day_after_its_period_by_kafkas_clock_if_nothing_is_out() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    over_ms = MIDNIGHT_MS + DAY_MS + KEEP_AFTER_END_MS
    hear(book, 0, 100, over_ms)
    hear(book, 1, 200, over_ms)
    book.tick(1.0, over_ms)
    assert book.ledger(f"b@{TODAY}") is not None
    tell(book, f"b@{TODAY}", 0, seq=2, closing=True)
    hear(book, 0, 100, over_ms + 5_000)
    hear(book, 1, 200, over_ms + 4_999)
    book.tick(1.0, over_ms)
    assert book.ledger(f"b@{TODAY}") is not None
    hear(book, 1, 200, over_ms + 5_000)
    book.tick(1.0, over_ms)
    assert written(book) == {f"b@{TODAY}": None}
    assert book.ledger(f"b@{TODAY}") is None
    book.apply(batch(100, 110, (TODAY, 5)), 0.0, over_ms)
    assert book.openings() == []


def test_a_ledger_is_not_retired_while_late_usage_may_come() -> None:
    book, _ = begin()
    book.apply(batch(90, 100, (TODAY, 5)), 0.0, NOON_MS)
    open_all(book)
    over_ms = MIDNIGHT_MS + DAY_MS + KEEP_AFTER_END_MS
    hear(book, 0, 100, over_ms)
    hear(book, 1, 200, over_ms - 1)
    book.tick(1.0, over_ms)
    assert book.ledger(f"b@{TODAY}") is not None


# Budgets that go, or become others.


def test_a_deleted_budgets_ledger_takes_no_new_lease_and_goes_with_its_last() -> None:
    book, config = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    config.budgets.clear()
    tell(book, f"b@{TODAY}", 50, lease="a.2")
    tell(book, f"b@{TODAY}", 80, seq=2)
    book.tick(1.0, NOON_MS)
    ledger = book.ledger(f"b@{TODAY}")
    assert ledger is not None
    assert [(lease.lease_id, lease.seq) for lease in ledger.state(0).leases] == [("a.1", 2)]
    tell(book, f"b@{TODAY}", 0, seq=3, closing=True)
    for partition in (0, 1):
        hear(book, partition, 0, NOON_MS + 10_000)
    book.tick(1.0, NOON_MS)
    assert written(book) == {f"b@{TODAY}": None}


@pytest.mark.parametrize("changes", [{"period": "monthly"}, {"scope_id": "elsewhere"}])
def test_a_budget_that_became_another_begins_anew(changes: dict[str, Any]) -> None:
    """On the first of a month a daily and a monthly budget have ledgers of the same name."""
    first_ms = NOON_MS + 9 * DAY_MS
    book, config = begin(now_ms=first_ms)
    book.apply(batch(100, 110, ("2026-10-01", 5)), 0.0, first_ms)
    assert open_all(book, now_ms=first_ms) == ["b@2026-10-01"]
    config.budgets["b"] = budget("b", **changes)
    book.tick(0.0, first_ms)
    assert written(book) == {"b@2026-10-01": None}
    book.apply(batch(110, 120, ("2026-10-01", 5)), 0.0, first_ms)
    assert len(book.openings()) == ("period" in changes)


def test_a_ledger_that_is_wanted_no_more_is_not_asked_for() -> None:
    book, config = begin(clocks=False)
    tell(book, f"b@{TODAY}", 1)
    config.budgets.clear()
    book.tick(0.0, NOON_MS)
    hear(book, 0, 1)
    hear(book, 1, 1)
    assert book.openings() == []


def test_an_answer_for_a_budget_that_is_gone_leaves_nothing_behind() -> None:
    book, config = begin()
    tell(book, f"b@{TODAY}", 0)
    (asked,) = book.openings()
    config.budgets["b"] = replaced_scope()
    book.tick(0.0, NOON_MS)
    assert book.openings() == []
    book.opened(asked.ledger_id, 5, 0.0, NOON_MS)
    tell(book, f"b@{TODAY}", 0, seq=2, closing=True)
    for partition in (0, 1):
        hear(book, partition, 0, NOON_MS + 10_000)
    book.tick(0.0, NOON_MS)
    assert written(book) == {f"b@{TODAY}": None}


def replaced_scope() -> Budget:
    return msgspec.structs.replace(budget("b"), scope_id="elsewhere")
