"""Reports on calls that nobody else can report on: their worker and their ingress have died in the same moment.

Such a call was announced by an intent. Once all usage that was in Kafka when the intent was due is settled, and there
is no report among it, there will be none: it is billed at its upper bound, by a usage record like any other.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from billing_consumer.intents import SweepWindow, Unreported, audit_record
from billing_consumer.usage_progress import Progress
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from schemas.topics import Topic
from schemas.usage import USAGE, UsageRecord

log = structlog.get_logger(__name__)

OVERLAP_MS = 60_000
"""How far each sweep looks back behind the last: for an intent that, by a skewed clock, was due before Kafka had it."""

SLICE_MS = 3_600_000
"""What one question spans at most. Only a new owner, or one that was away for long, has more to ask about."""

SLICES_AT_ONCE = 24
REPORTS_AT_ONCE = 200
SENT_AGAIN_AFTER_S = 30.0


class IntentStore(Protocol):
    """billing_consumer.clickhouse_store.ClickHouseStore."""

    async def oldest_intents(self, partitions: Iterable[int]) -> dict[int, int]: ...
    async def unreported(self, windows: Sequence[SweepWindow], limit: int) -> list[Unreported]: ...


class IntentSweep:
    def __init__(self, store: IntentStore, producer: DurableProducer, clock: Clock) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        # Every intent due before this time (unix ms) has been reported on, by partition.
        self._swept_ms: dict[int, int] = {}
        self._sent_at_s: dict[str, float] = {}

    async def sweep(self, owned: Mapping[int, Progress]) -> dict[int, int]:
        """By partition, until when every intent that was due has been reported on, and the report settled; 0 where
        nothing is known yet. Reports on what it finds, which counts as reported once it has come around.

        Raises StoreUnavailable.
        """
        self._swept_ms = {partition: at_ms for partition, at_ms in self._swept_ms.items() if partition in owned}
        await self._begin({p: progress.settled_through_ms for p, progress in owned.items() if p not in self._swept_ms})
        held_up: set[int] = set()
        for _ in range(SLICES_AT_ONCE):
            windows = [
                self._window(partition, owned[partition])
                for partition, swept_ms in self._swept_ms.items()
                if partition not in held_up and swept_ms < owned[partition].settled_through_ms
            ]
            if not windows:
                break
            found = await self._store.unreported(windows, REPORTS_AT_ONCE)
            held_up |= {intent.partition for intent in found}
            for window in windows:
                if window.partition not in held_up:
                    self._swept_ms[window.partition] = window.to_ms
            await self._report(found)
        # A partition that was away between two sweeps may know of less now than was swept before.
        return {p: min(self._swept_ms.get(p, 0), progress.settled_through_ms) for p, progress in owned.items()}

    async def _begin(self, settled_through_ms: Mapping[int, int]) -> None:
        new = {partition: at_ms for partition, at_ms in settled_through_ms.items() if at_ms > 0}
        if not new:
            return
        oldest = await self._store.oldest_intents(new)
        for partition, at_ms in new.items():
            # What came to Kafka later than `at_ms` was not due by then.
            self._swept_ms[partition] = min(oldest.get(partition, at_ms), at_ms)

    def _window(self, partition: int, progress: Progress) -> SweepWindow:
        swept_ms = self._swept_ms[partition]
        to_ms = min(progress.settled_through_ms, swept_ms + SLICE_MS)
        return SweepWindow(partition, max(0, swept_ms - OVERLAP_MS), to_ms, progress.end)

    async def _report(self, found: Iterable[Unreported]) -> None:
        now_s = self._clock.monotonic_s()
        self._sent_at_s = {
            attempt_id: at_s for attempt_id, at_s in self._sent_at_s.items() if now_s - at_s < SENT_AGAIN_AFTER_S
        }
        reports = []
        for intent in {intent.attempt_id: intent for intent in found}.values():
            if intent.attempt_id in self._sent_at_s:
                continue
            record = audit_record(intent.record)
            if record is None:
                # Holds up the partition's clock, and with it what dead leases keep back, until somebody has looked.
                log.error("unreadable intent", partition=intent.partition, attempt_id=intent.attempt_id)
                continue
            log.warning("nobody reported on a call", request_id=record.request_id, attempt_id=intent.attempt_id)
            reports.append(self._send(intent, record))
        await asyncio.gather(*reports)

    async def _send(self, intent: Unreported, record: UsageRecord) -> None:
        # Into the partition of the intent, whatever the key says now: only there do reports on one attempt meet.
        await self._producer.deliver(
            Topic.USAGE, intent.project_id, lambda _repeat: USAGE.encode(record), partition=intent.partition
        )
        self._sent_at_s[intent.attempt_id] = self._clock.monotonic_s()
