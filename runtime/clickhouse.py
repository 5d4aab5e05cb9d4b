"""Connecting to ClickHouse, and which of its failures are worth another try."""

import asyncio
from urllib.parse import urlsplit

import aiohttp
from clickhouse_connect.driver import create_async_client, options
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from runtime.shared_settings import ClickHouseSettings

CLICKHOUSE_ERRORS = (Error, ClickHouseError, aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""Whatever a call can fail with. None of them loses anything: the batch's bounds are kept, and it is tried again."""


def leave_out_data_frames() -> None:
    """For a process that inserts plain Python values only.

    Where pandas is installed, clickhouse-connect imports it at its first insert, to see whether it was given a data
    frame. That is most of a second, and several on a busy machine, in which the event loop stands still: long enough to
    miss Kafka's heartbeats and lose the partitions. Saying that there is none also saves its memory.
    """
    options.pd = None
    options.np = None


async def connect(settings: ClickHouseSettings, *, database: str | None = None) -> AsyncClient:
    """Raises one of CLICKHOUSE_ERRORS. `database`: instead of the settings' own."""
    parts = urlsplit(settings.url)
    secure = parts.scheme == "https"
    return await create_async_client(
        host=parts.hostname or "localhost",
        port=parts.port or (8443 if secure else 8123),
        secure=secure,
        username=settings.user,
        password=settings.password,
        database=database or settings.database,
        connect_timeout=settings.timeout_s,
        send_receive_timeout=settings.timeout_s,
        # The caller retries, with the batch's token and a proof that the batch is still its own.
        query_retries=0,
    )
