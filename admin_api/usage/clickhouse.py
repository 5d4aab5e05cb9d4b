"""The edge to ClickHouse for what the admin API asks of it (`admin_api.operation.Queries`)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from clickhouse_connect.driver.asyncclient import AsyncClient

from admin_api.operation import QueriesUnavailable
from runtime.clickhouse import CLICKHOUSE_ERRORS, connect
from runtime.shared_settings import ClickHouseSettings

log = structlog.get_logger(__name__)


class ClickHouseQueries:
    """Connects at the first question, so that the API starts, and changes keys, while ClickHouse is away."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Column name → value, for each row. `{name:Type}` in the SQL is a parameter. Raises QueriesUnavailable."""
        try:
            client = await self._connected()
            result = await client.query(sql, parameters=dict(parameters), settings=self._limits())
        except CLICKHOUSE_ERRORS as error:
            # What follows the first line may quote the question.
            reason = str(error).partition("\n")[0][:300]
            log.warning("ClickHouse does not answer", error=type(error).__name__, reason=reason)
            raise QueriesUnavailable(reason) from error
        names = result.column_names
        return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _limits(self) -> dict[str, Any]:
        # A question that nobody waits for any more must not go on using the server that usage is written to.
        return {"max_execution_time": max(1, int(self._settings.timeout_s))}

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._settings)
            return self._client
