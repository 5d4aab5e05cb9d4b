"""Reads batches: a fixed span that an earlier try has planned, or whatever has come since, up to a limit."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from billing_consumer.batch_bounds import Bounds
from billing_consumer.batch_writer import Batch
from runtime.clock import Clock

log = structlog.get_logger(__name__)

POLL_S = 0.25


class BatchReader:
    """`stopping()` is looked at between fetches: a reader that must stop gives back nothing, and nothing is changed."""

    def __init__(self, consumer: AIOKafkaConsumer, clock: Clock, stopping: Callable[[], bool]) -> None:
        self._consumer: Any = consumer
        self._clock = clock
        self._stopping = stopping

    async def wait(self) -> None:
        """Lets the group do its work while nothing is assigned. What this fetches comes again, for the loop seeks."""
        await self._consumer.getmany(timeout_ms=int(POLL_S * 1000))

    async def replay(self, partition: TopicPartition, first: int, end: int) -> Batch | None:
        """All records in [first, end), in as many fetches as that takes, and not one beyond."""
        records: list[Any] = []
        while await self._consumer.position(partition) < end:
            if self._stopping():
                return None
            fetched = await self._consumer.getmany(partition, timeout_ms=int(POLL_S * 1000))
            records += [record for record in fetched.get(partition, []) if record.offset < end]
        # The last fetch may have gone past the end.
        self._consumer.seek(partition, end)
        if not records:
            log.error("a planned batch is no longer in the topic", partition=partition.partition, first=first, end=end)
        return _batch(partition, first, end, records, replayed=True)

    async def collect(self, next_offsets: Mapping[TopicPartition, int], max_records: int, wait_s: float) -> list[Batch]:
        """What comes within `wait_s` after the first record, one batch per partition, `max_records` in all."""
        records: dict[TopicPartition, list[Any]] = {}
        left = max_records
        until_s: float | None = None
        while left > 0:
            if self._stopping():
                return []
            now_s = self._clock.monotonic_s()
            if until_s is not None and now_s >= until_s:
                break
            timeout_s = POLL_S if until_s is None else min(POLL_S, until_s - now_s)
            fetched = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000) + 1, max_records=left)
            for partition, some in fetched.items():
                records.setdefault(partition, []).extend(some)
                left -= len(some)
            if fetched and until_s is None:
                until_s = now_s + wait_s
            if not fetched and until_s is None:
                return []  # so that the loop can look around
        return [
            _batch(partition, next_offsets[partition], some[-1].offset + 1, some, replayed=False)
            for partition, some in records.items()
        ]

    async def stay_member(self, partitions: Collection[TopicPartition]) -> None:
        """To be called now and then while a batch waits for ClickHouse: who does not poll is thrown out of the group.
        Brings nothing, since all is paused for it."""
        self._consumer.pause(*partitions)
        try:
            await self._consumer.getmany(timeout_ms=0)
        finally:
            self._consumer.resume(*partitions)


def _batch(partition: TopicPartition, first: int, end: int, records: list[Any], *, replayed: bool) -> Batch:
    stamp_ms = records[0].timestamp if records else 0
    return Batch(Bounds(partition.topic, partition.partition, first, end, stamp_ms), records, replayed)
