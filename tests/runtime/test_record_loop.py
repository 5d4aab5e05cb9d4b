"""The loop that takes requests from Kafka: each once, committed in order, and never thrown out of its group (G1)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.kafka import record_loop
from runtime.kafka.clients import make_group_consumer, make_queue_producer
from runtime.kafka.partitioners import StickyPartitioner
from runtime.kafka.queue_producer import QueueProducer
from runtime.kafka.record_loop import RecordLoop, RecordPosition, Settled
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from tests.runtime.kafka_topics import committed, create_topic, produce
from tests.runtime.waiting import until, until_async

GROUP = "workers"
Place = tuple[int, int]


class Hands:
    """A handler that takes at most `size` records at once and settles them when the test says so."""

    def __init__(self, size: int = 10_000) -> None:
        self.size = size
        self.seen: list[Place] = []
        self.values: dict[Place, bytes] = {}
        self.headers: list[Sequence[tuple[str, bytes]]] = []
        self.open: dict[Place, Settled] = {}
        self.most_open = 0
        self._room = asyncio.Event()

    def room(self) -> int:
        return self.size - len(self.open)

    async def wait_for_room(self) -> None:
        await self._room.wait()

    def take(
        self, position: RecordPosition, value: bytes, headers: Sequence[tuple[str, bytes]], settled: Settled
    ) -> None:
        place = position.partition, position.offset
        self.seen.append(place)
        self.values[place] = value
        self.headers.append(headers)
        self.open[place] = settled
        self.most_open = max(self.most_open, len(self.open))
        self._room.clear()

    def settle(self, place: Place) -> None:
        self.open.pop(place)()
        self._room.set()

    def settle_all(self) -> None:
        for place in list(self.open):
            self.settle(place)


class CountingLoop(RecordLoop):
    joins = 0

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.joins += 1
        await super().on_partitions_assigned(assigned)


@asynccontextmanager
async def running(
    settings: KafkaSettings, hands: Hands, topic: str, *, max_poll_interval_s: float = 30
) -> AsyncIterator[CountingLoop]:
    supervisor = Supervisor()
    loop = CountingLoop(
        lambda: make_group_consumer(settings, GROUP, max_poll_interval_s=max_poll_interval_s),
        topic,
        hands,
        supervisor,
        Metrics(CollectorRegistry()),
    )
    await loop.start()
    try:
        await until(lambda: loop.joined, "the group to be joined")
        yield loop
    finally:
        await loop.stop(Deadline(SystemClock(), 5))
        await supervisor.cancel_all()
    assert not supervisor.failed.is_set()


@pytest.fixture
async def topic(kafka_settings: KafkaSettings) -> str:
    name = f"{kafka_settings.topic_prefix}requests"
    await create_topic(kafka_settings, name, partitions=4)
    return name


def offsets_are(settings: KafkaSettings, topic: str, expected: dict[int, int]) -> Callable[[], Awaitable[bool]]:
    async def same() -> bool:
        return await committed(settings, GROUP, topic) == expected

    return same


async def fill(settings: KafkaSettings, topic: str, each: int, first: int = 0) -> set[Place]:
    """`each` records more in every partition; their places."""
    places = [(partition, offset) for offset in range(first, first + each) for partition in range(4)]
    await produce(settings, topic, [(partition, None, b"%d/%d" % (partition, offset)) for partition, offset in places])
    return set(places)


async def test_every_record_is_handled_once_and_committed_in_order(kafka_settings: KafkaSettings, topic: str) -> None:
    everything = await fill(kafka_settings, topic, 50)
    hands = Hands()
    async with running(kafka_settings, hands, topic):
        await until(lambda: len(hands.seen) == len(everything), "all records")
        assert Counter(hands.seen) == Counter(everything)
        assert all(hands.values[place] == b"%d/%d" % place for place in everything)
        for partition in range(4):
            taken = [offset for number, offset in hands.seen if number == partition]
            assert taken == sorted(taken)

        # All but offset 20 of each partition, in any order: the commit stops there, and stays.
        places = sorted(place for place in everything if place[1] != 20)
        Random(4).shuffle(places)
        for place in places:
            hands.settle(place)
        await until_async(
            offsets_are(kafka_settings, topic, dict.fromkeys(range(4), 20)), "the commit of what is settled"
        )
        hands.settle_all()
        await until_async(offsets_are(kafka_settings, topic, dict.fromkeys(range(4), 50)), "the commit of the end")


async def test_headers_and_an_empty_value_arrive_as_they_were_put(kafka_settings: KafkaSettings, topic: str) -> None:
    """A held body (G5) has an empty record: its envelope is all there is."""
    supervisor, clock = Supervisor(), SystemClock()
    producer = QueueProducer(
        lambda: make_queue_producer(kafka_settings, StickyPartitioner(clock, 0)),
        topic,
        5,
        clock,
        supervisor,
        Metrics(CollectorRegistry()),
    )
    await producer.start()
    await producer.put(b"", [("envelope", b"\x00\xff"), ("empty", b"")], lambda: None)
    await producer.stop(Deadline(clock, 5))
    hands = Hands()
    async with running(kafka_settings, hands, topic):
        await until(lambda: bool(hands.seen), "the record")
    assert list(hands.values.values()) == [b""]
    assert [list(headers) for headers in hands.headers] == [[("envelope", b"\x00\xff"), ("empty", b"")]]


async def test_a_restart_resumes_at_what_was_committed(
    kafka_settings: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the stop itself may commit here.
    monkeypatch.setattr(record_loop, "COMMIT_EVERY_S", 3600)
    everything = await fill(kafka_settings, topic, 10)
    first = Hands()
    async with running(kafka_settings, first, topic):
        await until(lambda: len(first.seen) == len(everything), "all records")
        for partition, offset in sorted(everything):
            if offset < 6 or offset == 8:
                first.settle((partition, offset))
    # 8 is settled behind a gap, so it comes again with 6, 7 and 9.
    more = await fill(kafka_settings, topic, 2, first=10)
    expected = {place for place in everything if place[1] >= 6} | more
    second = Hands()
    async with running(kafka_settings, second, topic):
        await until(lambda: len(second.seen) >= len(expected), "what was left and what is new")
        second.settle_all()
    assert Counter(second.seen) == Counter(expected)
    assert await committed(kafka_settings, GROUP, topic) == dict.fromkeys(range(4), 12)


async def test_a_full_handler_is_not_overfilled_and_stays_in_its_group(
    kafka_settings: KafkaSettings, topic: str
) -> None:
    """Unpolled for longer than the poll interval, the consumer would be thrown out and its requests taken again."""
    everything = await fill(kafka_settings, topic, 5)
    hands = Hands(size=3)
    loop_time = asyncio.get_running_loop().time
    async with running(kafka_settings, hands, topic, max_poll_interval_s=0.5) as loop:
        await until(lambda: len(hands.open) == 3, "a full handler")
        full_until_s = loop_time() + 2.5
        await until(lambda: loop_time() > full_until_s, "five poll intervals, and more than one heartbeat")
        assert len(hands.seen) == 3

        def all_handled() -> bool:
            hands.settle_all()
            return len(hands.seen) >= len(everything)

        await until(all_handled, "the rest")
        await until_async(offsets_are(kafka_settings, topic, dict.fromkeys(range(4), 5)), "the commit of the end")
        assert loop.joins == 1
    assert Counter(hands.seen) == Counter(everything)
    assert hands.most_open == 3


async def test_a_rebalance_while_full_loses_no_record(kafka_settings: KafkaSettings, topic: str) -> None:
    """Partitions that are newly assigned are not paused: what a poll for the membership brings of them must not be
    dropped, or later commits pass it and nobody ever answers."""
    everything = await fill(kafka_settings, topic, 30)
    first, second = Hands(size=2), Hands(size=2)
    loop_time = asyncio.get_running_loop().time
    async with running(kafka_settings, first, topic) as loop:
        await until(lambda: len(first.open) == 2, "a full handler")
        async with running(kafka_settings, second, topic):
            await until(lambda: loop.joins == 2, "the rebalance")
            await until(lambda: len(second.open) == 2, "the other full handler")
        await until(lambda: loop.joins == 3, "the rebalance back")
        full_until_s = loop_time() + 4 * record_loop.POLL_S
        await until(lambda: loop_time() > full_until_s, "some polls while full")
        seen_before = len(first.seen)

        def all_handled() -> bool:
            first.settle_all()
            return set(first.seen) >= everything

        await until(all_handled, f"every record, {seen_before} of them before")


async def test_partitions_that_move_take_their_settled_records_along(
    kafka_settings: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker joins: what was settled must not be called again, what was not must be."""
    # Only the revocation itself may commit here.
    monkeypatch.setattr(record_loop, "COMMIT_EVERY_S", 3600)
    everything = await fill(kafka_settings, topic, 10)
    first, second = Hands(), Hands()
    async with running(kafka_settings, first, topic) as loop:
        await until(lambda: len(first.seen) == len(everything), "all records")
        before = dict(first.open)
        for place in sorted(everything):
            if place[1] < 7:
                first.settle(place)
        unsettled = {place for place in everything if place[1] >= 7}
        async with running(kafka_settings, second, topic):
            await until(lambda: loop.joins == 2, "the rebalance")

            def again() -> list[Place]:
                return first.seen[len(everything) :] + second.seen

            await until(lambda: len(again()) >= len(unsettled), "the unsettled records")
            assert Counter(again()) == Counter(unsettled)
            moved = {partition for partition, _ in second.seen}
            assert len(moved) == 2

            # The first worker's calls end now. They must not settle what the second has in hand.
            for place in unsettled:
                before[place]()
            await loop._commit()
            kept = dict.fromkeys(range(4), 7)
            assert await committed(kafka_settings, GROUP, topic) == kept
        # Gone again, with nothing settled: the first gets it back.
        await until(lambda: Counter(first.seen)[(min(moved), 9)] == 2, "the records of the worker that left")


class SilentConsumer:
    """A consumer whose Kafka has stopped answering."""

    def subscribe(self, topics: list[str], listener: object) -> None:
        return

    async def start(self) -> None:
        return

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, object]:
        await asyncio.Event().wait()
        return {}

    async def commit(self, positions: dict[TopicPartition, int]) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_a_drain_does_not_wait_for_a_kafka_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_loop, "LEAVE_WITHIN_S", 0.05)
    supervisor, consumer = Supervisor(), cast(AIOKafkaConsumer, SilentConsumer())
    loop = RecordLoop(lambda: consumer, "requests", Hands(), supervisor, Metrics(CollectorRegistry()))
    await loop.start()
    await loop.on_partitions_assigned([TopicPartition("requests", 0)])
    stopping = asyncio.get_running_loop().create_task(loop.stop(Deadline(SystemClock(), 60)))
    await until(stopping.done, "the loop to stop")
    await supervisor.cancel_all()
