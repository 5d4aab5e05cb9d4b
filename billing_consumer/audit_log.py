"""Writes every change of the configuration to ClickHouse: who did what, when.

Changes come from the reader of `config`, which starts at the topic's beginning in every process. So nothing needs to be
remembered: what a process did not get written, the next start writes, and a row that is written twice is one row
(migration 0010). The topic keeps every change for a week, however often an entity changes: so long may ClickHouse be
away.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import structlog

from billing_consumer.audit_rows import COLUMNS, TABLE, audit_row
from billing_consumer.clickhouse_store import StoreUnavailable
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics
from schemas.codec import UndecodableRecord
from schemas.config_record import ConfigRecord

log = structlog.get_logger(__name__)

ROWS_PER_INSERT = 1000
BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0


class RowSink(Protocol):
    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Raises StoreUnavailable."""


class AuditLog:
    def __init__(self, sink: RowSink, supervisor: Supervisor, metrics: Metrics) -> None:
        self._sink = sink
        self._supervisor = supervisor
        self._written = metrics.counter("tollhouse_billing_rows_total").labels(table=TABLE)
        self._waiting: deque[Sequence[Any]] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def apply(self, record: ConfigRecord) -> None:
        """Changes that count, in the order of the log. Raises UndecodableRecord."""
        try:
            self._waiting.append(audit_row(record))
        except (msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
            raise UndecodableRecord(f"ConfigRecord: no audit row can be made: {type(error).__name__}") from error
        self._news.set()

    async def start(self) -> None:
        self._task = self._supervisor.spawn(self._write(), "write the audit log")

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._task, 0)

    async def _write(self) -> None:
        backoff_s = BACKOFF_S
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                rows = [self._waiting[n] for n in range(min(len(self._waiting), ROWS_PER_INSERT))]
                try:
                    await self._sink.insert(TABLE, COLUMNS, rows)
                except StoreUnavailable as error:
                    log.warning("changes wait for the audit log", changes=len(self._waiting), reason=error.reason)
                    await asyncio.sleep(backoff_s)
                    backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
                    continue
                backoff_s = BACKOFF_S
                for _ in rows:
                    self._waiting.popleft()
                self._written.inc(len(rows))
