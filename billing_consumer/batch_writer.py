"""One batch of one partition: from Kafka records to the rows that ClickHouse has. Knows nothing of offsets' commits.

The store and the dead letters are passed in; all else here is pure or calls pure code.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from billing_consumer.batch_bounds import Bounds, Span
from billing_consumer.resolve import Report, Standing, resolve, suspects
from billing_consumer.rows import read_record
from billing_consumer.tables import ATTEMPTS, INTENTS, REQUESTS, Row, Table
from runtime.metrics import Metrics
from schemas.codec import UndecodableRecord

log = structlog.get_logger(__name__)


class KafkaRecord(Protocol):
    """What is used of aiokafka's ConsumerRecord."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


class UsageStore(Protocol):
    """billing_consumer.clickhouse_store.ClickHouseStore, or a test's."""

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None: ...
    async def unusual_before(self, spans: Sequence[Span]) -> dict[int, set[str]]: ...
    async def standing_before(
        self, table: Table, partition: int, first: int, about: Iterable[tuple[str, str]]
    ) -> dict[str, Standing]: ...


class DeadLetterBox(Protocol):
    async def put(self, topic: str, partition: int, offset: int, reason: str, value: bytes = b"") -> None: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """`replayed`: planned by an earlier owner, or an earlier try, that may have written it already."""

    bounds: Bounds
    records: Sequence[KafkaRecord]
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch whose records have been read. The reports are in the order of their offsets."""

    bounds: Bounds
    attempts: list[Report]
    requests: list[Report]
    intents: list[Row]


class Written(NamedTuple):
    """`attempts`: the rows of that table that the batch made, whenever they were written first."""

    bounds: Bounds
    attempts: list[Row]


class BatchWriter:
    def __init__(self, store: UsageStore, dead_letters: DeadLetterBox, metrics: Metrics) -> None:
        self._store = store
        self._dead_letters = dead_letters
        rows = metrics.counter("tollhouse_billing_rows_total")
        self._rows_written = {table.name: rows.labels(table=table.name) for table in (ATTEMPTS, REQUESTS, INTENTS)}

    async def read(self, batch: Batch) -> ReadBatch:
        """Puts aside what cannot be read. A batch that is replayed puts its dead letters aside again: whoever looks at
        them can tell by their offset, and a lost one would be worse.

        Raises DeadLetterFlood.
        """
        bounds = batch.bounds
        attempts: list[Report] = []
        requests: list[Report] = []
        intents: list[Row] = []
        for record in batch.records:
            value = record.value or b""
            try:
                said = read_record(value, bounds.partition, record.offset)
            except UndecodableRecord as error:
                log.error(
                    "unreadable usage record", partition=bounds.partition, offset=record.offset, reason=error.reason
                )
                # Usage carries no prompts, so the value may be kept.
                await self._dead_letters.put(bounds.topic, bounds.partition, record.offset, error.reason, value)
                continue
            attempts += said.attempts
            if said.request is not None:
                requests.append(said.request)
            intents += said.intents
        return ReadBatch(bounds, attempts, requests, intents)

    async def find_unusual(self, batches: Sequence[ReadBatch]) -> dict[int, set[str]]:
        """By partition, what earlier unusual reports were about. Raises StoreUnavailable."""
        spans = [_span(batch) for batch in batches if batch.attempts or batch.requests]
        return await self._store.unusual_before(spans) if spans else {}

    async def write(self, batch: ReadBatch, unusual_before: Collection[str]) -> Written:
        """Returns when ClickHouse has the batch; may be called again and again, and says the same each time. Raises
        StoreUnavailable."""
        await self._insert(batch.bounds, INTENTS, batch.intents)
        attempts = await self._write_reports(batch.bounds, ATTEMPTS, batch.attempts, unusual_before)
        await self._write_reports(batch.bounds, REQUESTS, batch.requests, unusual_before)
        return Written(batch.bounds, attempts)

    async def _write_reports(
        self, bounds: Bounds, table: Table, reports: list[Report], unusual_before: Collection[str]
    ) -> list[Row]:
        about = suspects(reports, frozenset(unusual_before))
        standing: dict[str, Standing] = {}
        if about:
            standing = await self._store.standing_before(table, bounds.partition, bounds.first, about)
        rows = resolve(reports, standing)
        await self._insert(bounds, table, rows)
        return rows

    async def _insert(self, bounds: Bounds, table: Table, rows: list[Row]) -> None:
        if rows:
            await self._store.insert(table, rows, bounds.token(table.name))
            self._rows_written[table.name].inc(len(rows))


def _span(batch: ReadBatch) -> Span:
    request_ids = [report.request_id for reports in (batch.attempts, batch.requests) for report in reports]
    return Span(batch.bounds.partition, batch.bounds.first, min(request_ids), max(request_ids))
