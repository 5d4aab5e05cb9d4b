"""Asks ClickHouse what ledgers have spent before they are opened, until it answers. Other ledgers go on meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import structlog

from billing_consumer.authority.spent_query import OpeningRequest, SpentQuery, spent_queries
from billing_consumer.clickhouse_store import StoreUnavailable
from runtime.lifecycle import Supervisor
from schemas.money import usd_to_pico

log = structlog.get_logger(__name__)

BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0


class RowSource(Protocol):
    async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        """Raises StoreUnavailable. It must be answered from data that has every insert from before: one node does, with
        replicas it needs select_sequential_consistency."""


class OpeningDesk:
    """Of one partition, for one term.

    An answer stays right however late it comes: rows below an offset never change, a report that is taken back is
    taken back by a row of a later offset.
    """

    def __init__(self, source: RowSource, supervisor: Supervisor) -> None:
        self._source = source
        self._supervisor = supervisor
        self._wanted: dict[str, OpeningRequest] = {}
        self._found: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether an opening is under way, or has not been fetched yet."""
        return bool(self._wanted or self._found)

    def ask(self, openings: Iterable[OpeningRequest]) -> None:
        for opening in openings:
            self._wanted[opening.ledger_id] = opening
            self._found.pop(opening.ledger_id, None)
        if self._wanted and (self._task is None or self._task.done()):
            self._task = self._supervisor.spawn(self._work(), "open ledgers")

    def fetch(self) -> dict[str, int]:
        """By ledger, what it had spent, in pico-USD: what has been found since the last call."""
        found, self._found = self._found, {}
        return found

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        backoff_s = BACKOFF_S
        while self._wanted:
            failures = [
                reason for query in spent_queries(list(self._wanted.values())) if (reason := await self._answer(query))
            ]
            if failures:
                log.warning("ledgers wait to be opened", ledgers=len(self._wanted), reason=failures[0])
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
            else:
                backoff_s = BACKOFF_S

    async def _answer(self, query: SpentQuery) -> str | None:
        """Why not, or None. One query's failure does not keep the others from being answered."""
        try:
            rows = await self._source.rows(query.text, query.parameters)
        except StoreUnavailable as error:
            return error.reason
        spent = {name: usd_to_pico(total) for name, total in rows}
        for name, openings in query.openings.items():
            for opening in openings:
                # Asked again meanwhile, from another offset: this answer would be taken for the later question's.
                if self._wanted.get(opening.ledger_id) is opening:
                    del self._wanted[opening.ledger_id]
                    self._found[opening.ledger_id] = spent.get(name, 0)
        return None
