"""One request through the worker: claim, fallback, the client's frames, and the usage that is booked for it."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.envelope import RoutingOptions
from schemas.failures import Failure, FailureKind
from schemas.frames import FrameType, credit_payload
from schemas.usage import USAGE
from tests.fakes.vendors import route
from tests.fakes.waiting import until
from tests.fakes.worker_stack import WorkerStack, ask, worker_stack

GONE = Failure(kind=FailureKind.CLIENT_GONE)


def attempts(stack: WorkerStack) -> list[tuple[str, str, str | None]]:
    return [(a.vendor, a.outcome, a.failure) for a in stack.kafka.attempts()]


def assert_books(stack: WorkerStack, *, exact: bool) -> None:
    """One event per vendor call and one per request; and never less booked than the vendor charged."""
    [_] = stack.kafka.request_events()
    booked = stack.kafka.attempts()
    assert sorted(a.attempt_id for a in booked) == sorted(
        str(call["request_id_header"]) for call in stack.vendors.calls()
    )
    total = sum(attempt.cost_pico_usd for attempt in booked)
    if exact:
        assert not any(attempt.estimated for attempt in booked)
        assert total == stack.vendors.cost_pico_usd()
    assert total >= stack.vendors.cost_pico_usd()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_from_claim_to_settled(stream: bool) -> None:
    vendor_model = "echo:cached_tokens=3:prompt_tokens=11:completion_tokens=7:reasoning_tokens=2"
    async with worker_stack(vendor_model) as stack:
        await stack.serve(ask(stream=stream))
        await stack.ingress.over()
        assert stack.ingress.story == ["CLAIM", "HEAD", "DATA", "END", "SETTLED"]
        [claim], [head], [end] = stack.ingress.claims, stack.ingress.heads, stack.ingress.ends
        assert (claim.token, claim.delivery, claim.claim_no, claim.worker_id) == ("secret", 0, 0, "w")
        assert (head.status, head.model, head.vendor, head.attempts) == (200, "m", "v0", 1)
        assert ("event-stream" in head.content_type) == stream
        [attempt] = stack.kafka.attempts()
        assert (attempt.tokens.input, attempt.tokens.cached_input) == (11, 3)
        assert (attempt.tokens.output, attempt.tokens.reasoning) == (7, 2)
        assert end.cost_pico_usd == attempt.cost_pico_usd
        assert not end.estimated
        assert_books(stack, exact=True)
        [request] = stack.kafka.request_events()
        assert (request.status, request.failure, request.attempts) == (200, None, 1)
        assert (request.model, request.vendor) == ("m", "v0")
        assert request.first_byte_ms is not None
        assert stack.settled[0] == "req_1"
        assert stack.result("served") == 1
        [lost] = USAGE.decode(bytes(claim.if_lost)).attempts
        assert (lost.attempt_id, lost.outcome, lost.estimated) == (attempt.attempt_id, "worker_lost", True)
        assert lost.cost_pico_usd >= attempt.cost_pico_usd


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("first", "failure"),
    [
        ("status:code=500", "vendor_error"),
        ("status:code=429", "vendor_rate_limited"),
        ("bad-key", "vendor_refused_key"),
        ("status:code=404", "vendor_model_unknown"),
        ("garbage", "vendor_garbled"),
        ("never", "vendor_first_byte_timeout"),
    ],
)
async def test_a_route_that_fails_before_the_first_byte_is_invisible(stream: bool, first: str, failure: str) -> None:
    async with worker_stack(first, "echo", first_byte_timeout_s=0.5, answer_timeout_s=0.5) as stack:
        await stack.serve(ask(stream=stream))
        await stack.ingress.over()
        assert attempts(stack) == [("v0", "failed", failure), ("v1", "completed", None)]
        assert [claim.claim_no for claim in stack.ingress.claims] == [0, 1]
        assert (len(stack.ingress.heads), len(stack.ingress.ends), stack.ingress.errors) == (1, 1, [])
        assert stack.ingress.heads[0].attempts == 2
        assert stack.ingress.story == ["CLAIM", "CLAIM", "HEAD", "DATA", "END", "SETTLED"]
        assert len(stack.kafka.usage()) == 2, "the failed attempt is reported while the next is tried"
        assert_books(stack, exact=failure not in ("vendor_first_byte_timeout", "vendor_garbled"))


async def test_a_callers_mistake_is_not_tried_again() -> None:
    async with worker_stack("context-length", "echo") as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        assert attempts(stack) == [("v0", "failed", "vendor_refused_request")]
        [error] = stack.ingress.errors
        assert (error.http_status, error.param, error.code) == (400, "messages", "context_length_exceeded")
        assert_books(stack, exact=True)
        assert stack.kafka.request_events()[0].status == 400


@pytest.mark.parametrize("first", ["hang-after", "break-after", "error-in-stream"])
async def test_after_the_first_byte_no_other_route_is_tried(first: str) -> None:
    async with worker_stack(first, "echo", stall_timeout_s=0.2) as stack:
        await stack.serve(ask(stream=True))
        await stack.ingress.over()
        [(_, outcome, failure)] = attempts(stack)
        assert outcome == "interrupted"
        assert [error.kind.value for error in stack.ingress.errors] == [failure]
        assert stack.ingress.ends == []
        assert b"[DONE]" not in stack.ingress.data
        assert stack.ingress.story == ["CLAIM", "HEAD", "DATA", "ERROR", "SETTLED"]
        assert_books(stack, exact=False)
        [request] = stack.kafka.request_events()
        assert (request.status, request.failure) == (200, failure)


async def test_when_every_route_fails_the_last_failure_is_told() -> None:
    async with worker_stack("status:code=500", "status:code=429:retry_after_s=4") as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        [error] = stack.ingress.errors
        assert (error.kind, error.retry_after_s) == (FailureKind.VENDOR_RATE_LIMITED, 4)
        assert stack.ingress.heads == []
        assert_books(stack, exact=True)
        assert stack.kafka.request_events()[0].attempts == 2


# Claims that fail.


@pytest.mark.parametrize("reason", ["unknown", "claimed", "token", "late"])
async def test_a_refused_claim_makes_no_call(reason: Any) -> None:
    async with worker_stack("echo") as stack:
        stack.ingress.answers.append(reason)
        await stack.serve(ask())
        assert stack.vendors.calls() == []
        assert stack.kafka.records == []
        assert stack.settled, "its offset may be committed"
        assert stack.result("refused") == 1
        assert stack.ingress.story == ["CLAIM"]


async def test_a_request_past_its_deadline_is_not_even_claimed() -> None:
    async with worker_stack("echo") as stack:
        await stack.serve(ask(), deadline_ms=stack.clock.now_ms())
        assert (stack.ingress.sockets, stack.vendors.calls(), stack.settled) == ([], [], ["req_1"])
        assert stack.result("late") == 1


async def test_a_request_of_an_ingress_that_is_gone() -> None:
    async with worker_stack("echo") as stack:
        await stack.serve(ask(), reply_url="ws://127.0.0.1:1/reply")
        assert (stack.vendors.calls(), stack.settled, stack.kafka.records) == ([], ["req_1"], [])
        assert stack.result("gone") == 1


async def test_a_record_that_comes_twice_is_served_once() -> None:
    async with worker_stack("echo:ttft_ms=50") as stack:
        await asyncio.gather(stack.serve(ask()), stack.serve(ask()))
        await stack.ingress.over()
        assert len(stack.vendors.calls()) == len(stack.ingress.claims) == 1


async def test_both_deliveries_of_a_record_are_settled_with_the_claim() -> None:
    # Were the second one settled by itself, a kill before the claim would leave the request with nobody.
    async with worker_stack("never") as stack, asyncio.TaskGroup() as tasks:
        stack.ingress.answers.append("silence")
        serving = tasks.create_task(stack.serve(ask()))
        await until(lambda: stack.ingress.claims)
        await stack.serve(ask())
        assert stack.settled == []
        stack.ingress.send(FrameType.ACCEPT, 1, credit_payload(100))
        await until(lambda: stack.vendors.calls())
        assert stack.settled == ["req_1", "req_1"]
        stack.ingress.cancel(1, GONE)
        await serving


async def test_a_fallback_that_is_refused_ends_with_the_failure_before() -> None:
    async with worker_stack("status:code=500", "echo") as stack:
        stack.ingress.answers += ["accept", "unknown"]
        await stack.serve(ask())
        await stack.ingress.over()
        assert attempts(stack) == [("v0", "failed", "vendor_error")]
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.VENDOR_ERROR]
        assert_books(stack, exact=True)


async def test_the_offset_waits_for_the_claim_and_not_for_the_answer() -> None:
    async with worker_stack("never") as stack, asyncio.TaskGroup() as tasks:
        stack.ingress.answers.append("silence")
        serving = tasks.create_task(stack.serve(ask()))
        await until(lambda: stack.ingress.claims)
        assert stack.settled == []
        stack.ingress.send(FrameType.ACCEPT, 1, credit_payload(100))
        await until(lambda: stack.vendors.calls())
        assert stack.settled == ["req_1"]
        stack.ingress.cancel(1, GONE)
        await serving


# Requests that no vendor is called for.


async def test_what_fails_before_any_call_is_claimed_told_and_reported() -> None:
    unreadable = Failure(kind=FailureKind.INVALID_JSON)
    async with worker_stack("echo") as stack:
        await stack.serve(b"not json")
        await stack.serve(ask(), model="unknown to this worker", request_id="req_2", stream_id=2)
        await stack.serve(ask(), request_id="req_3", stream_id=3, routing=RoutingOptions(zero_data_retention=True))
        await stack.ingress.over(3)
        assert [error.kind for error in stack.ingress.errors] == [
            unreadable.kind,
            FailureKind.MODEL_NOT_FOUND,
            FailureKind.INVALID_REQUEST,
        ]
        assert stack.vendors.calls() == []
        assert stack.kafka.attempts() == []
        assert [event.status for event in stack.kafka.request_events()] == [400, 404, 400]
        assert all(bytes(claim.if_lost) == b"null" for claim in stack.ingress.claims)
        assert stack.ingress.story == ["CLAIM", "ERROR", "SETTLED"] * 3


async def test_no_vendor_with_a_key() -> None:
    async with worker_stack() as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.NO_ROUTE_CONFIGURED]


# Bodies that the ingress holds.


async def test_a_held_body_comes_with_the_first_claim() -> None:
    async with worker_stack("status:code=500", "echo") as stack:
        stack.ingress.held_body = msgspec.json.encode(ask(text="kept in memory"))
        await stack.serve(b"", body="held")
        await stack.ingress.over()
        assert [claim.claim_no for claim in stack.ingress.claims] == [0, 1, 2]
        assert bytes(stack.ingress.claims[0].if_lost) == b"null", "no call follows from the first"
        assert b"kept in memory" in stack.ingress.data
        assert_books(stack, exact=True)
        assert all(b"kept in memory" not in record.value for record in stack.kafka.records)


@pytest.mark.parametrize("reason", ["unknown", "late"])
async def test_a_claim_is_settled_even_if_the_call_after_it_is_refused(reason: Any) -> None:
    """Or the ingress would keep the request, and its drain wait for it, until the channel closes."""
    async with worker_stack("echo") as stack:
        stack.ingress.held_body = msgspec.json.encode(ask())
        stack.ingress.answers += ["accept", reason]
        await stack.serve(b"", body="held")
        await stack.ingress.over()
        assert stack.vendors.calls() == []
        assert stack.kafka.attempts() == []
        [event] = stack.kafka.request_events()
        assert event.attempts == 0


# Interruptions.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor_model", ["never", "echo:gap_ms=400:chunks=9", "echo:gap_ms=400:chunks=9:no_usage"])
async def test_a_client_that_goes_is_still_billed_for_what_was_done(stream: bool, vendor_model: str) -> None:
    async with worker_stack(vendor_model) as stack, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stack.serve(ask(stream=stream)))
        await until(lambda: stack.vendors.calls())
        if vendor_model != "never":
            await until(lambda: stack.vendors.calls()[0]["prompt_tokens"])
        started_s = time.monotonic()
        stack.ingress.cancel(1, GONE)
        await until(lambda: stack.vendors.calls()[0]["outcome"] == "hung_up")
        assert time.monotonic() - started_s < 1, "the promise is a second"
        await serving
        await stack.ingress.over()
        [(_, outcome, failure)] = attempts(stack)
        assert (outcome, failure) == ("cancelled", "client_gone")
        assert stack.kafka.attempts()[0].estimated
        assert_books(stack, exact=False)
        assert stack.kafka.request_events()[0].status == 499


async def test_an_ingress_that_dies_hangs_up_on_the_vendor_and_the_call_is_booked() -> None:
    async with worker_stack("echo:gap_ms=400:chunks=9", "echo") as stack, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stack.serve(ask(stream=True)))
        await until(lambda: stack.ingress.data)
        await stack.ingress.drop()
        await serving
        await until(lambda: stack.vendors.calls()[0]["outcome"] == "hung_up")
        assert attempts(stack) == [("v0", "cancelled", "ingress_lost")]
        assert_books(stack, exact=False)


async def test_a_client_that_goes_while_credit_is_awaited() -> None:
    async with worker_stack("huge:kb=2000") as stack, asyncio.TaskGroup() as tasks:
        stack.ingress.window_bytes = 1000
        serving = tasks.create_task(stack.serve(ask(stream=True)))
        await until(lambda: len(stack.ingress.data) >= 1000)
        stack.ingress.cancel(1, GONE)
        await serving
        await stack.ingress.over()
        assert_books(stack, exact=False)


# Estimates.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "vendor_model",
    ["echo:no_usage", "echo:no_usage:chunks=300", "break-after:chunks=7", "echo:no_usage:cached_tokens=1"],
)
async def test_estimates_are_never_below_what_was_charged(stream: bool, vendor_model: str) -> None:
    async with worker_stack(route("v0", vendor_model, max_output_tokens=500)) as stack:
        await stack.serve(ask(stream=stream, n=2, max_tokens=400))
        await stack.ingress.over()
        [attempt] = stack.kafka.attempts()
        assert attempt.estimated
        assert stack.vendors.cost_pico_usd() > 0
        assert_books(stack, exact=False)


async def test_what_a_vendor_charged_is_what_is_booked_for_any_request() -> None:
    async with worker_stack("echo") as stack:
        number = 0

        @given(
            st.text(st.characters(codec="utf-8"), max_size=60),
            st.booleans(),
            st.integers(1, 3),
            st.none() | st.integers(1, 9),
        )
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def collect(text: str, stream: bool, n: int, max_tokens: int | None) -> None:
            bodies.append(ask(text=text, stream=stream, n=n, max_tokens=max_tokens))

        bodies: list[dict[str, Any]] = []
        collect()
        for number, body in enumerate(bodies, start=1):
            await stack.serve(body, request_id=f"req_{number}", stream_id=number)
        await stack.ingress.over(number)
        assert len(stack.kafka.request_events()) == number
        assert {a.outcome for a in stack.kafka.attempts()} == {"completed"}
        assert not any(a.estimated for a in stack.kafka.attempts())
        assert sum(a.cost_pico_usd for a in stack.kafka.attempts()) == stack.vendors.cost_pico_usd() > 0


@pytest.mark.parametrize(
    ("vendor_models", "reports"), [(["echo"], 1), (["status:code=500"], 1), (["garbage", "echo"], 2)]
)
async def test_the_client_is_answered_first_then_usage_is_safe_and_only_then_all_is_settled(
    vendor_models: list[str], reports: int
) -> None:
    async with worker_stack(*vendor_models) as stack, asyncio.TaskGroup() as tasks:
        stack.kafka.confirming = False
        serving = tasks.create_task(stack.serve(ask()))
        await until(lambda: stack.ingress.ends or stack.ingress.errors)
        for _report in range(reports):
            await until(lambda: stack.kafka.unconfirmed)
            for _ in range(20):
                await asyncio.sleep(0)
            assert stack.ingress.settled == 0
            assert not serving.done(), "a report is not safe yet"
            stack.kafka.unconfirmed.pop().set_result(None)
        await stack.ingress.over()
