"""The audit log in a real ClickHouse: every change once, without secrets, through outages and restarts."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from msgspec import Raw
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from billing_consumer.audit_log import AuditLog
from billing_consumer.clickhouse_session import ClickHouseSession
from billing_consumer.clickhouse_store import StoreUnavailable
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import ClickHouseSettings
from schemas.codec import UndecodableRecord
from schemas.config_record import ConfigRecord
from schemas.tenancy import ApiKey, hash_api_key
from tests.billing_consumer.authority.samples import NOW_MS, a_budget, a_change
from tests.runtime.waiting import until, until_async

KEY = ApiKey(
    api_key_id="key_1",
    project_id="prj_1",
    key_sha256=hash_api_key("th_now"),
    previous_key_sha256=hash_api_key("th_before"),
    name="O'Brien's \\ key\n",
)
CHANGES = [
    a_change("api_key", KEY),
    a_change("budget", a_budget()),
    a_change("api_key", KEY, version=2, action="rotated"),
    a_change("budget", None, entity_id="bud_1", version=2, action="deleted"),
]


async def write(settings: ClickHouseSettings, changes: Sequence[ConfigRecord]) -> None:
    """As a process would that starts, reads these changes, and ends."""
    session, supervisor = ClickHouseSession(settings), Supervisor()
    metrics = Metrics(CollectorRegistry())
    audit = AuditLog(session, supervisor, metrics)
    for change in changes:
        audit.apply(change)
    await audit.start()
    await until(lambda: not audit._waiting, "the audit rows")
    await audit.stop(Deadline(SystemClock(), 1))
    await session.stop(Deadline(SystemClock(), 1))
    assert metrics.registry.get_sample_value("tollhouse_billing_rows_total", {"table": "config_changes"}) == len(
        changes
    )


async def test_every_change_is_there_once_however_often_it_is_written(
    database: ClickHouseSettings, client: AsyncClient
) -> None:
    await write(database, CHANGES[:2])
    await write(database, CHANGES)
    query = "SELECT * EXCEPT at, toUnixTimestamp64Milli(at) FROM config_changes_final ORDER BY kind, version"
    rows = (await client.query(query)).result_rows
    head = [row[:7] for row in rows]
    assert head == [
        ("api_key", "key_1", 1, "org_1", "mk_1", "created", "chg_1"),
        ("api_key", "key_1", 2, "org_1", "mk_1", "rotated", "chg_2"),
        ("budget", "bud_1", 1, "org_1", "mk_1", "created", "chg_1"),
        ("budget", "bud_1", 2, "org_1", "mk_1", "deleted", "chg_2"),
    ]
    assert {row[8] for row in rows} == {NOW_MS}
    entities = [row[7] for row in rows]
    assert json.loads(entities[0])["name"] == KEY.name
    assert json.loads(entities[2])["limit_pico_usd"] == a_budget().limit_pico_usd
    assert entities[3] == ""
    assert not any("sha256" in entity or KEY.key_sha256 in entity for entity in entities)


async def test_a_change_during_an_outage_is_written_when_it_is_over() -> None:
    class Sink:
        away = True
        tries = 0

        def __init__(self) -> None:
            self.rows: list[Any] = []

        async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
            self.tries += 1
            if self.away:
                raise StoreUnavailable("away")
            self.rows += rows

    sink, supervisor = Sink(), Supervisor()
    audit = AuditLog(sink, supervisor, Metrics(CollectorRegistry()))
    await audit.start()
    for change in CHANGES[:2]:
        audit.apply(change)
    await until(lambda: sink.tries >= 2, "two tries")
    audit.apply(CHANGES[2])
    sink.away = False
    await until(lambda: len(sink.rows) == 3, "the rows")
    assert [row[2:4] for row in sink.rows] == [("key_1", 1), ("bud_1", 1), ("key_1", 2)]
    audit.apply(CHANGES[3])
    await until(lambda: len(sink.rows) == 4, "the row of a later change")
    await audit.stop(Deadline(SystemClock(), 1))
    assert not supervisor.failed.is_set()


async def test_a_clickhouse_that_is_away_is_waited_for(database: ClickHouseSettings, client: AsyncClient) -> None:
    session, supervisor = ClickHouseSession(replace(database, url="http://127.0.0.1:9", timeout_s=1)), Supervisor()
    with pytest.raises(StoreUnavailable, match="ClickHouse"):
        await session.rows("SELECT 1", {})
    audit = AuditLog(session, supervisor, Metrics(CollectorRegistry()))
    audit.apply(CHANGES[0])
    await audit.start()
    session._settings = database

    async def is_written() -> bool:
        return bool((await client.query("SELECT count() FROM config_changes")).result_rows[0][0])

    await until_async(is_written, "the change")
    await audit.stop(Deadline(SystemClock(), 1))
    await session.stop(Deadline(SystemClock(), 1))


def test_a_change_of_which_no_row_can_be_made_is_refused_as_unreadable() -> None:
    audit = AuditLog(ClickHouseSession(ClickHouseSettings(url="")), Supervisor(), Metrics(CollectorRegistry()))
    for change in (
        replace(CHANGES[0], entity=Raw(b"{")),
        replace(CHANGES[0], change=replace(CHANGES[0].change, at_ms=10**18)),
    ):
        with pytest.raises(UndecodableRecord):
            audit.apply(change)
    assert not audit._waiting
