from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from billing_consumer.migrate import migrate
from runtime.clickhouse import connect
from runtime.shared_settings import ClickHouseSettings
from tests.billing_consumer.clickhouse_server import ClickHouseProcess, clickhouse_process

_numbers = count()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    with clickhouse_process(tmp_path_factory.mktemp("clickhouse") / "data") as server:
        yield server


@pytest.fixture
def empty_database(clickhouse: ClickHouseProcess) -> ClickHouseSettings:
    """Settings that name a database which does not exist yet."""
    return ClickHouseSettings(url=clickhouse.url, database=f"billing_test_{next(_numbers)}")


@pytest.fixture
async def database(empty_database: ClickHouseSettings) -> ClickHouseSettings:
    await migrate(empty_database, lambda _line: None)
    return empty_database


@pytest.fixture
async def client(database: ClickHouseSettings) -> AsyncIterator[AsyncClient]:
    """For looking at the database past the code under test."""
    connection = await connect(database)
    yield connection
    await connection.close()
