"""All ledgers of a partition: how they are found and opened, and what settlements and limits do to them."""

import msgspec
import pytest

from billing_consumer.authority.ledger_book import LedgerBook
from schemas.budgets import Raise, scope_key
from schemas.spend import Settlements, spend_partition
from tests.billing_consumer.ledger_talk import (
    MIDNIGHT_MS,
    NOON_MS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    batch,
    begin,
    hear,
    open_all,
    spent,
    tell,
    written,
)
from tests.billing_consumer.ledger_world import PARTITION, budget

# Opening.


def test_the_first_report_opens_a_ledger_and_is_answered_then() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    (asked,) = book.openings()
    assert (asked.ledger_id, asked.budget.budget_id, asked.period.start.isoformat()) == (f"b@{TODAY}", "b", TODAY)
    assert asked.through == {0: 100, 1: 200}
    assert book.openings() == []
    assert written(book) == {}
    tell(book, f"b@{TODAY}", 300, seq=2)
    tell(book, f"b@{TODAY}", 1, seq=1)
    book.opened(asked.ledger_id, 40, 0.0, NOON_MS)
    state = written(book)[f"b@{TODAY}"]
    assert state is not None
    assert (state.spent_pico_usd, state.limit_pico_usd, state.through) == (40, 1000, {0: 100, 1: 200})
    assert [(lease.seq, lease.granted_pico_usd) for lease in state.leases] == [(2, 300)]
    assert written(book) == {}


def test_nothing_is_opened_before_every_partition_of_usage_has_been_heard_of() -> None:
    book, _ = begin(clocks=False)
    tell(book, f"b@{TODAY}", 100)
    assert book.openings() == []
    hear(book, 1, 5)
    book.apply(batch(0, 9, (TODAY, 1)), 0.0, NOON_MS)
    assert book.openings() == []
    hear(book, 0, 7)
    assert [dict(opening.through) for opening in book.openings()] == [{0: 9, 1: 5}]


def test_a_settlement_is_heeded_though_a_late_clock_knows_nothing_of_it() -> None:
    book, config = begin(budget("other", scope_id="other"))
    book.apply(batch(100, 150, (TODAY, 30)), 0.0, NOON_MS)
    hear(book, 0, 120)
    config.budgets["b"] = budget("b")
    tell(book, f"b@{TODAY}", 1)
    assert [opening.through[0] for opening in book.openings()] == [150]


def test_settlements_during_an_opening_count_beyond_where_it_began() -> None:
    book, _ = begin()
    book.apply(batch(90, 100, (TODAY, 7)), 0.0, NOON_MS)
    (asked,) = book.openings()
    assert asked.through[0] == 100
    book.apply(batch(100, 110, (TODAY, 3), (YESTERDAY, 50)), 0.0, NOON_MS)
    book.apply(batch(100, 110, (TODAY, 3), (YESTERDAY, 50)), 0.0, NOON_MS)
    book.opened(asked.ledger_id, 7, 0.0, NOON_MS)
    assert spent(book, f"b@{TODAY}") == 10
    assert set(written(book)) == {f"b@{TODAY}"}
    book.apply(batch(100, 110, (TODAY, 3)), 0.0, NOON_MS)
    assert written(book) == {}
    book.apply(batch(110, 111, (TODAY, 1)), 0.0, NOON_MS)
    assert set(written(book)) == {f"b@{TODAY}"}
    assert spent(book, f"b@{TODAY}") == 11


def test_an_opening_that_failed_is_asked_again_from_where_usage_is_by_then() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 1)
    (first,) = book.openings()
    hear(book, 0, 130)
    book.failed(first.ledger_id)
    book.opened(first.ledger_id, 999, 0.0, NOON_MS)
    assert book.ledger(first.ledger_id) is None
    (second,) = book.openings()
    assert (first.through[0], second.through[0]) == (100, 130)
    book.opened("who@2026-01-01", 1, 0.0, NOON_MS)
    book.failed("who@2026-01-01")


@pytest.mark.parametrize(
    "name",
    ["nobody@2026-09-22", f"b@{YESTERDAY}", "b@2026-09-24", "b@", "b", "", "b@20260922", f"b@{TODAY}@{TODAY}"],
)
def test_a_report_on_what_is_no_ledger_is_ignored(name: str) -> None:
    book, _ = begin()
    tell(book, name, 1)
    assert book.openings() == []


def test_the_next_period_may_be_asked_for_and_for_a_moment_the_last() -> None:
    book, _ = begin()
    tell(book, f"b@{TOMORROW}", 1)
    tell(book, f"b@{YESTERDAY}", 1, now_ms=NOON_MS)
    assert open_all(book) == [f"b@{TOMORROW}"]
    book, _ = begin(now_ms=MIDNIGHT_MS)
    tell(book, f"b@{YESTERDAY}", 1, now_ms=MIDNIGHT_MS + 4000)
    assert open_all(book) == [f"b@{YESTERDAY}"]


def test_a_total_budget_has_one_ledger_for_ever() -> None:
    book, _ = begin(budget("b", period="total"))
    book.apply(batch(100, 110, ("2001-01-01", 3), (TODAY, 4)), 0.0, NOON_MS)
    assert open_all(book) == ["b@1970-01-01"]
    book.apply(batch(110, 120, ("2001-01-01", 3), (TODAY, 4)), 0.0, NOON_MS)
    assert spent(book, "b@1970-01-01") == 7


def test_a_budget_of_another_partitions_scope_is_not_ours() -> None:
    moved = next(f"p{n}" for n in range(100) if spend_partition(scope_key("o", "project", f"p{n}")) != PARTITION)
    book, _ = begin(budget("b", scope_id=moved))
    tell(book, f"b@{TODAY}", 1)
    assert book.openings() == []


# Settlements.


def test_every_ledger_of_the_scope_counts_its_own_days_and_others_nothing() -> None:
    book, _ = begin(budget("b"), budget("month", period="monthly"), budget("other", scope_id="q"))
    book.apply(batch(90, 100, (TODAY, 1), (YESTERDAY, 1)), 0.0, NOON_MS)
    assert set(open_all(book)) == {f"b@{TODAY}", "month@2026-09-01"}
    book.apply(batch(100, 110, (TODAY, 5), (YESTERDAY, 20), ("2026-08-31", 300), ("not a day", 9)), 0.0, NOON_MS)
    book.apply(batch(110, 120, (TODAY, 9), scope="project:q"), 0.0, NOON_MS)
    assert (spent(book, f"b@{TODAY}"), spent(book, "month@2026-09-01")) == (5, 25)


def test_a_batch_is_one_for_a_ledger_whatever_parts_it_comes_in() -> None:
    book, _ = begin(budget("b", period="daily"))
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    said = batch(100, 110, (TODAY, 5), (TODAY, 6), paid=4).batches[0]
    twice = msgspec.structs.replace(said, leases=said.leases * 2)
    book.apply(Settlements(batches=(twice, said)), 0.0, NOON_MS)
    ledger = book.ledger(f"b@{TODAY}")
    assert ledger is not None
    assert (ledger.spent_pico_usd, ledger.outstanding_pico_usd) == (11, 92)


def test_a_lease_may_be_settled_where_its_ledgers_days_are_not() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 100)
    open_all(book)
    book.apply(batch(100, 110, (YESTERDAY, 5), paid=5), 0.0, NOON_MS)
    ledger = book.ledger(f"b@{TODAY}")
    assert ledger is not None
    assert (ledger.spent_pico_usd, ledger.outstanding_pico_usd) == (0, 95)


# Limits.


def test_a_raise_holds_until_it_ends_and_a_change_holds_at_the_next_tick() -> None:
    raised = budget("b", raises=(Raise(amount_pico_usd=500, expires_at_ms=NOON_MS + 10_000),))
    book, config = begin(raised)
    tell(book, f"b@{TODAY}", 1)
    open_all(book)
    assert limit(book) == 1500
    book.tick(9.0, NOON_MS + 9_999)
    assert limit(book) is None
    book.tick(10.0, NOON_MS + 10_000)
    assert limit(book) == 1000
    config.budgets["b"] = budget("b", 1234, enforcement="soft")
    book.tick(10.0, NOON_MS + 10_000)
    assert limit(book) == 1234


def limit(book: LedgerBook) -> int | None:
    state = written(book).get(f"b@{TODAY}")
    return None if state is None else state.limit_pico_usd


# What else its edge asks for.


def test_a_void_records_place_is_taken_by_what_is_true() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 1)
    open_all(book)
    written(book)
    book.repeat(f"b@{TODAY}")
    book.repeat("unknown@2026-09-22")
    assert [(name, state is None) for name, state in book.dirty()] == [
        (f"b@{TODAY}", False),
        ("unknown@2026-09-22", True),
    ]


def test_a_delivered_alert_is_written_down() -> None:
    book, _ = begin()
    tell(book, f"b@{TODAY}", 1)
    open_all(book, spent=500)
    state = written(book)[f"b@{TODAY}"]
    assert state is not None
    (alert,) = state.alerts_due
    book.alert_delivered(f"b@{TODAY}", alert.alert_id)
    book.alert_delivered("gone@2026-09-22", alert.alert_id)
    state = written(book)[f"b@{TODAY}"]
    assert state is not None
    assert state.alerts_due == ()


def test_the_next_authority_reads_from_where_it_learns_how_far_usage_has_come() -> None:
    book, _ = begin(clocks=False)
    assert book.replay_from(7) == 7
    hear(book, 0, 50, offset=10)
    hear(book, 1, 60, offset=11)
    assert book.replay_from(20) == 10
    hear(book, 0, 50, offset=20)
    hear(book, 1, 59, offset=21)
    assert book.replay_from(30) == 11
    book.apply(batch(60, 70, (TODAY, 1), partition=1), 0.0, NOON_MS, 22)
    assert book.replay_from(30) == 20
    assert book.replay_from(15) == 15
