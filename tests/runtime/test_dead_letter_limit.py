"""One unreadable record is put aside; a flood of them stops the consumer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from runtime.kafka.dead_letters import MAX_IN_WINDOW, WINDOW_S, DeadLetterFlood, DeadLetterLimit, DeadLetters
from runtime.metrics import Metrics
from schemas.topics import TOPICS, Topic
from tests.fakes.clock import HandClock
from tests.fakes.kafka import FakeKafka, durable_producer


def test_as_many_as_allowed_pass_and_the_next_is_a_flood() -> None:
    limit = DeadLetterLimit(HandClock())
    for _ in range(MAX_IN_WINDOW):
        limit.count()
    with pytest.raises(DeadLetterFlood, match="101 unreadable records within 60 s"):
        limit.count()


def test_a_steady_trickle_never_is() -> None:
    clock = HandClock()
    limit = DeadLetterLimit(clock)
    for _ in range(10 * MAX_IN_WINDOW):
        limit.count()
        clock.move(1.01 * WINDOW_S / MAX_IN_WINDOW)


@given(st.lists(st.integers(0, 10), max_size=60))
def test_it_is_a_flood_exactly_when_more_than_allowed_lie_in_one_window(pauses: list[int]) -> None:
    clock = HandClock()
    limit = DeadLetterLimit(clock, max_in_window=3, window_s=10)
    at: list[float] = []
    for pause in pauses:
        clock.move(pause)
        at.append(clock.monotonic_s())
        flood = sum(1 for earlier in at if clock.monotonic_s() - earlier < 10) > 3
        try:
            limit.count()
        except DeadLetterFlood:
            assert flood
        else:
            assert not flood


async def test_a_record_of_full_size_makes_a_dead_letter_that_kafka_takes() -> None:
    kafka, clock = FakeKafka(), HandClock()
    letters = DeadLetters(await durable_producer(kafka), clock, Metrics(CollectorRegistry()), DeadLetterLimit(clock))
    await letters.put("usage", 0, 1, "why", b"x" * TOPICS[Topic.USAGE].max_message_bytes)
    (letter,) = kafka.of(Topic.DEAD_LETTER)
    assert len(letter.value) < TOPICS[Topic.DEAD_LETTER].max_message_bytes
