"""A connection to ClickHouse that is made when it is first needed, with one kind of failure."""

import asyncio
from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.asyncclient import AsyncClient

from billing_consumer.clickhouse_store import StoreUnavailable
from runtime.clickhouse import CLICKHOUSE_ERRORS, connect
from runtime.lifecycle import Deadline
from runtime.shared_settings import ClickHouseSettings


class ClickHouseSession:
    """For what is not a batch of usage. Every failure is a StoreUnavailable, and worth another try."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def start(self) -> None:
        """A ClickHouse that is away delays the work; it does not keep the process from starting."""

    async def stop(self, deadline: Deadline) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        try:
            result: Any = await (await self._connected()).query(query, parameters=parameters)
        except CLICKHOUSE_ERRORS as error:
            raise _unavailable(error) from error
        rows: Sequence[Sequence[Any]] = result.result_rows
        return rows

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Returns when the rows are written."""
        settings = {"async_insert": 0, "max_partitions_per_insert_block": 0}
        try:
            await (await self._connected()).insert(table, rows, column_names=list(columns), settings=settings)
        except CLICKHOUSE_ERRORS as error:
            raise _unavailable(error) from error

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._settings)
            return self._client


def _unavailable(error: BaseException) -> StoreUnavailable:
    # Only the first line: what follows may quote rows.
    return StoreUnavailable(f"ClickHouse: {type(error).__name__}: {str(error).partition(chr(10))[0][:300]}")
