"""Reads a whole topic from its beginning and stays with it, record by record in each partition's order."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from runtime.clock import Clock
from runtime.lifecycle import Deadline, Supervisor, finish
from schemas.codec import UndecodableRecord

log = structlog.get_logger(__name__)

CHECK_EVERY_S = 2.0


class TopicMissing(KafkaError):
    """Kafka does not know the topic; a broker that has just started may say so of one that it has."""


class LogRecord(Protocol):
    """What is used of aiokafka's ConsumerRecord."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class LogReader:
    """`apply(record)` is called for each record; an UndecodableRecord from it is logged."""

    def __init__(
        self,
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        apply: Callable[[LogRecord], None],
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._make_reader = make_reader
        self._topic = topic
        self._apply = apply
        self._clock = clock
        self._supervisor = supervisor
        self._reader: Any = None
        self._next_offsets: dict[TopicPartition, int] = {}
        self._partitions = 0
        self._task: asyncio.Task[None] | None = None
        self._verified_at_s: float | None = None

    async def start(self) -> None:
        """Returns when all that was in the topic has been applied."""
        await self._open()
        await self._read_to_end()
        self._task = self._supervisor.spawn(self._follow(), f"read {self._topic}")

    async def _open(self) -> None:
        """A new client, which goes on where the last one was."""
        self._reader = self._make_reader()
        await self._reader.start()
        # Asked for by name, because a reader without a subscription does not learn of topics by itself.
        await self._reader._client.add_topic(self._topic)
        numbers = self._reader.partitions_for_topic(self._topic)
        if not numbers:
            raise TopicMissing(f"the topic {self._topic} does not exist: run 'tollhouse topics'")
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._partitions = len(partitions)
        self._reader.assign(partitions)
        for partition in partitions:
            if partition in self._next_offsets:
                self._reader.seek(partition, self._next_offsets[partition])
            else:
                await self._reader.seek_to_beginning(partition)

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._task, 0)
        if self._reader is not None:
            await self._reader.stop()

    @property
    def partitions(self) -> int:
        return self._partitions

    def age_s(self) -> float:
        """Seconds since the table was last known to be whole; infinite before the first time."""
        return float("inf") if self._verified_at_s is None else self._clock.monotonic_s() - self._verified_at_s

    async def _read_to_end(self) -> None:
        # What is written while we read is not in the table: it is whole as of the question, not as of our last record.
        asked_at_s = self._clock.monotonic_s()
        partitions = sorted(self._reader.assignment())
        ends = await self._reader.end_offsets(partitions)
        for partition in partitions:
            while await self._reader.position(partition) < ends[partition]:
                await self._poll()
        self._verified_at_s = asked_at_s

    async def _follow(self) -> None:
        checked_at_s = self._clock.monotonic_s()
        while True:
            try:
                await self._poll()
                if self._clock.monotonic_s() - checked_at_s >= CHECK_EVERY_S:
                    # An empty poll does not tell a quiet topic from a lost broker; the end offsets do.
                    checked_at_s = self._clock.monotonic_s()
                    await self._read_to_end()
            except KafkaError as error:
                log.warning("cannot read a table", topic=self._topic, error=repr(error))
                await asyncio.sleep(CHECK_EVERY_S)
                await self._reopen()

    async def _reopen(self) -> None:
        """aiokafka gives up a connection that Kafka no longer answers on only after the same timeout as our question's,
        so the question, asked again, would find the same connection for ever: hence a new client."""
        await self._reader.stop()
        while True:
            try:
                return await self._open()
            except KafkaError as error:
                log.warning("cannot read a table", topic=self._topic, error=repr(error))
                await self._reader.stop()
                await asyncio.sleep(CHECK_EVERY_S)

    async def _poll(self) -> None:
        for partition, records in (await self._reader.getmany(timeout_ms=500)).items():
            for record in records:
                self._next_offsets[partition] = record.offset + 1
                try:
                    self._apply(record)
                except UndecodableRecord as error:
                    log.error(
                        "unreadable record in a table", topic=self._topic, offset=record.offset, reason=error.reason
                    )
