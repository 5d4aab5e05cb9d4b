"""A compacted topic with one writer at a time per partition: only what counts is applied (schemas.fencing)."""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from runtime.clock import Clock
from runtime.kafka.log_reader import LogReader, LogRecord
from runtime.lifecycle import Deadline, Supervisor
from schemas.fencing import MARKER_KEY, STAMP_HEADER, Fence, Stamp, decode_stamp

log = structlog.get_logger(__name__)

Apply = Callable[[int, str, bytes | None], None]


class Deposed(KafkaError):
    """Another writer has taken the partition over: what was written since does not count."""


class _Partition:
    """One partition's judge, and who waits for what to be read from it."""

    def __init__(self) -> None:
        self.fence = Fence()
        self.void_keys: set[str] = set()
        self._expected: set[tuple[int, str]] = set()
        # Of an expected writer: every record up to this number has been read, and these beyond it.
        self._whole_to = 0
        self._beyond: set[int] = set()
        self._waiting: list[tuple[Stamp, asyncio.Future[None]]] = []

    def expect(self, stamp: Stamp) -> None:
        """Only a writer of this process waits for its numbers. Of others' some are compacted away, so that keeping what
        lies beyond the first gap would keep a number for every record there will ever be."""
        self._expected.add(stamp.rank)

    def read(self, stamp: Stamp | None) -> bool:
        """Whether a record with this stamp counts."""
        before = self.fence.highest
        if not self.fence.admits(stamp) or stamp is None:
            return False
        if before is None or before.rank != stamp.rank:
            # The marker, 0, of whoever is expected.
            self._whole_to, self._beyond = stamp.number - 1, set()
            self._expected = {rank for rank in self._expected if rank >= stamp.rank}
        if stamp.rank in self._expected:
            self._beyond.add(stamp.number)
        while self._whole_to + 1 in self._beyond:
            self._whole_to += 1
            self._beyond.discard(self._whole_to)
        self._waiting = [entry for entry in self._waiting if not self._answer(*entry)]
        return True

    def wait_for(self, stamp: Stamp) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._answer(stamp, future):
            self._waiting.append((stamp, future))
        return future

    def _answer(self, stamp: Stamp, future: "asyncio.Future[None]") -> bool:
        highest = self.fence.highest
        if future.done():
            return True
        if highest is None or highest.rank < stamp.rank:
            return False
        if highest.rank > stamp.rank:
            future.set_exception(Deposed(f"term {stamp.term} is over, {highest.term} has begun"))
            return True
        if self._whole_to < stamp.number:
            return False
        future.set_result(None)
        return True


class FencedTable:
    """`apply(partition, key, value)` is called for each record that counts, in the log's order; a value of None says
    that the key is gone. An UndecodableRecord from it is logged, and passed over."""

    def __init__(
        self,
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        apply: Apply,
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._topic = topic
        self._apply = apply
        self._parts: dict[int, _Partition] = {}
        self._reader = LogReader(make_reader, topic, self._read, clock, supervisor)

    async def start(self) -> None:
        """Returns when all that was in the topic has been applied. Raises KafkaError."""
        await self._reader.start()

    async def stop(self, deadline: Deadline) -> None:
        await self._reader.stop(deadline)

    def age_s(self) -> float:
        """Seconds since the table was last known to be whole."""
        return self._reader.age_s()

    @property
    def partitions(self) -> int:
        return self._reader.partitions

    def highest(self, partition: int) -> Stamp | None:
        """The stamp of the present writer's last record that was read."""
        return self._part(partition).fence.highest

    def next_term(self, partition: int) -> int:
        return self._part(partition).fence.next_term()

    def void_keys(self, partition: int) -> set[str]:
        """Keys whose last record does not count. Compaction would keep it, so the writer repeats the true state."""
        return set(self._part(partition).void_keys)

    def expect(self, partition: int, marker: Stamp) -> None:
        """A writer of this process is about to write its marker; it will wait for what it writes."""
        self._part(partition).expect(marker)

    async def wait_until_read(self, partition: int, stamp: Stamp) -> None:
        """Returns when all of this writer's records up to the stamp have been read and counted; `expect` must have
        announced it. Raises Deposed."""
        await self._part(partition).wait_for(stamp)

    def _part(self, partition: int) -> _Partition:
        return self._parts.setdefault(partition, _Partition())

    def _read(self, record: LogRecord) -> None:
        part = self._part(record.partition)
        key = (record.key or b"").decode(errors="replace")
        header = next((value for name, value in record.headers if name == STAMP_HEADER), None)
        stamp = decode_stamp(header) if header is not None else None
        if not part.read(stamp):
            log.warning(
                "a record that does not count: its writer has been deposed", topic=self._topic, offset=record.offset
            )
            if key != MARKER_KEY:
                part.void_keys.add(key)
            return
        if key == MARKER_KEY:
            return
        part.void_keys.discard(key)
        self._apply(record.partition, key, record.value)
