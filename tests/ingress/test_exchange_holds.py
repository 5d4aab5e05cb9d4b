"""The money of an exchange: what a request holds, and when it is let go."""

import pytest

from schemas.failures import Failure, FailureKind
from schemas.frames import End, Head
from tests.ingress.exchange_bench import Bench, make_bench

HEAD = Head(status=200, content_type="application/json", model="m", vendor="v", attempts=1)
END = End(cost_pico_usd=7, estimated=False)


@pytest.fixture
def bench() -> Bench:
    return make_bench()


def test_a_call_that_the_hold_does_not_cover_is_refused_and_the_client_is_told_why(bench: Bench) -> None:
    bench.ticket.holds_pico_usd = 10
    exchange = bench.open()
    assert bench.claim(bound_pico_usd=11) == "budget"
    assert exchange.failure is not None
    assert exchange.failure.kind is FailureKind.BUDGET_BUSY
    assert bench.claim(bound_pico_usd=1) == "unknown", "its client has been answered"


def test_a_fallback_is_paid_from_the_same_hold(bench: Bench) -> None:
    bench.ticket.holds_pico_usd = 10
    exchange = bench.open()
    assert bench.claim(0, bound_pico_usd=10) == "accepted"
    assert bench.claim(1, bound_pico_usd=8, spent_pico_usd=3) == "budget"
    assert exchange.failure is None, "the call before it may still have its answer"
    assert bench.claim(1, bound_pico_usd=7, spent_pico_usd=3) == "accepted"


def test_what_a_lost_worker_may_have_spent_is_held_beside_the_next_delivery(bench: Bench) -> None:
    bench.ticket.holds_pico_usd = 10
    bench.open()
    assert bench.claim(bound_pico_usd=6) == "accepted"
    bench.exchanges.lost(bench.worker)
    stream_id = bench.exchanges.next_stream_id() - 1
    claim = {"channel": bench.other, "token": "new-token", "delivery": 1, "stream_id": stream_id}
    assert bench.claim(bound_pico_usd=5, **claim) == "budget"  # type: ignore[arg-type]
    assert bench.ticket.asked == [6, 11]


def test_a_hold_is_settled_once_with_what_the_worker_says(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim(bound_pico_usd=6)
    bench.exchanges.head(bench.worker, 1, HEAD)
    bench.exchanges.end(bench.worker, 1, END)
    bench.exchanges.close(exchange, 200, None)
    assert (bench.ticket.answers, bench.ticket.settled) == (1, [])
    bench.settled(cost_pico_usd=5)
    bench.exchanges.lost(bench.worker)
    assert (bench.ticket.answers, bench.ticket.settled) == (1, [(5, 7)])


def test_the_bound_of_a_lost_call_is_settled_when_its_report_is_in_kafka(bench: Bench) -> None:
    exchange = bench.open(streaming=True)
    bench.claim(bound_pico_usd=6)
    bench.exchanges.head(bench.worker, 1, HEAD)
    exchange.report_begun()
    bench.exchanges.lost(bench.worker)
    assert bench.ticket.settled == []
    exchange.report_delivered()
    assert bench.ticket.settled == [(6, 0)]


def test_of_several_deliveries_all_is_settled(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim(bound_pico_usd=6)
    bench.exchanges.lost(bench.worker)
    bench.exchanges.close(exchange, 499, Failure(kind=FailureKind.CLIENT_GONE))
    assert bench.ticket.settled == [(6, 0)]


def test_what_never_reached_the_queue_costs_nothing(bench: Bench) -> None:
    bench.exchanges.forget(bench.open())
    assert (bench.ticket.answers, bench.ticket.settled) == (1, [(0, 0)])


def test_a_late_report_settles_nothing_again(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim(bound_pico_usd=6)
    bench.exchanges.end(bench.worker, 1, END)
    bench.settled(cost_pico_usd=5)
    exchange.report_begun()
    exchange.report_delivered()
    assert bench.ticket.settled == [(5, 7)]
