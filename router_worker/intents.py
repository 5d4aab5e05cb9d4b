"""Intents: what stays of a vendor call in Kafka if its worker and its ingress die in the same moment.

An intent is written once the claim is accepted, and the call waits for it. Written beside the claim it would save one
trip to the ingress, the shorter of the two; but a worker that is refused would have to take its intent back, and could
not: another worker may have made that very attempt, under the same id, and a zero for it would hide what it cost (G4).
After the ACCEPT nobody else can.
"""

import asyncio

import msgspec

from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Supervisor
from schemas.topics import Topic
from schemas.usage import USAGE, UsageRecord


class Intents:
    """`timeout_s`: how long a call waits for Kafka to take its intent."""

    def __init__(self, producer: DurableProducer, supervisor: Supervisor, timeout_s: float) -> None:
        self._producer = producer
        self._supervisor = supervisor
        self._timeout_s = timeout_s

    async def write(self, record: UsageRecord) -> bool:
        """Whether Kafka has it in time. If not, or if this is cancelled, it may still get it later."""
        delivering = self._supervisor.spawn(self._deliver(record), f"intent of {record.request_id}")
        # A wait that gives up leaves the delivery alone: cancelled in the middle of replacing a broken producer it
        # would leave half of one behind.
        done, _ = await asyncio.wait({delivering}, timeout=self._timeout_s)
        return bool(done) and not delivering.cancelled() and delivering.exception() is None

    async def _deliver(self, record: UsageRecord) -> None:
        def encode(repeat: bool) -> bytes:
            return USAGE.encode(msgspec.structs.replace(record, repeat=True) if repeat else record)

        await self._producer.deliver(Topic.USAGE, record.attribution.project_id, encode)
