"""The loop that hands records to a worker one by one, and commits them in order as they are settled.

When the handler is full, partitions are paused, not left unpolled: an unpolled consumer is thrown out of its group.
On revocation what is settled is committed before the partition leaves; what is not will be delivered to its next owner,
whose claim the ingress then refuses if ours went through (G1).
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from runtime.kafka.offsets import OffsetTracker
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

POLL_S = 0.25
COMMIT_EVERY_S = 0.25
LEAVE_WITHIN_S = 3.0

Settled = Callable[[], None]


class RecordPosition(Protocol):
    """Where a record was read."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class RecordHandler(Protocol):
    def room(self) -> int:
        """How many more records may be handed over now."""

    async def wait_for_room(self) -> None:
        """Returns when there may be room."""

    def take(
        self, position: RecordPosition, value: bytes, headers: Sequence[tuple[str, bytes]], settled: Settled
    ) -> None:
        """Starts work on a record and returns at once. Calls `settled` when its offset may be committed."""


class RecordLoop(ConsumerRebalanceListener):
    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        topic: str,
        handler: RecordHandler,
        supervisor: Supervisor,
        metrics: Metrics,
    ) -> None:
        self._make_consumer = make_consumer
        self._topic = topic
        self._handler = handler
        self._supervisor = supervisor
        self._assigned = metrics.gauge("tollhouse_kafka_assigned_partitions").labels(topic=topic)
        self._consumer: Any = None
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.joined = False

    async def start(self) -> None:
        self._consumer = self._make_consumer()
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()
        self._tasks = [
            self._supervisor.spawn(self._consume(), f"consume {self._topic}"),
            self._supervisor.spawn(self._commit_often(), f"commit {self._topic}"),
        ]

    async def stop(self, deadline: Deadline) -> None:
        """Stops taking records, commits what is settled, leaves the group so that others get the partitions at once.

        Without Kafka neither the commit nor the leaving would ever end, and the drain's time belongs to the requests in
        flight: then the records come again, and the claims on them are refused.
        """
        self._stopping.set()
        for task in self._tasks:
            await finish(task, 2 * POLL_S)
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await self._commit()
                await self._consumer.stop()
        except TimeoutError:
            log.warning("left the group without a word, kafka does not answer", topic=self._topic)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._trackers = {partition: OffsetTracker() for partition in assigned}
        self._assigned.set(len(assigned))
        self.joined = True
        log.info("partitions assigned", topic=self._topic, partitions=sorted(p.partition for p in assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._commit()
        self._trackers = {}
        self._assigned.set(0)

    async def _consume(self) -> None:
        while not self._stopping.is_set():
            room = self._handler.room()
            if room <= 0:
                await self._wait_paused()
                continue
            self._hand_over(await self._consumer.getmany(timeout_ms=int(POLL_S * 1000), max_records=room))

    def _hand_over(self, batches: dict[TopicPartition, Any]) -> None:
        for partition, records in batches.items():
            tracker = self._trackers.get(partition)
            if tracker is None:
                continue  # revoked while we waited; its next owner gets these records
            for record in records:
                tracker.start(record.offset)
                # The tracker is bound now: a record of an earlier assignment must not settle one of a later.
                settled = _Settle(tracker, record.offset)
                self._handler.take(record, record.value or b"", record.headers, settled)

    async def _wait_paused(self) -> None:
        try:
            while self._handler.room() <= 0 and not self._stopping.is_set():
                # Each time anew, because a rebalance brings partitions that are not paused.
                self._consumer.pause(*self._consumer.assignment())
                # Keeps the membership alive. What a rebalance at this very moment lets through is handed over although
                # there is no room: dropped, it would be lost for good with the next commit behind it (G1).
                self._hand_over(await self._consumer.getmany(timeout_ms=0, max_records=1))
                try:
                    await asyncio.wait_for(self._handler.wait_for_room(), POLL_S)
                except TimeoutError:
                    continue
        finally:
            self._consumer.resume(*self._consumer.assignment())

    async def _commit_often(self) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        positions = {
            partition: position
            for partition, tracker in self._trackers.items()
            if (position := tracker.committable()) is not None
        }
        if not positions:
            return
        trackers = self._trackers
        try:
            await self._consumer.commit(positions)
        except KafkaError as error:
            # Not lost: the same positions, or later ones, go out with the next commit, or the records come again.
            log.warning("commit failed", topic=self._topic, error=repr(error))
            return
        for partition, position in positions.items():
            trackers[partition].committed(position)


class _Settle:
    __slots__ = ("_offset", "_tracker")

    def __init__(self, tracker: OffsetTracker, offset: int) -> None:
        self._tracker = tracker
        self._offset = offset

    def __call__(self) -> None:
        self._tracker.settle(self._offset)
