"""A producer for records that somebody waits for: it would rather fail fast than wait.

`put` hands a record over and returns; the owner hears of it again only if Kafka does not confirm it in time. While
records are overdue, `available` is False and the ingress refuses new work at once instead of letting it pile up.
An overdue record may still arrive later: nobody waits for it any more, and the claim on it is refused.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from runtime.clock import Clock
from runtime.kafka.clients import ProducerFactory
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

CHECK_EVERY_S = 0.25


class QueueUnavailable(Exception):
    """Kafka does not take records now."""


class _Unconfirmed:
    __slots__ = ("at_s", "on_failure", "overdue")

    def __init__(self, at_s: float, on_failure: Callable[[], None]) -> None:
        self.at_s = at_s
        self.on_failure = on_failure
        self.overdue = False


class QueueProducer:
    def __init__(
        self,
        make_producer: ProducerFactory,
        topic: str,
        confirm_within_s: float,
        clock: Clock,
        supervisor: Supervisor,
        metrics: Metrics,
    ) -> None:
        self._make_producer = make_producer
        self._topic = topic
        self._confirm_within_s = confirm_within_s
        self._clock = clock
        self._supervisor = supervisor
        self._failures = metrics.counter("tollhouse_kafka_delivery_failures_total").labels(topic=topic)
        self._producer: AIOKafkaProducer | None = None
        self._watch: asyncio.Task[None] | None = None
        # In order of time, because dicts keep insertion order.
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._overdue = 0
        self._next = 0

    async def start(self) -> None:
        producer = self._make_producer()
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        self._watch = self._supervisor.spawn(self._watch_overdue(), f"overdue records of {self._topic}")

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._watch, 0)
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), deadline.left_s() + 1)
            except TimeoutError:
                log.warning("requests unconfirmed at the end of the drain")

    @property
    def available(self) -> bool:
        return self._overdue == 0

    async def put(self, value: bytes, headers: list[tuple[str, bytes]], on_failure: Callable[[], None]) -> None:
        """Raises QueueUnavailable. Afterwards `on_failure` is called, once, if the record is not confirmed in time."""
        assert self._producer is not None, "put before start"
        if self._overdue:
            raise QueueUnavailable
        try:
            async with asyncio.timeout(self._confirm_within_s):
                sent = await self._producer.send(self._topic, value, headers=headers)
        except (KafkaError, TimeoutError) as error:
            self._failures.inc()
            log.warning("kafka did not take a request", error=repr(error))
            raise QueueUnavailable from error
        number = self._next
        self._next += 1
        self._unconfirmed[number] = _Unconfirmed(self._clock.monotonic_s(), on_failure)
        sent.add_done_callback(lambda done: self._confirmed(number, done))

    def _confirmed(self, number: int, done: "asyncio.Future[Any]") -> None:
        record = self._unconfirmed.pop(number)
        if record.overdue:
            self._overdue -= 1
        if done.cancelled() or done.exception() is not None:
            self._failures.inc()
            if not record.overdue:
                record.on_failure()

    async def _watch_overdue(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            limit = self._clock.monotonic_s() - self._confirm_within_s
            for record in list(self._unconfirmed.values()):
                if record.at_s > limit:
                    break
                if not record.overdue:
                    record.overdue = True
                    self._overdue += 1
                    record.on_failure()
