"""Sends what the accounts have to say to `spend.commands`. One voice for each partition: a record is on its way, and
what comes up in the meantime goes into the next, so a slow Kafka makes larger records and never a queue of stale ones.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Protocol

import structlog

from ingress.budgets.account_book import AccountBook
from runtime.clock import Clock
from runtime.lifecycle import Deadline, Supervisor, finish
from schemas.spend import SPEND_COMMAND, SpendCommandRecord
from schemas.topics import Topic

log = structlog.get_logger(__name__)

TICK_S = 0.02
"""Between two records to a partition: what comes up in it shares one."""


class Delivery(Protocol):
    """`runtime.kafka.durable_producer.DurableProducer`."""

    async def deliver(
        self, topic: Topic, key: str, encode: Callable[[bool], bytes | None], *, partition: int | None = None
    ) -> None: ...


class LeaseKeeper:
    def __init__(self, book: AccountBook, producer: Delivery, clock: Clock, supervisor: Supervisor) -> None:
        self._book = book
        self._producer = producer
        self._clock = clock
        self._supervisor = supervisor
        self._called = [asyncio.Event() for _ in range(book.partitions)]
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self.records_sent = 0

    async def start(self) -> None:
        self._book.listen(lambda partition: self._called[partition].set())
        self._tasks = [
            self._supervisor.spawn(self._speak(partition), f"lease reports {partition}")
            for partition in range(self._book.partitions)
        ]

    async def stop(self, deadline: Deadline) -> None:
        """Gives back what no request holds. Without it the leases die a little later by themselves."""
        self._is_stopping = True
        for event in self._called:
            event.set()
        await asyncio.gather(*(finish(task, deadline.left_s()) for task in self._tasks))
        try:
            async with asyncio.timeout(deadline.left_s()):
                for partition in range(self._book.partitions):
                    for record in self._book.collect_last(partition, self._clock.monotonic_s()):
                        await self._send(partition, record)
        except TimeoutError:
            log.warning("leases not given back at the end of the drain")

    async def _speak(self, partition: int) -> None:
        called = self._called[partition]
        while not self._is_stopping:
            now_s = self._clock.monotonic_s()
            due_s = self._book.next_due_s(partition)
            if due_s > now_s:
                called.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if due_s == inf else due_s - now_s):
                        await called.wait()
                continue
            record = self._book.collect(partition, now_s)
            if record is not None:
                await self._send(partition, record)
                await asyncio.sleep(TICK_S)

    async def _send(self, partition: int, record: SpendCommandRecord) -> None:
        value = SPEND_COMMAND.encode(record)
        await self._producer.deliver(Topic.SPEND_COMMANDS, "", lambda repeat: value, partition=partition)
        self.records_sent += 1
