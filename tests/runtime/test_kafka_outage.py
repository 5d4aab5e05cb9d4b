"""Kafka goes away and comes back: nothing that is money is lost or doubled, and what is waited for fails fast.

A broker of its own, which these tests kill and start again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from prometheus_client import CollectorRegistry

from deploy.local.kafka.process import KafkaHandle
from runtime.clock import SystemClock
from runtime.kafka import durable_producer, log_reader
from runtime.kafka.clients import make_durable_producer, make_queue_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.partitioners import StickyPartitioner
from runtime.kafka.queue_producer import QueueProducer, QueueUnavailable
from runtime.kafka.table_reader import TableReader
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.topics import Topic
from tests.conftest import MakeSettings, StartKafka
from tests.fakes.clock import HandClock
from tests.runtime.kafka_topics import create_topic, produce, read_all
from tests.runtime.waiting import until

CONFIRM_WITHIN_S = 0.5


@pytest.fixture(scope="module")
def own_kafka(start_kafka: StartKafka) -> KafkaHandle:
    return start_kafka("own-kafka")


@pytest.fixture
def settings(own_kafka: KafkaHandle, settings_for: MakeSettings) -> KafkaSettings:
    if not own_kafka.running:
        own_kafka.start()
    return settings_for(own_kafka)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@asynccontextmanager
async def durable(settings: KafkaSettings, metrics: Metrics) -> AsyncIterator[DurableProducer]:
    producer = DurableProducer(lambda: make_durable_producer(settings), settings.topic_prefix, metrics)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop(Deadline(SystemClock(), 5))


def numbered(number: int) -> Callable[[bool], bytes]:
    return lambda repeat: json.dumps({"number": number, "repeat": repeat}).encode()


async def test_usage_survives_a_broker_that_is_killed_under_it(
    own_kafka: KafkaHandle, settings: KafkaSettings, metrics: Metrics
) -> None:
    """A killed broker may have taken a batch and not answered: sent again, it must not count twice."""
    topic = topic_name(settings, Topic.USAGE)
    await create_topic(settings, topic, partitions=3)
    async with durable(settings, metrics) as producer:
        supervisor = Supervisor()
        count = 0
        killed = asyncio.Event()

        async def deliver_steadily() -> None:
            nonlocal count
            while not killed.is_set() or count % 50:
                number, count = count, count + 1
                deliveries.append(
                    supervisor.spawn(producer.deliver(Topic.USAGE, f"prj_{number % 7}", numbered(number)), "deliver")
                )
                await asyncio.sleep(0)

        deliveries: list[asyncio.Task[None]] = []
        steadily = supervisor.spawn(deliver_steadily(), "steadily")
        await until(lambda: any(task.done() for task in deliveries), "the first deliveries")
        await asyncio.to_thread(own_kafka.kill)
        killed.set()
        await steadily
        waiting = [task for task in deliveries if not task.done()]
        assert waiting, "the broker went away under deliveries in flight"
        await asyncio.to_thread(own_kafka.start)
        await until(lambda: all(task.done() for task in deliveries), "every delivery to return")
        assert not supervisor.failed.is_set()
    found = [json.loads(value or b"") for _, value in await read_all(settings, topic)]
    first_tries = [record["number"] for record in found if not record["repeat"]]
    assert len(first_tries) == len(set(first_tries)), "doubled without being marked as a repeat"
    assert {record["number"] for record in found} == set(range(count)), "lost"


async def test_a_producer_that_has_become_unusable_is_replaced_and_repeats_are_marked(
    settings: KafkaSettings, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable_producer, "BACKOFF_S", 0.01)
    await create_topic(settings, topic_name(settings, Topic.USAGE))
    async with durable(settings, metrics) as producer:
        await producer.deliver(Topic.USAGE, "p", numbered(0))
        first = producer._producer
        assert first is not None
        await first.stop()
        async with asyncio.timeout(20):
            await asyncio.gather(*[producer.deliver(Topic.USAGE, "p", numbered(number)) for number in range(1, 20)])
        assert producer._producer is not first
    found = [json.loads(value or b"") for _, value in await read_all(settings, topic_name(settings, Topic.USAGE))]
    # A producer that is closed takes nothing: these were not sent before, so none may be marked as a repeat.
    assert sorted((record["number"], record["repeat"]) for record in found) == [(n, False) for n in range(20)]
    failures = metrics.registry.get_sample_value("tollhouse_kafka_delivery_failures_total", {"topic": "usage"})
    assert failures
    assert failures >= 1


async def test_a_record_that_is_too_large_is_refused_and_the_producer_kept(
    settings: KafkaSettings, metrics: Metrics
) -> None:
    await create_topic(settings, topic_name(settings, Topic.USAGE))
    async with durable(settings, metrics) as producer:
        before = producer._producer
        with pytest.raises(MessageSizeTooLargeError):
            async with asyncio.timeout(20):
                await producer.deliver(Topic.USAGE, "p", lambda _: b"x" * 2_000_000)
        await producer.deliver(Topic.USAGE, "p", numbered(1))
        assert producer._producer is before


async def test_requests_fail_fast_while_kafka_is_away_and_it_recovers_by_itself(
    own_kafka: KafkaHandle, settings: KafkaSettings, metrics: Metrics
) -> None:
    topic = topic_name(settings, Topic.REQUESTS)
    await create_topic(settings, topic)
    supervisor = Supervisor()
    producer = QueueProducer(
        lambda: make_queue_producer(settings, StickyPartitioner(SystemClock(), 0)),
        topic,
        CONFIRM_WITHIN_S,
        SystemClock(),
        supervisor,
        metrics,
    )
    await producer.start()
    failures: list[str] = []

    async def put(name: str) -> None:
        await producer.put(name.encode(), [("envelope", b"e")], lambda: failures.append(name))

    try:
        for number in range(20):
            await put(f"before {number}")
        await until(lambda: not producer._unconfirmed, "confirmations")
        assert (producer.available, failures) == (True, [])

        await asyncio.to_thread(own_kafka.kill)
        # The first cannot know yet; they are handed over, and their owners hear of the failure.
        await put("during 0")
        await put("during 1")
        await until(lambda: not producer.available, "the overdue records to be noticed")
        assert failures == ["during 0", "during 1"]
        with pytest.raises(QueueUnavailable):
            await put("refused")
        assert failures == ["during 0", "during 1"], "who got the exception hears of it only by that"

        await asyncio.to_thread(own_kafka.start)
        await until(lambda: producer.available, "recovery without anybody's help")
        await put("after")
        await until(lambda: not producer._unconfirmed, "the confirmation after the recovery")
        assert failures == ["during 0", "during 1"], "once each, whatever became of the record later"
        assert not supervisor.failed.is_set()
    finally:
        await producer.stop(Deadline(SystemClock(), 5))
    values = [value for _, value in await read_all(settings, topic)]
    assert values.count(b"after") == 1
    assert {b"before %d" % number for number in range(20)} <= set(values)
    assert b"refused" not in values


async def test_a_request_that_kafka_gives_up_on_later_is_not_reported_twice(
    own_kafka: KafkaHandle, settings: KafkaSettings, metrics: Metrics
) -> None:
    topic = topic_name(settings, Topic.REQUESTS)
    await create_topic(settings, topic)
    supervisor = Supervisor()
    producer = QueueProducer(
        # As make_queue_producer, but it gives up after one second and not after fifteen.
        lambda: AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", request_timeout_ms=1000),
        topic,
        CONFIRM_WITHIN_S,
        SystemClock(),
        supervisor,
        metrics,
    )
    await producer.start()
    failures: list[str] = []
    try:
        await producer.put(b"before", [], lambda: failures.append("before"))
        await until(lambda: not producer._unconfirmed, "the confirmation")
        await asyncio.to_thread(own_kafka.kill)
        await producer.put(b"during", [], lambda: failures.append("during"))
        await until(lambda: not producer.available, "the overdue record to be noticed")
        await until(lambda: not producer._unconfirmed, "the producer to give up")
        assert failures == ["during"]
        assert producer.available, "the next request finds out whether Kafka is back"
    finally:
        await producer.stop(Deadline(SystemClock(), 5))
    assert not supervisor.failed.is_set()


async def test_a_table_knows_its_age_while_kafka_is_away_and_catches_up_afterwards(
    own_kafka: KafkaHandle, settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hard budgets fail closed on this age; a table that took silence for quiet would let everybody through."""
    monkeypatch.setattr(log_reader, "CHECK_EVERY_S", 0.05)
    topic = topic_name(settings, Topic.SPEND)
    await create_topic(settings, topic, cleanup_policy="compact")
    await produce(settings, topic, [(0, b"k", b"1")])
    clock, supervisor, applied = HandClock(), Supervisor(), list[bytes]()
    reader = TableReader(lambda: make_reader(settings), topic, applied.append, clock, supervisor)

    def whole_again() -> bool:
        if reader.age_s() == 0:
            return True
        clock.move(1)
        return False

    await reader.start()
    try:
        assert (applied, reader.age_s()) == ([b"1"], 0)
        clock.move(10)
        await until(whole_again, "the check of a quiet topic")
        await produce(settings, topic, [(0, b"k", b"2")])
        await until(lambda: applied == [b"1", b"2"], "a record after that check")

        await asyncio.to_thread(own_kafka.kill)
        # Longer than one poll, so that a check of the end offsets has begun and goes unanswered.
        for age_s in range(100, 2501, 100):
            clock.move(100)
            await asyncio.sleep(0.05)
            assert reader.age_s() == age_s

        await asyncio.to_thread(own_kafka.start)
        await until(whole_again, "the check after the outage")
        await produce(settings, topic, [(0, b"k", b"3")])
        await until(lambda: applied == [b"1", b"2", b"3"], "the record after the outage")
        assert not supervisor.failed.is_set()
    finally:
        await reader.stop(Deadline(SystemClock(), 5))
