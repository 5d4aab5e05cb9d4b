"""Who may have a request, and what becomes of it when its worker or its client goes: every row of the table."""

import msgspec
import pytest

from schemas.failures import Failure, FailureKind
from schemas.frames import FAILURE_DECODER, End, FrameType, Head, read_accept, read_credit
from tests.fakes.envelopes import envelope, if_lost
from tests.ingress.exchange_bench import WINDOW_BYTES, Bench, FakeAftermath, FakeChannel, make_bench

HEAD = Head(status=200, content_type="application/json", model="m", vendor="v", attempts=1)
END = End(cost_pico_usd=7, estimated=False)


@pytest.fixture
def bench() -> Bench:
    return make_bench()


# The claim table.


def test_a_claim_that_fits_is_accepted_with_the_window(bench: Bench) -> None:
    bench.open(body=b"inline body")
    assert bench.claim() == "accepted"
    assert read_accept(bench.worker.last()[1]) == (WINDOW_BYTES, b"")


def test_a_held_body_comes_with_the_acceptance(bench: Bench) -> None:
    exchange = bench.exchanges.open(envelope(body="held"), b"held body", bench.ticket)
    assert bench.claim() == "accepted"
    assert read_accept(bench.worker.last()[1]) == (WINDOW_BYTES, b"held body")
    assert bench.claim(1) == "accepted"
    assert read_accept(bench.worker.last()[1]) == (0, b""), "the body and the credit were given already"
    assert exchange.body == b"held body", "kept, in case that the worker is lost"


def test_an_unknown_stream_is_refused(bench: Bench) -> None:
    assert bench.claim(stream_id=99) == "unknown"


@pytest.mark.parametrize("token", ["wrong", "", "sécret", "secret2"])
def test_a_wrong_token_is_refused(bench: Bench, token: str) -> None:
    bench.open()
    assert bench.claim(token=token) == "token"
    assert bench.claim() == "accepted", "a forged claim takes nothing away from the true one"


@pytest.mark.parametrize("delivery", [-1, 1])
def test_another_delivery_is_refused(bench: Bench, delivery: int) -> None:
    bench.open()
    assert bench.claim(delivery=delivery) == "unknown"


def test_the_deadline_itself_is_too_late(bench: Bench) -> None:
    bench.open()
    bench.clock.move(0.999)
    assert bench.claim() == "accepted"
    bench.open(stream_id=2)
    bench.clock.move(1)
    assert bench.claim(stream_id=2) == "late"


def test_a_second_worker_is_refused(bench: Bench) -> None:
    bench.open()
    assert bench.claim() == "accepted"
    assert bench.claim(channel=bench.other) == "claimed"
    assert bench.claim(1, channel=bench.other) == "claimed"


def test_the_next_claim_number_is_a_fallback_and_the_same_one_a_redelivery(bench: Bench) -> None:
    exchange = bench.open()
    assert bench.claim(0, loss=if_lost(0)) == "accepted"
    assert bench.claim(0) == "claimed"
    assert bench.claim(1, loss=if_lost(1)) == "accepted"
    assert bench.claim(1) == "claimed"
    assert bench.claim(0) == "claimed"
    assert exchange.if_lost == if_lost(1), "a refused claim adds nothing to report"


def test_a_claim_without_a_call_leaves_nothing_to_report(bench: Bench) -> None:
    exchange = bench.open()
    assert bench.claim(loss=msgspec.Raw(b"null")) == "accepted"
    assert exchange.if_lost is None


def test_after_the_head_no_further_route_may_be_tried(bench: Bench) -> None:
    bench.open()
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    assert bench.claim(1) == "claimed"


@pytest.mark.parametrize("how", ["end", "error", "failure"])
def test_after_the_last_word_no_further_route_may_be_tried(bench: Bench, how: str) -> None:
    exchange = bench.open()
    bench.claim()
    if how == "end":
        bench.exchanges.end(bench.worker, 1, END)
    elif how == "error":
        bench.exchanges.error(bench.worker, 1, Failure(kind=FailureKind.VENDOR_ERROR))
    else:
        exchange.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))
    assert bench.claim(1) == "claimed"


def test_nobody_may_have_a_request_that_was_given_up(bench: Bench) -> None:
    """The client's task has not run yet, but it will: its answer is decided."""
    exchange = bench.open()
    exchange.failure_now(Failure(kind=FailureKind.QUEUE_UNAVAILABLE))
    assert bench.claim() == "unknown"


@pytest.mark.parametrize("claimed_before", [False, True])
def test_nobody_may_have_a_request_whose_client_is_gone(bench: Bench, claimed_before: bool) -> None:
    exchange = bench.open()
    if claimed_before:
        bench.claim()
    bench.exchanges.close(exchange, 499, Failure(kind=FailureKind.CLIENT_GONE))
    assert bench.claim(1) == "unknown"
    assert bench.claim(channel=bench.other) == "unknown"


# Frames of the claim's holder, and of others.


def test_frames_of_a_worker_without_the_claim_change_nothing(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.head(bench.other, 1, HEAD)
    bench.exchanges.data(bench.other, 1, b"forged")
    bench.exchanges.end(bench.other, 1, END)
    bench.exchanges.error(bench.other, 1, Failure(kind=FailureKind.INTERNAL))
    bench.settled(bench.other)
    bench.exchanges.lost(bench.other)
    assert exchange.head is None
    assert not exchange.data
    assert not exchange.over
    assert bench.exchanges.unsettled == 1
    assert exchange.if_lost == if_lost()


def test_the_whole_way_of_an_answer(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    assert exchange.body == b"", "it can no longer be put back"
    bench.exchanges.data(bench.worker, 1, b"answer")
    bench.exchanges.end(bench.worker, 1, END)
    assert exchange.over
    assert exchange.worker_done
    assert exchange.final_status() == 200
    bench.exchanges.close(exchange, 200, None)
    assert bench.worker.last()[0] is FrameType.ACCEPT, "there is nothing to cancel"
    assert bench.exchanges.unsettled == 1
    bench.settled(bench.worker)
    assert bench.exchanges.unsettled == 0
    bench.exchanges.lost(bench.worker)
    assert bench.aftermath == FakeAftermath()


def test_settled_before_the_client_has_read_its_answer(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    bench.exchanges.data(bench.worker, 1, b"answer")
    bench.exchanges.end(bench.worker, 1, END)
    bench.settled(bench.worker)
    assert bench.exchanges.unsettled == 0
    assert list(exchange.data) == [b"answer"]
    assert bench.exchanges.waiting_clients == 1
    bench.exchanges.lost(bench.worker)
    bench.exchanges.close(exchange, 200, None)
    assert bench.exchanges.waiting_clients == 0
    assert bench.aftermath == FakeAftermath()


def test_the_first_failure_is_told_and_none_after_the_end(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.error(bench.worker, 1, Failure(kind=FailureKind.VENDOR_STALLED))
    exchange.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))
    assert exchange.failure == Failure(kind=FailureKind.VENDOR_STALLED)
    assert exchange.final_status() == 504
    whole = bench.open(stream_id=2)
    bench.claim(stream_id=2)
    bench.exchanges.end(bench.worker, 2, END)
    whole.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))
    assert whole.failure is None


def test_credit_is_given_back_in_halves_of_the_window(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    exchange.consumed(WINDOW_BYTES // 2 - 1)
    assert bench.worker.last()[0] is FrameType.ACCEPT
    exchange.consumed(1)
    frame_type, payload = bench.worker.last()
    assert frame_type is FrameType.CREDIT
    assert read_credit(payload) == WINDOW_BYTES // 2
    exchange.consumed(WINDOW_BYTES * 3)
    assert read_credit(bench.worker.last()[1]) == WINDOW_BYTES * 3


# The client goes.


def test_a_client_that_goes_cancels_the_call(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    gone = Failure(kind=FailureKind.CLIENT_GONE)
    bench.exchanges.close(exchange, 499, gone)
    frame_type, payload = bench.worker.last()
    assert frame_type is FrameType.CANCEL
    assert FAILURE_DECODER.decode(payload) == gone
    bench.exchanges.data(bench.worker, 1, b"late")
    assert not exchange.data
    assert bench.exchanges.unsettled == 1, "its usage is still to come"
    bench.settled(bench.worker)
    assert bench.exchanges.unsettled == 0
    assert bench.aftermath == FakeAftermath()


def test_a_failure_told_in_the_stream_is_also_the_reason_of_the_cancel(bench: Bench) -> None:
    exchange = bench.open(streaming=True)
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    late = Failure(kind=FailureKind.DEADLINE_EXCEEDED)
    exchange.failure_now(late)
    bench.exchanges.close(exchange, 200, None)
    frame_type, payload = bench.worker.last()
    assert frame_type is FrameType.CANCEL
    assert FAILURE_DECODER.decode(payload) == late


def test_a_request_that_nobody_had_is_reported_by_the_ingress(bench: Bench) -> None:
    exchange = bench.open()
    bench.exchanges.close(exchange, 504, Failure(kind=FailureKind.DEADLINE_EXCEEDED))
    assert bench.aftermath == FakeAftermath(unserved=[exchange])
    assert (bench.exchanges.unsettled, bench.exchanges.waiting_clients) == (0, 0)


def test_a_request_that_never_got_onto_the_queue_leaves_no_trace(bench: Bench) -> None:
    exchange = bench.open()
    bench.exchanges.forget(exchange)
    assert exchange.client_done
    assert bench.aftermath == FakeAftermath()
    assert (bench.exchanges.unsettled, bench.exchanges.waiting_clients) == (0, 0)


# The worker goes.


def test_lost_before_the_head_it_is_put_back_as_a_new_delivery(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim(0, loss=if_lost(0))
    bench.claim(1, loss=if_lost(1))
    bench.exchanges.lost(bench.worker)
    bench.exchanges.lost(bench.worker)
    assert bench.aftermath.lost == [(if_lost(1), False)]
    assert bench.aftermath.put_back_deliveries == [1]
    assert exchange.envelope.token == "new-token"
    assert exchange.if_lost is None
    assert bench.claim(channel=bench.other) == "unknown", "the old record is worth nothing"
    # A stream of its own: a worker that is given both deliveries at once must not take them for one.
    again = exchange.envelope.stream_id
    assert again != 1
    assert bench.claim(channel=bench.other, delivery=1, stream_id=again) == "token", "nor is the old token"
    assert bench.claim(channel=bench.other, delivery=1, stream_id=again, token="new-token") == "accepted"
    assert read_accept(bench.other.last()[1])[0] == WINDOW_BYTES, "a new worker starts with the whole window"
    bench.exchanges.data(bench.worker, 1, b"from the grave")
    assert not exchange.data


def test_lost_after_the_head_the_client_is_told(bench: Bench) -> None:
    exchange = bench.open(streaming=True)
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    bench.exchanges.data(bench.worker, 1, b"half")
    bench.exchanges.lost(bench.worker)
    assert exchange.failure == Failure(kind=FailureKind.WORKER_LOST)
    assert list(exchange.data) == [b"half"], "what came is still passed on"
    assert exchange.final_status() == 200, "its stream had begun"
    assert bench.aftermath.lost == [(if_lost(), True)]
    assert bench.aftermath.put_back_deliveries == []
    bench.exchanges.close(exchange, 200, None)
    assert (bench.exchanges.unsettled, bench.exchanges.waiting_clients) == (0, 0)
    assert len(bench.aftermath.lost) == 1
    assert bench.aftermath.unserved == []


def test_lost_after_the_end_only_its_usage_is_reported(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.head(bench.worker, 1, HEAD)
    bench.exchanges.end(bench.worker, 1, END)
    bench.exchanges.lost(bench.worker)
    assert exchange.failure is None
    assert bench.aftermath.lost == [(if_lost(), True)]


def test_lost_after_the_client_went_only_its_usage_is_reported(bench: Bench) -> None:
    exchange = bench.open()
    bench.claim()
    bench.exchanges.close(exchange, 499, Failure(kind=FailureKind.CLIENT_GONE))
    bench.exchanges.lost(bench.worker)
    assert bench.aftermath.lost == [(if_lost(), True)]
    assert bench.aftermath.put_back_deliveries == []
    assert exchange.final_status() == 499
    assert bench.exchanges.unsettled == 0


def test_a_request_that_loses_every_worker_is_given_up(bench: Bench) -> None:
    exchange = bench.open()
    token = "secret"
    for delivery in range(3):
        assert exchange.failure is None
        channel = FakeChannel()
        stream_id = exchange.envelope.stream_id
        assert bench.claim(channel=channel, delivery=delivery, stream_id=stream_id, token=token) == "accepted"
        bench.exchanges.lost(channel)
        token = "new-token"
    assert bench.aftermath.put_back_deliveries == [1, 2]
    assert [finished for _, finished in bench.aftermath.lost] == [False, False, True]
    assert exchange.failure == Failure(kind=FailureKind.WORKER_LOST)
    assert exchange.final_status() == 502
    bench.exchanges.close(exchange, 502, exchange.failure)
    assert (bench.exchanges.unsettled, bench.exchanges.waiting_clients) == (0, 0)
    assert bench.aftermath.unserved == []


@pytest.mark.parametrize("how_far", ["claim", "head", "end", "client gone"])
def test_abandoned_by_a_mistake_of_its_worker(bench: Bench, how_far: str) -> None:
    exchange = bench.open()
    neighbour = bench.open(stream_id=2)
    bench.claim()
    bench.claim(stream_id=2)
    if how_far in ("head", "end"):
        bench.exchanges.head(bench.worker, 1, HEAD)
    if how_far == "end":
        bench.exchanges.end(bench.worker, 1, END)
    if how_far == "client gone":
        bench.exchanges.close(exchange, 499, Failure(kind=FailureKind.CLIENT_GONE))
    bench.exchanges.abandoned(bench.other, 1)
    assert bench.aftermath.lost == []
    bench.exchanges.abandoned(bench.worker, 1)
    bench.exchanges.abandoned(bench.worker, 1)
    assert bench.aftermath.lost == [(if_lost(), True)]
    assert bench.aftermath.put_back_deliveries == [], "it would make the same mistake again"
    assert exchange.over
    assert (exchange.failure is None) == (how_far == "end")
    if how_far != "client gone":
        bench.exchanges.close(exchange, exchange.final_status(), exchange.failure)
    assert bench.exchanges.unsettled == 1
    assert not neighbour.over
    assert bench.aftermath.unserved == []


def test_all_requests_of_a_lost_worker_are_seen_to_and_no_others(bench: Bench) -> None:
    for stream_id in (1, 2, 3):
        bench.open(stream_id=stream_id)
    bench.claim(stream_id=1)
    bench.claim(stream_id=2, channel=bench.other)
    bench.claim(stream_id=3)
    bench.exchanges.lost(bench.worker)
    assert bench.aftermath.put_back_deliveries == [1, 1]
    assert bench.exchanges.unsettled == 3


def test_stream_ids_are_never_given_twice(bench: Bench) -> None:
    ids = [bench.exchanges.next_stream_id() for _ in range(100)]
    assert len(set(ids)) == 100


def test_stream_ids_of_an_earlier_life_are_not_given_again() -> None:
    """A worker may still hold its records, and would take a new request with the same id for their double."""
    earlier = make_bench()
    earlier.clock.move(1)
    later = make_bench(earlier.clock)
    ids = [[bench.exchanges.next_stream_id() for _ in range(100)] for bench in (earlier, later)]
    assert not set(ids[0]) & set(ids[1])
