"""The audit's questions, on a real ClickHouse with the migrations' own table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from admin_api.audit import AuditFilters, audit_query
from admin_api.usage.clickhouse import ClickHouseQueries
from runtime.shared_settings import ClickHouseSettings

START = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = ["at", "kind", "entity_id", "version", "organization_id", "actor", "action", "change_id", "entity"]


def row(number: int, kind: str, entity_id: str, organization_id: str, actor: str = "root") -> list[Any]:
    at = START + timedelta(minutes=number)
    entity = msgspec.json.encode({"n": number}).decode()
    return [at, kind, entity_id, number, organization_id, actor, "created", f"chg_{number:03}", entity]


@pytest.fixture
async def queries(database: ClickHouseSettings, client: AsyncClient) -> Any:
    rows = [
        row(1, "organization", "acme", "acme", "bootstrap"),
        row(2, "project", "p", "acme"),
        row(3, "project", "q", "other"),
        row(4, "management_key", "m", ""),
        row(5, "project", "p", "acme"),
    ]
    for part in (rows, rows[1:3]):
        await client.insert("config_changes", part, column_names=COLUMNS)
    connected = ClickHouseQueries(database)
    yield connected
    await connected.close()


@pytest.mark.parametrize(
    ("asked", "organization_id", "found"),
    [
        ({}, None, [5, 4, 3, 2, 1]),
        ({}, "acme", [5, 2, 1]),
        ({"kind": "project"}, None, [5, 3, 2]),
        ({"kind": "project", "entity_id": "p"}, None, [5, 2]),
        ({"actor": "bootstrap"}, None, [1]),
        ({"organization_id": "other"}, "acme", []),
        ({"action": "deleted"}, None, []),
        ({"limit": 2}, None, [5, 4, 3]),  # one more than the page, to know that there is another
        ({"cursor": "chg_003"}, None, [2, 1]),
        ({"start": START + timedelta(minutes=2), "end": START + timedelta(minutes=4)}, None, [3, 2]),
        ({"start": datetime(1, 1, 1, tzinfo=UTC), "end": datetime(9999, 1, 1, tzinfo=UTC)}, None, [5, 4, 3, 2, 1]),
    ],
)
async def test_finds_what_is_asked_for_and_may_be_seen(
    queries: ClickHouseQueries, asked: dict[str, Any], organization_id: str | None, found: list[int]
) -> None:
    rows = await queries.rows(*audit_query(AuditFilters(**asked), organization_id))
    assert [int(each["change_id"].removeprefix("chg_")) for each in rows] == found
    for each in rows:
        minutes = int(each["change_id"].removeprefix("chg_"))
        assert each["at_ms"] == int((START + timedelta(minutes=minutes)).timestamp() * 1000)
        assert msgspec.json.decode(each["entity"]) == {"n": minutes}
