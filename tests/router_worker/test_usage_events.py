"""What is booked for an attempt, by how it ended."""

import msgspec
import pytest

from router_worker.call_result import CallResult
from router_worker.usage_events import (
    AttemptContext,
    attempt_context,
    finished_attempt,
    finished_request,
    intent,
    lost_attempt,
    uncalled_attempt,
    usage_record,
)
from schemas.failures import FAILURES, Failure, FailureKind
from schemas.usage import USAGE, TokenCounts
from tests.fakes.envelopes import envelope
from tests.fakes.vendors import PRICE, model, route

ROUTE = route("v", "vm", max_output_tokens=1000)
SENT = envelope(accepted_at_ms=1000, delivery=2, streaming=True)


def context(max_output_tokens: int | None = 100, choices: int = 1) -> AttemptContext:
    return attempt_context(
        1,
        "w",
        model(ROUTE),
        ROUTE,
        PRICE,
        1500,
        b"x" * 10,
        has_media=False,
        max_output_tokens=max_output_tokens,
        choices=choices,
    )


def test_the_vendors_figures_are_booked_exactly() -> None:
    result = CallResult(tokens=TokenCounts(input=1000, cached_input=400, output=50), answered=True, began=True)
    event = finished_attempt(context(), SENT, result, 2000)
    assert (event.attempt_id, event.attempt_no, event.delivery) == ("req_1.2.1", 1, 2)
    assert event.cost_pico_usd == 600 * 10**6 + 400 * 10**5 + 50 * 2 * 10**6
    assert not event.estimated
    assert event.price_id == "v/vm@2020-01-01"
    assert (event.started_at_ms, event.ended_at_ms) == (1500, 2000)


def test_a_vendors_id_of_any_length_fits_into_a_record() -> None:
    result = CallResult(answered=True, began=True, vendor_request_id="x" * 2_000_000)
    event = finished_attempt(context(), SENT, result, 2000)
    assert len(USAGE.encode(usage_record(SENT, (event,), None))) < 10_000


def test_an_estimate_is_at_the_dearest_price_that_the_tokens_may_have() -> None:
    dear = msgspec.structs.replace(PRICE, cache_write=2 * PRICE.input, reasoning=3 * PRICE.output)
    plain, worst = context(), msgspec.structs.replace(context(), price=dear)
    result = CallResult("cancelled", began=True)
    low, high = (finished_attempt(c, SENT, result, 2000).cost_pico_usd for c in (plain, worst))
    assert low < high <= 3 * low


def test_figures_that_contradict_themselves_never_cost_less_than_nothing() -> None:
    result = CallResult(tokens=TokenCounts(input=10, cached_input=1000, output=0), began=True)
    event = finished_attempt(context(), SENT, result, 2000)
    assert event.tokens.cached_input == 10
    assert event.cost_pico_usd == 10 * 10**5


def test_figures_count_even_if_the_answer_broke() -> None:
    failure = Failure(kind=FailureKind.VENDOR_STALLED)
    result = CallResult("interrupted", failure, answered=True, began=True, tokens=TokenCounts(input=5, output=1))
    event = finished_attempt(context(), SENT, result, 2000)
    assert (event.estimated, event.tokens.input, event.failure) == (False, 5, "vendor_stalled")


def test_what_never_began_costs_nothing() -> None:
    for kind in FailureKind:
        event = finished_attempt(context(), SENT, CallResult("failed", Failure(kind=kind)), 2000)
        assert (event.cost_pico_usd, event.estimated) == (0, False)


@pytest.mark.parametrize("kind", list(FailureKind))
def test_without_figures_a_bound_is_booked_where_the_vendor_may_charge(kind: FailureKind) -> None:
    event = finished_attempt(context(), SENT, CallResult("failed", Failure(kind=kind), began=True), 2000)
    assert event.estimated == FAILURES[kind].maybe_billed
    assert (event.tokens.output == 100) == event.estimated
    assert (event.tokens.input >= 10) == event.estimated


def test_a_cancelled_call_is_booked_at_its_bound() -> None:
    result = CallResult("cancelled", Failure(kind=FailureKind.CLIENT_GONE), began=True, output_bytes=0)
    event = finished_attempt(context(max_output_tokens=None, choices=2), SENT, result, 2000)
    assert event.estimated
    assert 0 < event.tokens.output < 2000, "what arrived bounds it"


def test_what_is_claimed_is_the_upper_bound_of_what_is_booked() -> None:
    lost = lost_attempt(context(choices=3), SENT)
    assert (lost.outcome, lost.estimated, lost.tokens.output) == ("worker_lost", True, 300)
    without_figures = finished_attempt(context(choices=3), SENT, CallResult(began=True, output_bytes=40), 2000)
    assert lost.attempt_id == without_figures.attempt_id
    assert lost.cost_pico_usd >= without_figures.cost_pico_usd > 0


@pytest.mark.parametrize(
    ("failure", "streaming", "answered", "status"),
    [
        (None, False, True, 200),
        (Failure(kind=FailureKind.VENDOR_ERROR), False, False, 502),
        (Failure(kind=FailureKind.VENDOR_ERROR), True, False, 502),
        (Failure(kind=FailureKind.VENDOR_STALLED), True, True, 200),
        (Failure(kind=FailureKind.VENDOR_REFUSED_REQUEST, status=422), False, False, 422),
        (Failure(kind=FailureKind.CLIENT_GONE), False, True, 499),
        (Failure(kind=FailureKind.CLIENT_GONE), True, True, 499),
    ],
)
def test_the_status_of_a_request(failure: Failure | None, streaming: bool, answered: bool, status: int) -> None:
    sent = msgspec.structs.replace(SENT, streaming=streaming)
    attempt = finished_attempt(context(), sent, CallResult(first_byte_ms=30), 2000)
    event = finished_request(sent, [attempt], failure, answered=answered, taken_at_ms=1400, now_ms=2100)
    assert event.status == status
    assert (event.queue_ms, event.total_ms, event.attempts) == (400, 1100, 1)
    assert event.first_byte_ms == (530 if answered else None)
    assert event.failure == (None if failure is None else failure.kind.value)


def test_clocks_that_differ_give_no_negative_times() -> None:
    event = finished_request(SENT, [], None, answered=False, taken_at_ms=900, now_ms=950)
    assert (event.queue_ms, event.total_ms, event.model) == (0, 0, None)


def test_a_record_says_whose_it_is() -> None:
    record = usage_record(SENT, (), None)
    assert (record.origin, record.attribution, record.requested_model) == ("worker", SENT.attribution, "m")
    assert USAGE.decode(USAGE.encode(record)) == record


def test_every_record_says_which_leases_pay_and_which_period_it_falls_in() -> None:
    sent = msgspec.structs.replace(SENT, leases=("0|b@2026-11-01|l",))
    record = usage_record(sent, (), None)
    assert (record.leases, record.accepted_at_ms, record.deadline_ms) == (sent.leases, sent.accepted_at_ms, 0)


def test_an_intent_is_the_attempt_at_its_bound_and_can_be_taken_back() -> None:
    lost = lost_attempt(context(), SENT)
    written = intent(SENT, lost)
    assert (written.origin, written.deadline_ms, written.attempts) == ("intent", SENT.deadline_ms, (lost,))
    back = uncalled_attempt(context(), SENT, 2000)
    assert (back.attempt_id, back.outcome, back.failure) == (lost.attempt_id, "failed", "not_called")
    assert (back.cost_pico_usd, back.estimated, back.tokens) == (0, False, TokenCounts())
