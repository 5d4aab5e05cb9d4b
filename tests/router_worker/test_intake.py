"""From a record to a task: what cannot be read is put aside without its value, and the room is kept account of."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from router_worker.intake import Intake
from runtime.clock import SystemClock
from runtime.kafka.dead_letters import DeadLetterLimit, DeadLetters
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from schemas.dead_letter import DEAD_LETTER
from schemas.envelope import ENVELOPE
from schemas.topics import ENVELOPE_HEADER, Topic
from tests.fakes.clock import HandClock
from tests.fakes.envelopes import envelope
from tests.fakes.kafka import durable_producer
from tests.fakes.waiting import until
from tests.fakes.worker_stack import WorkerStack, worker_stack


class Position(NamedTuple):
    topic: str
    partition: int
    offset: int


POSITION = Position("requests", 3, 41)


async def intake_of(stack: WorkerStack, max_in_flight: int = 10) -> Intake:
    clock, metrics = HandClock(), Metrics(CollectorRegistry())
    letters = DeadLetters(await durable_producer(stack.kafka), clock, metrics, DeadLetterLimit(clock))
    return Intake(stack.server, letters, max_in_flight, stack.supervisor, metrics)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("other", b"x")],
        [(ENVELOPE_HEADER, b"")],
        [(ENVELOPE_HEADER, b"{}")],
        [(ENVELOPE_HEADER, b"\xff")],
        [(ENVELOPE_HEADER, ENVELOPE.encode(envelope()).replace(b'"v":1', b'"v":2'))],
    ],
)
async def test_what_cannot_be_read_is_put_aside_without_its_prompt(headers: Sequence[tuple[str, bytes]]) -> None:
    async with worker_stack("echo") as stack:
        intake = await intake_of(stack)
        stack.kafka.confirming = False
        settled: list[int] = []
        intake.take(POSITION, b"somebody's prompt", headers, lambda: settled.append(1))
        await until(lambda: stack.kafka.unconfirmed)
        assert settled == [], "not before the letter is safe"
        stack.kafka.confirm_all()
        await until(lambda: settled)
        [record] = stack.kafka.of(Topic.DEAD_LETTER)
        letter = DEAD_LETTER.decode(record.value)
        assert (letter.source_topic, letter.source_partition, letter.source_offset) == ("requests", 3, 41)
        assert letter.reason
        assert letter.value == b""
        assert b"prompt" not in record.value
        assert stack.vendors.calls() == []


async def test_a_record_that_can_be_read_is_served_and_settled() -> None:
    async with worker_stack("echo") as stack:
        intake = await intake_of(stack)
        settled: list[int] = []
        headers = [("other", b"x"), (ENVELOPE_HEADER, ENVELOPE.encode(stack.envelope()))]
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
        intake.take(POSITION, body, headers, lambda: settled.append(1))
        await stack.ingress.over()
        assert settled
        assert b"hello" in stack.ingress.data


async def test_room_is_what_the_limit_leaves() -> None:
    async with worker_stack("never") as stack:
        intake = await intake_of(stack, max_in_flight=2)
        assert intake.room() == 2
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
        for number in (1, 2):
            sent = stack.envelope(stream_id=number, request_id=f"req_{number}")
            intake.take(POSITION, body, [(ENVELOPE_HEADER, ENVELOPE.encode(sent))], lambda: None)
            assert intake.room() == 2 - number
        waiting = asyncio.get_running_loop().create_task(intake.wait_for_room())
        await until(lambda: len(stack.vendors.calls()) == 2)
        assert not waiting.done()
        await stack.ingress.drop()
        async with asyncio.timeout(5):
            await waiting
        await until(lambda: intake.room() == 2)


async def test_stopping_waits_for_what_is_in_flight_until_the_deadline() -> None:
    async with worker_stack("echo:ttft_ms=100", "never") as stack:
        intake = await intake_of(stack)
        sent = stack.envelope(streaming=True)
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": true}'
        intake.take(POSITION, body, [(ENVELOPE_HEADER, ENVELOPE.encode(sent))], lambda: None)
        await intake.stop(Deadline(SystemClock(), 10))
        assert intake.room() == 10
        assert len(stack.kafka.request_events()) == 1
    async with worker_stack("never") as stack:
        intake = await intake_of(stack)
        intake.take(POSITION, body, [(ENVELOPE_HEADER, ENVELOPE.encode(stack.envelope()))], lambda: None)
        await until(lambda: stack.vendors.calls())
        async with asyncio.timeout(5):
            await intake.stop(Deadline(SystemClock(), 0.05))
        assert intake.room() == 9, "handed back when the channel closes"
