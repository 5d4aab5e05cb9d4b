"""The vendor calls of one delivery of a request: what they cost, and their way to Kafka."""

import asyncio

import msgspec

from router_worker.usage_events import usage_record
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Supervisor
from schemas.envelope import RequestEnvelope
from schemas.frames import Settled
from schemas.topics import Topic
from schemas.usage import USAGE, AttemptEvent, RequestEvent


class AttemptBook:
    def __init__(self, envelope: RequestEnvelope, usage: DurableProducer, supervisor: Supervisor) -> None:
        self._envelope = envelope
        self._usage = usage
        self._supervisor = supervisor
        self.attempts: list[AttemptEvent] = []
        self._reported = 0
        self._early_reports: list[asyncio.Task[None]] = []

    @property
    def cost_pico_usd(self) -> int:
        return sum(attempt.cost_pico_usd for attempt in self.attempts)

    @property
    def estimated(self) -> bool:
        return any(attempt.estimated for attempt in self.attempts)

    def settled(self) -> Settled:
        return Settled(
            cost_pico_usd=self.cost_pico_usd,
            input_tokens=sum(attempt.tokens.input for attempt in self.attempts),
            output_tokens=sum(attempt.tokens.output for attempt in self.attempts),
        )

    def report_early(self) -> None:
        """What is known so far goes to Kafka while the next route is tried."""
        attempts = self._unreported()
        if attempts:
            self._early_reports.append(
                self._supervisor.spawn(self._deliver(attempts, None), f"usage of {self._envelope.request_id}")
            )

    async def report_rest(self, request: RequestEvent) -> None:
        """Returns when Kafka has everything, also what was reported early."""
        await self._deliver(self._unreported(), request)
        for report in self._early_reports:
            await report

    def _unreported(self) -> tuple[AttemptEvent, ...]:
        attempts = tuple(self.attempts[self._reported :])
        self._reported = len(self.attempts)
        return attempts

    async def _deliver(self, attempts: tuple[AttemptEvent, ...], request: RequestEvent | None) -> None:
        record = usage_record(self._envelope, attempts, request)

        def encode(repeat: bool) -> bytes:
            return USAGE.encode(msgspec.structs.replace(record, repeat=True) if repeat else record)

        await self._usage.deliver(Topic.USAGE, record.attribution.project_id, encode)
