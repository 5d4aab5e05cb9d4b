"""A Kafka that is a list, behind the few calls of aiokafka's producer that the gateway's own producers make."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from runtime.kafka.durable_producer import DurableProducer
from runtime.metrics import Metrics
from schemas.envelope import ENVELOPE, RequestEnvelope
from schemas.topics import ENVELOPE_HEADER, Topic
from schemas.usage import USAGE, AttemptEvent, RequestEvent, UsageRecord


@dataclass(frozen=True)
class Record:
    topic: str
    value: bytes
    key: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def envelope(self) -> RequestEnvelope:
        return ENVELOPE.decode(dict(self.headers)[ENVELOPE_HEADER])


@dataclass
class FakeKafka:
    """`refusal`: raised by every send. `confirming` False: records are taken, but their futures stay open."""

    records: list[Record] = field(default_factory=list)
    refusal: KafkaError | None = None
    confirming: bool = True
    unconfirmed: list["asyncio.Future[None]"] = field(default_factory=list)

    def make_producer(self) -> AIOKafkaProducer:
        return cast(AIOKafkaProducer, self)

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def send(
        self,
        topic: str,
        value: bytes,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> "asyncio.Future[Any]":
        if self.refusal is not None:
            raise self.refusal
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        record = Record(topic, value, key, headers or [])
        self.records.append(record)
        if self.confirming:
            sent.set_result(None)
        else:
            self.unconfirmed.append(sent)
        return sent

    def confirm_all(self) -> None:
        for sent in self.unconfirmed:
            sent.set_result(None)
        self.unconfirmed.clear()

    def of(self, topic: Topic) -> list[Record]:
        return [record for record in self.records if record.topic == topic.value]

    def requests(self) -> list[Record]:
        return self.of(Topic.REQUESTS)

    def usage(self) -> list[UsageRecord]:
        return [USAGE.decode(record.value) for record in self.of(Topic.USAGE)]

    def attempts(self) -> list[AttemptEvent]:
        return [attempt for record in self.usage() for attempt in record.attempts]

    def request_events(self) -> list[RequestEvent]:
        return [record.request for record in self.usage() if record.request is not None]


async def durable_producer(kafka: FakeKafka) -> DurableProducer:
    """The real one, started."""
    producer = DurableProducer(kafka.make_producer, "", Metrics(CollectorRegistry()))
    await producer.start()
    return producer
