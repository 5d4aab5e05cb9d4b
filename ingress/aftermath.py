"""What the ingress does when no worker will: puts a request back, and reports what a lost worker can no longer report.

A lost worker's own usage events may still be on their way to Kafka, so estimates wait a little; and if both arrive, the
billing consumer lets the worker's word win (G3).
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import msgspec
import structlog

from ingress.exchange import Exchange
from ingress.request_queue import RequestQueue, queue_unavailable
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.queue_producer import QueueUnavailable
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.codec import UndecodableRecord
from schemas.topics import Topic
from schemas.usage import USAGE, AttemptEvent, RequestEvent, UsageRecord

log = structlog.get_logger(__name__)


class IngressAftermath:
    def __init__(
        self,
        queue: RequestQueue,
        usage: DurableProducer,
        clock: Clock,
        supervisor: Supervisor,
        metrics: Metrics,
        report_delay_s: float,
    ) -> None:
        self._queue = queue
        self._usage = usage
        self._clock = clock
        self._supervisor = supervisor
        self._lost_attempts = metrics.counter("tollhouse_ingress_lost_attempts_total")
        self._report_delay_s = report_delay_s
        self._pending: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    async def start(self) -> None:
        return

    async def stop(self, deadline: Deadline) -> None:
        """Reports that are still waiting go out now; those that Kafka has not taken by the deadline are logged."""
        self._hurry.set()
        if self._pending:
            # A second more: requests that were still open at the deadline are reported only now.
            _, left = await asyncio.wait(self._pending, timeout=deadline.left_s() + 1)
            if left:
                log.error("usage reports undelivered at the end of the drain", reports=len(left))

    def put_back(self, exchange: Exchange) -> None:
        self._spawn(self._put_back(exchange), f"put back {exchange.envelope.request_id}")

    async def _put_back(self, exchange: Exchange) -> None:
        try:
            await self._queue.put(exchange)
        except QueueUnavailable:
            exchange.failure_now(queue_unavailable())

    def report_lost(self, exchange: Exchange, *, finished: bool) -> None:
        attempts = _attempts(exchange.if_lost) if exchange.if_lost is not None else ()
        self._lost_attempts.inc(len(attempts))
        now_ms = self._clock.now_ms()
        self._report(exchange, tuple(_ended(attempt, now_ms) for attempt in attempts), finished, now_ms)

    def report_unserved(self, exchange: Exchange) -> None:
        self._report(exchange, (), True, self._clock.now_ms())

    def _report(self, exchange: Exchange, attempts: tuple[AttemptEvent, ...], finished: bool, now_ms: int) -> None:
        envelope = exchange.envelope
        record = UsageRecord(
            request_id=envelope.request_id,
            origin="ingress",
            attribution=envelope.attribution,
            surface=envelope.surface,
            streaming=envelope.streaming,
            requested_model=envelope.model,
            attempts=attempts,
            request=_request_event(exchange, attempts, now_ms) if finished else None,
            accepted_at_ms=envelope.accepted_at_ms,
            leases=envelope.leases,
        )
        delay_s = self._report_delay_s if attempts else 0.0
        exchange.report_begun()
        self._spawn(self._deliver(exchange, record, delay_s), f"report {envelope.request_id}")

    async def _deliver(self, exchange: Exchange, record: UsageRecord, delay_s: float) -> None:
        if delay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), delay_s)
        # No need to mark repeats: whatever comes from an ingress is looked up before it is counted.
        await self._usage.deliver(Topic.USAGE, record.attribution.project_id, lambda _repeat: USAGE.encode(record))
        exchange.report_delivered()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._supervisor.spawn(work, name)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)


def _attempts(if_lost: msgspec.Raw) -> tuple[AttemptEvent, ...]:
    """A worker of another version may write what we cannot read: that must not keep its other requests from being put
    back."""
    try:
        return USAGE.decode(bytes(if_lost)).attempts
    except UndecodableRecord as error:
        log.error("a lost worker's claim cannot be read, its attempt goes unreported", reason=error.reason)
        return ()


def _ended(attempt: AttemptEvent, now_ms: int) -> AttemptEvent:
    """Only of the call that was under way is it not known when it ended."""
    return msgspec.structs.replace(attempt, ended_at_ms=now_ms) if attempt.outcome == "worker_lost" else attempt


def _request_event(exchange: Exchange, attempts: tuple[AttemptEvent, ...], now_ms: int) -> RequestEvent:
    envelope = exchange.envelope
    started_ms = attempts[0].started_at_ms if attempts else now_ms
    return RequestEvent(
        delivery=envelope.delivery,
        accepted_at_ms=envelope.accepted_at_ms,
        finished_at_ms=now_ms,
        status=exchange.final_status(),
        attempts=len(attempts),
        queue_ms=max(0, started_ms - envelope.accepted_at_ms),
        total_ms=max(0, now_ms - envelope.accepted_at_ms),
        failure=exchange.failure.kind.value if exchange.failure is not None else None,
        model=exchange.head.model if exchange.head is not None else None,
        vendor=exchange.head.vendor if exchange.head is not None else None,
    )
