"""A producer for records that must not be lost: `deliver` returns when Kafka has the record, however long that takes.

aiokafka retries within an idempotent producer without end and without doubling. What is left for us: a producer that
has become unusable (fenced, out of sequence) is replaced, and the record goes out again marked as a repeat, because its
first try may have arrived.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from runtime.kafka.clients import ProducerFactory
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from schemas.topics import Topic

log = structlog.get_logger(__name__)

BACKOFF_S = 0.5


class DurableProducer:
    def __init__(self, make_producer: ProducerFactory, topic_prefix: str, metrics: Metrics) -> None:
        self._make_producer = make_producer
        self._topic_prefix = topic_prefix
        self._failures = metrics.counter("tollhouse_kafka_delivery_failures_total")
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()

    async def start(self) -> None:
        producer = self._make_producer()
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self, deadline: Deadline) -> None:
        """What is still undelivered at the deadline stays undelivered; its claim is then not SETTLED, so the ingress
        reports it."""
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), deadline.left_s() + 1)
            except TimeoutError:
                log.warning("usage events undelivered at the end of the drain")

    async def deliver(
        self,
        topic: Topic,
        key: str,
        encode: Callable[[bool], bytes | None],
        *,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        """`encode(repeat)` gives the record's value; `repeat` is True once an earlier try may have arrived.
        `partition`: instead of the one that the key leads to.

        Raises MessageSizeTooLargeError, and nothing else.
        """
        repeat = False
        while True:
            producer = self._producer
            assert producer is not None, "deliver before start"
            try:
                sent = await producer.send(
                    self._topic_prefix + topic.value,
                    encode(repeat),
                    key.encode(),
                    partition=partition,
                    headers=list(headers),
                )
            except MessageSizeTooLargeError:
                # No number of tries makes it smaller, and a new producer would take it no better.
                raise
            except KafkaTimeoutError:
                # The buffer is full because Kafka is away. The record was not taken: this try cannot have arrived.
                self._failures.labels(topic=topic.value).inc()
                continue
            except KafkaError as error:
                await self._recover(producer, topic, error)
                continue
            try:
                await sent
            except KafkaError as error:
                repeat = True
                await self._recover(producer, topic, error)
                continue
            return

    async def _recover(self, broken: AIOKafkaProducer, topic: Topic, error: KafkaError) -> None:
        self._failures.labels(topic=topic.value).inc()
        log.warning("kafka did not take a record, trying again", topic=topic.value, error=repr(error))
        await asyncio.sleep(BACKOFF_S)
        async with self._replacing:
            if self._producer is not broken:
                return
            replacement = self._make_producer()
            try:
                await replacement.start()
            except KafkaError as start_error:
                await replacement.stop()
                log.warning("kafka is away", error=repr(start_error))
                return
            self._producer = replacement
        # Outside the lock: the broken producer fails what it still holds, and those deliveries come here too.
        await broken.stop()
