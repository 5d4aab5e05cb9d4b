"""The edge to ClickHouse: inserts with tokens, lookups of earlier reports, intents that nobody reported on.

Everything fails as StoreUnavailable, whatever the reason: the batch stays planned, and is tried again. (A lookup must
be answered from data that has every earlier insert. One node does; with replicas it needs
select_sequential_consistency.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from clickhouse_connect.driver.asyncclient import AsyncClient

from billing_consumer.batch_bounds import Span
from billing_consumer.intents import SweepWindow, Unreported
from billing_consumer.resolve import Standing, rank_of, standing_of
from billing_consumer.tables import Row, Table
from runtime.clickhouse import CLICKHOUSE_ERRORS, connect
from runtime.shared_settings import ClickHouseSettings

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
        await self._try(lambda client: client.query("SELECT 1 FROM intents LIMIT 0"))

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

    async def oldest_intents(self, partitions: Iterable[int]) -> dict[int, int]:
        """By partition, when the first intent that is kept was due, in unix ms. Partitions without any are left out."""
        query = (
            "SELECT kafka_partition, toUnixTimestamp64Milli(min(due_at)) FROM intents"
            " WHERE kafka_partition IN %(partitions)s GROUP BY kafka_partition"
        )
        rows = await self._rows(query, {"partitions": sorted(partitions)})
        return {int(partition): int(due_at_ms) for partition, due_at_ms in rows}

    async def unreported(self, windows: Sequence[SweepWindow], limit: int) -> list[Unreported]:
        """Intents that were due within their partition's window, and on whose attempt no settled row tells. At most
        `limit` for each partition: none for a partition means that there is none.

        Both sides are read by their sorting keys: the window of intents is a range of (kafka_partition, due_at), and
        attempts are found by the projects and requests of these intents. (Not by their times as well: a report with a
        wrong clock would be missed for ever.)
        """
        due = " OR ".join(
            f"(kafka_partition = {w.partition:d} AND due_at >= fromUnixTimestamp64Milli({w.from_ms:d}, 'UTC')"
            f" AND due_at < fromUnixTimestamp64Milli({w.to_ms:d}, 'UTC'))"
            for w in windows
        )
        # A report that is written but not yet settled does not count: the clock would say that its cost is known to
        # the authorities when it is not.
        settled = " OR ".join(f"(kafka_partition = {w.partition:d} AND kafka_offset < {w.end:d})" for w in windows)
        query = (
            f"SELECT kafka_partition, attempt_id, project_id, record FROM intents WHERE ({due}) AND attempt_id NOT IN ("
            f" SELECT attempt_id FROM attempts WHERE ({settled})"
            f" AND (project_id, request_id) IN (SELECT project_id, request_id FROM intents WHERE {due}))"
            f" ORDER BY kafka_partition, due_at LIMIT {limit:d} BY kafka_partition"
        )
        return [Unreported(*row) for row in await self._rows(query, {})]

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
