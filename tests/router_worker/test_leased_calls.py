"""Calls that leases pay for: the intent before them, the bound they are claimed with, and their end at the deadline."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.failures import Failure, FailureKind
from schemas.frames import Claim
from schemas.usage import USAGE, AttemptEvent
from tests.fakes.vendors import route
from tests.fakes.waiting import until
from tests.fakes.worker_stack import WorkerStack, ask, worker_stack

LEASES = ("0|b@2026-11-01|lease_1", "3|c@2026-11-01|lease_2")
GONE = Failure(kind=FailureKind.CLIENT_GONE)


def lost(claim: Claim) -> tuple[AttemptEvent, ...]:
    return USAGE.decode(bytes(claim.if_lost)).attempts


def assert_taken_back(stack: WorkerStack) -> None:
    """The intent is reported on, and costs nothing."""
    assert stack.vendors.calls() == []
    [attempt] = stack.kafka.attempts()
    assert (attempt.outcome, attempt.failure, attempt.cost_pico_usd) == ("failed", "not_called", 0)
    assert [intent.attempts[0].attempt_id for intent in stack.intents.usage()] == [attempt.attempt_id]
    [settled] = stack.ingress.settlements
    assert (settled.cost_pico_usd, settled.input_tokens, settled.output_tokens) == (0, 0, 0)
    assert stack.ingress.heads == []


async def test_the_intent_is_in_kafka_before_the_call() -> None:
    async with worker_stack("echo") as stack, asyncio.TaskGroup() as tasks:
        stack.intents.confirming = False
        sent = stack.envelope(leases=LEASES)
        raw = msgspec.json.encode(ask())
        serving = tasks.create_task(stack.server.serve(sent, raw, lambda: stack.settled.append("req_1")))
        await until(lambda: stack.intents.unconfirmed)
        for _ in range(20):
            await asyncio.sleep(0)
        assert stack.vendors.calls() == []
        assert stack.settled == ["req_1"], "the claim is accepted before anything is written"
        stack.intents.confirm_all()
        await serving
        await stack.ingress.over()
        [intent], [claim] = stack.intents.usage(), stack.ingress.claims
        assert (intent.origin, intent.deadline_ms, intent.request) == ("intent", sent.deadline_ms, None)
        assert (intent.leases, intent.accepted_at_ms) == (LEASES, sent.accepted_at_ms)
        assert intent.attempts == lost(claim)
        assert intent.attempts[0].cost_pico_usd == claim.bound_pico_usd > 0
        assert stack.intents.records[0].key == stack.kafka.records[0].key, "both in one partition"
        [usage] = stack.kafka.usage()
        assert (usage.origin, usage.leases, usage.accepted_at_ms) == ("worker", LEASES, sent.accepted_at_ms)
        assert usage.deadline_ms == 0
        assert [a.attempt_id for a in usage.attempts] == [a.attempt_id for a in intent.attempts]
        [settled] = stack.ingress.settlements
        assert settled.cost_pico_usd == usage.attempts[0].cost_pico_usd == stack.vendors.cost_pico_usd() > 0
        assert (settled.input_tokens, settled.output_tokens) == (
            usage.attempts[0].tokens.input,
            usage.attempts[0].tokens.output,
        )


async def test_without_leases_nothing_is_written_before_a_call() -> None:
    async with worker_stack("status:code=500", "echo") as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        assert stack.intents.records == []
        assert all(claim.bound_pico_usd > 0 for claim in stack.ingress.claims)
        assert [record.leases for record in stack.kafka.usage()] == [(), ()]


async def test_every_route_has_its_claim_its_intent_and_what_went_before() -> None:
    async with worker_stack("garbage", "echo") as stack:
        await stack.serve(ask(), leases=LEASES)
        await stack.ingress.over()
        first, second = stack.ingress.claims
        failed, completed = stack.kafka.attempts()
        assert failed.cost_pico_usd > 0, "a garbled answer may have cost something"
        assert (first.spent_pico_usd, second.spent_pico_usd) == (0, failed.cost_pico_usd)
        assert (lost(first)[0].outcome, len(lost(first))) == ("worker_lost", 1)
        assert lost(second)[0] == failed
        assert (lost(second)[1].outcome, lost(second)[1].attempt_id) == ("worker_lost", completed.attempt_id)
        assert [[a.attempt_id for a in intent.attempts] for intent in stack.intents.usage()] == [
            [failed.attempt_id],
            [completed.attempt_id],
        ]
        [settled] = stack.ingress.settlements
        assert settled.cost_pico_usd == failed.cost_pico_usd + completed.cost_pico_usd
        assert settled.output_tokens == failed.tokens.output + completed.tokens.output


# Intents that come to nothing.


async def test_a_call_whose_intent_kafka_does_not_take_is_not_made() -> None:
    async with worker_stack("echo", "echo", intent_timeout_s=0.02) as stack:
        stack.intents.confirming = False
        await stack.serve(ask(), leases=LEASES)
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.QUEUE_UNAVAILABLE]
        assert_taken_back(stack)
        stack.intents.confirm_all()  # late, which must do no harm
        assert stack.result("failed") == 1


async def test_a_client_that_goes_while_the_intent_is_written_is_not_called_for() -> None:
    async with worker_stack("echo") as stack, asyncio.TaskGroup() as tasks:
        stack.intents.confirming = False
        serving = tasks.create_task(stack.serve(ask(), leases=LEASES))
        await until(lambda: stack.intents.unconfirmed)
        stack.ingress.cancel(1, GONE)
        await serving
        await stack.ingress.over()
        assert_taken_back(stack)
        assert [event.failure for event in stack.kafka.request_events()] == ["client_gone"]
        stack.intents.confirm_all()


async def test_a_deadline_that_passes_while_the_intent_is_written() -> None:
    async with worker_stack("echo") as stack, asyncio.TaskGroup() as tasks:
        stack.intents.confirming = False
        sent = stack.envelope(leases=LEASES, deadline_ms=stack.clock.now_ms() + 100)
        serving = tasks.create_task(stack.server.serve(sent, msgspec.json.encode(ask()), lambda: None))
        await until(lambda: stack.intents.unconfirmed)
        await until(lambda: stack.clock.now_ms() >= sent.deadline_ms)
        stack.intents.confirm_all()
        await serving
        await stack.ingress.over()
        assert_taken_back(stack)
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.DEADLINE_EXCEEDED]


# Refusals.


@pytest.mark.parametrize("reason", ["budget", "claimed", "unknown", "late", "token"])
async def test_a_refused_first_claim_leaves_no_intent(reason: Any) -> None:
    """Nor a report: another worker may be making the attempt of that very id, and a zero would hide its cost."""
    async with worker_stack("echo") as stack:
        stack.ingress.answers.append(reason)
        await stack.serve(ask(), leases=LEASES)
        assert (stack.intents.records, stack.kafka.records, stack.vendors.calls()) == ([], [], [])
        assert stack.ingress.story == ["CLAIM"]


async def test_a_route_that_the_budget_does_not_cover_leaves_the_failure_before() -> None:
    async with worker_stack("status:code=500", "echo") as stack:
        stack.ingress.answers += ["accept", "budget"]
        await stack.serve(ask(), leases=LEASES)
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.VENDOR_ERROR]
        assert len(stack.intents.records) == len(stack.vendors.calls()) == 1


async def test_a_held_body_whose_call_the_budget_does_not_cover() -> None:
    async with worker_stack("echo") as stack:
        stack.ingress.held_body = msgspec.json.encode(ask())
        stack.ingress.answers += ["accept", "budget"]
        await stack.serve(b"", body="held", leases=LEASES)
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.BUDGET_BUSY]
        assert [claim.bound_pico_usd > 0 for claim in stack.ingress.claims] == [False, True]
        assert (stack.intents.records, stack.vendors.calls(), stack.kafka.attempts()) == ([], [], [])


# The deadline.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor_model", ["never", "echo:gap_ms=400:chunks=50", "huge:kb=2000"])
async def test_a_leased_call_ends_at_the_deadline_even_if_the_ingress_says_nothing(
    vendor_model: str, stream: bool
) -> None:
    async with worker_stack(vendor_model) as stack:
        stack.ingress.window_bytes = 1000  # of the huge answer the client takes no more
        deadline_ms = stack.clock.now_ms() + 300
        await stack.serve(ask(stream=stream), leases=LEASES, deadline_ms=deadline_ms)
        await stack.ingress.over()
        assert stack.clock.now_ms() >= deadline_ms
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.DEADLINE_EXCEEDED]
        [attempt] = stack.kafka.attempts()
        assert (attempt.outcome, attempt.failure) == ("cancelled", "deadline_exceeded")
        if vendor_model != "huge:kb=2000":  # that one is through before its client is
            await until(lambda: stack.vendors.calls()[0]["outcome"] == "hung_up")
        assert attempt.cost_pico_usd >= stack.vendors.cost_pico_usd()


async def test_an_ingress_that_is_lost_ends_a_leased_call() -> None:
    async with worker_stack("echo:gap_ms=400:chunks=9") as stack, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stack.serve(ask(stream=True), leases=LEASES))
        await until(lambda: stack.ingress.data)
        await stack.ingress.drop()
        await serving
        await until(lambda: stack.vendors.calls()[0]["outcome"] == "hung_up")
        [attempt] = stack.kafka.attempts()
        assert (attempt.outcome, attempt.failure) == ("cancelled", "ingress_lost")


# The bound.


async def test_no_call_costs_more_than_it_was_claimed_with() -> None:
    """Whatever the vendor does, whatever the caps: what it charges and what is booked stay below the bound."""
    vendor_models = st.sampled_from(
        [
            "echo",
            "echo:chunks=300",
            "echo:chunks=9:reasoning_tokens=600",
            "echo:no_usage:chunks=40",
            "garbage",
            "break-after:chunks=7",
            "error-in-stream",
        ]
    )
    cases: list[tuple[str, dict[str, Any], int | None]] = []

    @given(
        vendor_models,
        st.text(st.characters(codec="utf-8"), max_size=60),
        st.booleans(),
        st.integers(1, 3),
        st.none() | st.integers(1, 900),
        st.none() | st.integers(1, 900),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def collect(
        vendor_model: str, text: str, stream: bool, n: int, max_tokens: int | None, gateway_cap: int | None
    ) -> None:
        cases.append((vendor_model, ask(text=text, stream=stream, n=n, max_tokens=max_tokens), gateway_cap))

    collect()
    names = sorted({name for name, _, _ in cases})
    async with worker_stack(*(route(f"v{n}", name, max_output_tokens=800) for n, name in enumerate(names))) as stack:
        for number, (name, body, gateway_cap) in enumerate(cases, start=1):
            options = msgspec.structs.replace(stack.envelope().routing, vendors=(f"v{names.index(name)}",))
            await stack.serve(
                body,
                request_id=f"req_{number}",
                stream_id=number,
                routing=options,
                leases=LEASES,
                gateway_cap_tokens=gateway_cap,
            )
        await stack.ingress.over(len(cases))
        booked = {attempt.attempt_id: attempt for attempt in stack.kafka.attempts()}
        bounds = {lost(claim)[-1].attempt_id: claim.bound_pico_usd for claim in stack.ingress.claims}
        assert booked.keys() == bounds.keys()
        assert all(booked[name].cost_pico_usd <= bounds[name] for name in booked)
        assert len(stack.vendors.calls()) == len(cases)
        assert sum(a.cost_pico_usd for a in booked.values()) >= stack.vendors.cost_pico_usd() > 0
