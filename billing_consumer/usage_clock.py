"""Tells every budget authority, every two seconds, how far the partitions of `usage` have been worked off.

An authority lets go of an ended lease, and opens a ledger, only by these clocks. So what they say must be true when it
is read: each goes out after the settlements that it speaks of have been acknowledged, on the same partitions.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from billing_consumer.clickhouse_store import StoreUnavailable
from billing_consumer.settlement_publisher import send_command
from billing_consumer.sweep import IntentSweep
from billing_consumer.usage_progress import Progress, UsageProgress
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Deadline, Supervisor, finish
from schemas.spend import SPEND_COMMAND, SpendCommandRecord, UsageClock
from schemas.topics import TOPICS, Topic

log = structlog.get_logger(__name__)

EVERY_S = 2.0
ANSWER_WITHIN_S = 10.0


class UsageClocks:
    """`topic`: the name of `usage` in the cluster."""

    def __init__(
        self,
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        progress: UsageProgress,
        sweep: IntentSweep,
        producer: DurableProducer,
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._make_reader = make_reader
        self._topic = topic
        self._progress = progress
        self._sweep = sweep
        self._producer = producer
        self._clock = clock
        self._supervisor = supervisor
        self._reader: Any = None
        self._partitions = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = self._supervisor.spawn(self._run(), "usage clocks")

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._task, 0)
        await self._drop_reader()

    async def _run(self) -> None:
        while True:
            started_s = self._clock.monotonic_s()
            await self._tick()
            await asyncio.sleep(max(0.0, EVERY_S - (self._clock.monotonic_s() - started_s)))

    async def _tick(self) -> None:
        await self._ask_for_ends()
        owned = self._progress.now()
        if not owned or not self._partitions:
            return
        try:
            swept_ms = await self._sweep.sweep(owned)
        except StoreUnavailable as error:
            # Nothing is known of intents, so nothing is said. The batches wait for ClickHouse too.
            log.warning("cannot look for intents", reason=error.reason)
            return
        await self._send(owned, swept_ms)

    async def _ask_for_ends(self) -> None:
        """By a client of its own, and a new one after every failure: a connection that Kafka no longer answers on is
        given up by aiokafka only after the same timeout as this question's, so it would be met again and again."""
        wanted = self._progress.to_ask()
        if not wanted and self._partitions:
            return
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if self._reader is None:
                    self._reader = self._make_reader()
                    await self._reader.start()
                    await self._reader._client.add_topic(self._topic)
                self._partitions = len(self._reader.partitions_for_topic(self._topic) or ())
                asked_at_ms = self._clock.now_ms()
                ends: Mapping[TopicPartition, int] = await self._reader.end_offsets(
                    [TopicPartition(self._topic, partition) for partition in sorted(wanted)]
                )
        except (KafkaError, TimeoutError) as error:
            log.warning("cannot learn where usage ends", error=repr(error))
            await self._drop_reader()
            return
        self._progress.told(asked_at_ms, {partition.partition: end for partition, end in ends.items()})

    async def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    async def _send(self, owned: Mapping[int, Progress], swept_ms: Mapping[int, int]) -> None:
        clocks = [
            UsageClock(
                usage_partition=partition,
                partitions=self._partitions,
                end=progress.end,
                settled_through_ms=progress.settled_through_ms,
                swept_through_ms=swept_ms[partition],
            )
            for partition, progress in sorted(owned.items())
        ]
        values = [SPEND_COMMAND.encode(SpendCommandRecord(command=clock)) for clock in clocks]
        await asyncio.gather(
            *(
                send_command(self._producer, number, value)
                for number in range(TOPICS[Topic.SPEND_COMMANDS].partitions)
                for value in values
            )
        )
