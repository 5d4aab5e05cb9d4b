"""Puts a request on Kafka: the envelope as a header, the body as the value, unless the ingress holds the body."""

from collections.abc import Callable

from runtime.kafka.queue_producer import QueueProducer
from schemas.envelope import ENVELOPE, RequestEnvelope
from schemas.topics import ENVELOPE_HEADER


class RequestQueue:
    def __init__(self, producer: QueueProducer) -> None:
        self._producer = producer

    @property
    def available(self) -> bool:
        return self._producer.available

    async def put(self, envelope: RequestEnvelope, body: bytes, on_failure: Callable[[], None]) -> None:
        """Raises QueueUnavailable; `on_failure` is called if Kafka does not confirm the record in time."""
        value = body if envelope.body == "inline" else b""
        await self._producer.put(value, [(ENVELOPE_HEADER, ENVELOPE.encode(envelope))], on_failure)
