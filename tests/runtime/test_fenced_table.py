"""One writer per partition, on a real broker: whoever was deposed writes in vain, and learns of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import Deposed, FencedTable, _Partition
from runtime.kafka.fenced_writer import FencedWriter
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.fencing import Stamp
from schemas.topics import Topic
from tests.runtime.kafka_topics import create_topic, produce
from tests.runtime.waiting import until

CLOCK = SystemClock()


class Replica:
    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self.values: dict[str, bytes | None] = {}
        self.supervisor = Supervisor()
        self.producer = DurableProducer(
            lambda: make_durable_producer(settings), settings.topic_prefix, Metrics(CollectorRegistry())
        )
        self.table = FencedTable(
            lambda: make_reader(settings), topic_name(settings, Topic.SPEND), self._apply, CLOCK, self.supervisor
        )
        self.writer = FencedWriter(self.producer, self.table, Topic.SPEND, name)

    def _apply(self, _partition: int, key: str, value: bytes | None) -> None:
        self.values[key] = value


@asynccontextmanager
async def replica(settings: KafkaSettings, name: str) -> AsyncIterator[Replica]:
    made = Replica(settings, name)
    await made.producer.start()
    await made.table.start()
    try:
        yield made
    finally:
        await made.table.stop(Deadline(CLOCK, 1))
        await made.producer.stop(Deadline(CLOCK, 1))
        await made.supervisor.cancel_all()


@pytest.fixture
async def spend_topic(kafka_settings: KafkaSettings) -> KafkaSettings:
    await create_topic(kafka_settings, topic_name(kafka_settings, Topic.SPEND), partitions=2)
    return kafka_settings


async def test_a_deposed_writer_writes_in_vain_and_is_told(spend_topic: KafkaSettings) -> None:
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(replica(spend_topic, "old"))
        new = await stack.enter_async_context(replica(spend_topic, "new"))
        reader = await stack.enter_async_context(replica(spend_topic, "reader"))
        first = await old.writer.take_over(0)
        await old.writer.confirm(first, await old.writer.write(first, [("a", b"1"), ("b", b"1")]))

        second = await new.writer.take_over(0)
        # It has read its own marker, so what counted before is in its table the moment it has taken over.
        assert new.writer.is_current(second)
        assert new.values == {"a": b"1", "b": b"1"}
        late = await old.writer.write(first, [("a", b"late")])
        with pytest.raises(Deposed):
            await old.writer.confirm(first, late)
        assert not old.writer.is_current(first)
        await new.writer.confirm(second, await new.writer.write(second, [("b", b"2"), ("c", None)]))

        await until(lambda: reader.values.get("b") == b"2" and "c" in reader.values, "the reader has read all")
        assert reader.values == {"a": b"1", "b": b"2", "c": None} == new.values
        # Compaction would keep the late one: the writer can see which keys it must repeat.
        await until(lambda: new.table.void_keys(0) == {"a"}, "the void key is known")
        await new.writer.confirm(second, await new.writer.write(second, [("a", b"1")]))
        assert new.table.void_keys(0) == set()
        assert new.table.void_keys(1) == set()


async def test_partitions_have_writers_of_their_own_and_many_may_compete(spend_topic: KafkaSettings) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(replica(spend_topic, f"r{number}")) for number in range(3)]
        other = await replicas[2].writer.take_over(1)

        async def write_one(at: int) -> None:
            while True:
                try:
                    term = await replicas[at].writer.take_over(0)
                    stamp = await replicas[at].writer.write(term, [(f"k{at}", str(at).encode())])
                    return await replicas[at].writer.confirm(term, stamp)
                except Deposed:
                    continue

        # Whoever was confirmed is in everybody's table, however often they took the partition from one another.
        await asyncio.wait_for(asyncio.gather(*(write_one(at) for at in range(3))), 30)
        for each in replicas:
            await until(lambda values=each.values: len(values) == 3, "all confirmed writes are read")  # type: ignore[misc]
        assert replicas[2].writer.is_current(other)


async def test_records_without_a_stamp_do_not_count(spend_topic: KafkaSettings) -> None:
    await produce(spend_topic, topic_name(spend_topic, Topic.SPEND), [(0, b"a", b"by hand")])
    async with replica(spend_topic, "reader") as reader:
        assert reader.values == {}
        assert reader.table.void_keys(0) == {"a"}
        assert reader.table.age_s() < 30


def test_of_writers_elsewhere_no_numbers_are_kept() -> None:
    """Number 1 was compacted away: whoever waited for the numbers to be whole would remember all that follow."""
    partition = _Partition()
    for number in (0, *range(2, 1000)):
        assert partition.read(Stamp(1, "elsewhere", number))
    assert not partition._beyond
