"""Puts a request on Kafka: the envelope as a header, the body as the value, unless the ingress holds the body."""

from ingress.exchange import Exchange
from runtime.kafka.queue_producer import QueueProducer
from schemas.envelope import ENVELOPE
from schemas.failures import Failure, FailureKind
from schemas.topics import ENVELOPE_HEADER

RETRY_AFTER_S = 1.0
"""What a client is told when Kafka is away or the replica is full: such states pass quickly or not at all."""


class RequestQueue:
    def __init__(self, producer: QueueProducer) -> None:
        self._producer = producer

    @property
    def available(self) -> bool:
        return self._producer.available

    async def put(self, exchange: Exchange) -> None:
        """Raises QueueUnavailable. If Kafka does not confirm the record in time, the exchange fails later."""
        envelope = exchange.envelope

        def unconfirmed() -> None:
            # A claim proves that the record arrived, whatever became of Kafka's confirmation; and what became of an
            # earlier delivery says nothing of a later one.
            if exchange.channel is None and exchange.envelope.delivery == envelope.delivery:
                exchange.failure_now(queue_unavailable())

        value = exchange.body if envelope.body == "inline" else b""
        await self._producer.put(value, [(ENVELOPE_HEADER, ENVELOPE.encode(envelope))], unconfirmed)


def queue_unavailable() -> Failure:
    return Failure(kind=FailureKind.QUEUE_UNAVAILABLE, retry_after_s=RETRY_AFTER_S)
