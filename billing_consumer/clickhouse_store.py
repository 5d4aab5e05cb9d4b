"""The edge to ClickHouse: inserts with tokens, lookups of earlier reports, totals.

Everything fails as StoreUnavailable, whatever the reason: the batch stays planned, and is tried again. (A lookup must
be answered from data that has every earlier insert. One node does; with replicas it needs
select_sequential_consistency.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

from clickhouse_connect.driver.asyncclient import AsyncClient

from billing_consumer.batch_bounds import Span
from billing_consumer.clickhouse_client import CLICKHOUSE_ERRORS, connect
from billing_consumer.resolve import Standing, rank_of, standing_of
from billing_consumer.settings import ClickHouseSettings
from billing_consumer.tables import Row, Table

ResultT = TypeVar("ResultT")

IDS_PER_QUERY = 1000
"""ClickHouse refuses a query text above 256 KiB by default."""

_INSERT_SETTINGS: dict[str, Any] = {
    # G3: an asynchronous insert would be acknowledged before it is written, and its token would be another.
    "async_insert": 0,
    "insert_deduplicate": 1,
    # G3: without it a batch that is inserted twice counts twice in the rollups.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # A batch with times from very many months is odd, but must not stop its partition.
    "max_partitions_per_insert_block": 0,
}


class StoreUnavailable(Exception):
    """ClickHouse did not do it, or did not say so. `reason` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ClickHouseStore:
    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.problem: str | None = "ClickHouse has not been tried yet"

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def check(self) -> None:
        """Raises StoreUnavailable if ClickHouse is away or has no tables."""
        await self._try(lambda client: client.query("SELECT 1 FROM unusual_reports LIMIT 0"))

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        """Returns when the rows are in the table and in all its rollups. Doing it again with the same token is safe."""
        columns = list(zip(*rows, strict=True))
        await self._try(
            lambda client: client.insert(
                table.name,
                columns,
                column_names=table.column_names,
                column_type_names=table.column_types,
                column_oriented=True,
                settings={**_INSERT_SETTINGS, "insert_deduplication_token": token},
            )
        )

    async def unusual_before(self, spans: Sequence[Span]) -> dict[int, set[str]]:
        """By partition, the requests with an earlier unusual report. One query; mostly it finds nothing."""
        parameters: dict[str, str] = {}
        terms: list[str] = []
        for n, span in enumerate(spans):
            parameters |= {f"low{n}": span.low, f"high{n}": span.high}
            terms.append(
                f"kafka_partition = {span.partition:d} AND kafka_offset < {span.first:d}"
                f" AND request_id BETWEEN %(low{n})s AND %(high{n})s"
            )
        query = f"SELECT DISTINCT kafka_partition, request_id FROM unusual_reports WHERE {' OR '.join(terms)}"
        found: dict[int, set[str]] = {}
        for partition, request_id in await self._rows(query, parameters):
            found.setdefault(partition, set()).add(request_id)
        return found

    async def standing_before(
        self, table: Table, partition: int, first: int, about: Iterable[tuple[str, str]]
    ) -> dict[str, Standing]:
        """What stood about (project, request) pairs before the offset `first`, by attempt or request id."""
        selected = ", ".join(_read_expression(name, type_name) for name, type_name in table.columns)
        id_at, delivery_at, origin_at = (table.index(name) for name in (table.id_column, "delivery", "origin"))
        written: list[tuple[str, Standing]] = []
        for chunk in _chunks(sorted(about), IDS_PER_QUERY):
            # The sorting key is (project_id, request_id), so this reads a few granules of a table of any size.
            query = (
                f"SELECT {selected} FROM {table.name} WHERE sign = 1 AND kafka_partition = {partition:d}"
                f" AND kafka_offset < {first:d} AND project_id IN %(projects)s AND request_id IN %(requests)s"
            )
            parameters = {"projects": sorted({project for project, _ in chunk}), "requests": [r for _, r in chunk]}
            for row in await self._rows(query, parameters):
                rank = rank_of(row[delivery_at], row[origin_at])
                written.append((row[id_at], Standing(rank, tuple(row))))
        return standing_of(written)

    async def totals_usd(
        self, api_key_ids: Iterable[str], project_ids: Iterable[str]
    ) -> list[tuple[str, str, Decimal]]:
        """(scope, its id, total) from the rollups."""
        found: list[tuple[str, str, Decimal]] = []
        for scope, ids, table, column in (
            ("api_key", api_key_ids, "spend_by_key", "api_key_id"),
            ("project", project_ids, "spend_by_project", "project_id"),
        ):
            for chunk in _chunks(sorted(ids), IDS_PER_QUERY):
                query = f"SELECT {column}, sum(cost_usd) FROM {table} WHERE {column} IN %(ids)s GROUP BY {column}"
                found += [(scope, scope_id, total) for scope_id, total in await self._rows(query, {"ids": chunk})]
        return found

    async def _rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        result: Any = await self._try(lambda client: client.query(query, parameters=parameters))
        rows: Sequence[Sequence[Any]] = result.result_rows
        return rows

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._settings)
            return self._client

    async def _try(self, work: Callable[[AsyncClient], Awaitable[ResultT]]) -> ResultT:
        try:
            result = await work(await self._connected())
        except CLICKHOUSE_ERRORS as error:
            # Only the first line: what follows may quote rows.
            self.problem = f"ClickHouse: {type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
            raise StoreUnavailable(self.problem) from error
        self.problem = None
        return result


def _read_expression(name: str, type_name: str) -> str:
    """A column in the form in which a row is inserted, so that a row that was read can be written back."""
    if type_name.startswith("DateTime64"):
        return f"toUnixTimestamp64Milli({name})"
    return name


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
