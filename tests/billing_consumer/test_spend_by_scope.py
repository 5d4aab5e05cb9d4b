"""The rollup by scope: the same scopes as the budgets', and every row once, those from before the rollup too."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import count

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_consumer.clickhouse_store import ClickHouseStore
from billing_consumer.migrate import load_migrations, migrate
from billing_consumer.rows import read_record
from billing_consumer.tables import ATTEMPTS, Row
from runtime.clickhouse import connect
from runtime.shared_settings import ClickHouseSettings
from schemas.budgets import day_of, scopes_of
from schemas.money import pico_to_usd
from schemas.usage import USAGE
from tests.billing_consumer.clickhouse_server import ClickHouseProcess
from tests.billing_consumer.samples import START_MS, attempt_event, usage_record

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


async def totals(database: ClickHouseSettings) -> dict[str, Decimal]:
    client = await connect(database)
    result = await client.query("SELECT scope, sum(cost_usd) FROM spend_by_scope GROUP BY scope")
    await client.close()
    return {str(scope): cost for scope, cost in result.result_rows}


def test_clickhouse_and_budgets_name_the_same_scopes(clickhouse: ClickHouseProcess) -> None:
    database = ClickHouseSettings(url=clickhouse.url, database="billing_scopes")
    asyncio.run(migrate(database, lambda _line: None))
    offsets = count()

    @given(
        project=words,
        key=words,
        customer=st.none() | words,
        tags=st.dictionaries(words, st.text(max_size=12), max_size=4),
        accepted_at_ms=st.integers(1, 4_000_000_000_000),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(project: str, key: str, customer: str | None, tags: dict[str, str], accepted_at_ms: int) -> None:
        asyncio.run(one(project, key, customer, tags, accepted_at_ms))

    async def one(project: str, key: str, customer: str | None, tags: dict[str, str], accepted_at_ms: int) -> None:
        offset = next(offsets)
        record = usage_record(
            f"req_{offset}",
            attempts=(attempt_event(f"req_{offset}", cost_pico_usd=7),),
            project_id=project,
            api_key_id=key,
            customer_id=customer,
            tags=tags,
            accepted_at_ms=accepted_at_ms,
        )
        store = ClickHouseStore(database)
        client = await store._connected()
        await client.command("TRUNCATE TABLE spend_by_scope")
        rows = [report.row for report in read_record(USAGE.encode(record), 3, offset).attempts]
        await store.insert(ATTEMPTS, rows, f"token {offset}")
        result = await client.query("SELECT scope, toString(day), attempts, cost_usd FROM spend_by_scope")
        await store.close()
        day = day_of(accepted_at_ms).isoformat()
        expected = {(scope, day, 1, pico_to_usd(7)) for scope in scopes_of("org_1", project, key, customer, tags)}
        assert set(map(tuple, result.result_rows)) == expected

    check()


OLD_COLUMNS = [name for name in ATTEMPTS.column_names if name not in ("accepted_at", "leases")]


async def insert_as_the_version_before(database: ClickHouseSettings, rows: Sequence[Row], token: str) -> None:
    kept = [tuple(value for name, value in zip(ATTEMPTS.column_names, row, strict=True) if name in OLD_COLUMNS)
            for row in rows]  # fmt: skip
    client = await connect(database)
    await client.insert(
        "attempts",
        list(zip(*kept, strict=True)),
        column_names=OLD_COLUMNS,
        column_type_names=[type_name for name, type_name in ATTEMPTS.columns if name in OLD_COLUMNS],
        column_oriented=True,
        settings={
            "async_insert": 0,
            "insert_deduplicate": 1,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            "insert_deduplication_token": token,
        },
    )
    await client.close()


def batch(partition: int, first: int, size: int) -> list[Row]:
    rows: list[Row] = []
    for offset in range(first, first + size):
        request = f"req_{partition}_{offset}"
        # From months apart, so that an insert makes several parts.
        started_at_ms = START_MS - (offset % 3) * 40 * 86_400_000
        record = usage_record(
            request, attempts=(attempt_event(request, cost_pico_usd=10**6 + offset, started_at_ms=started_at_ms),)
        )
        rows += [report.row for report in read_record(USAGE.encode(record), partition, offset).attempts]
    return rows


async def test_rows_from_before_count_once_whoever_writes_them_again(empty_database: ClickHouseSettings) -> None:
    migrations = load_migrations()
    await migrate(empty_database, lambda _line: None, migrations[:6])
    before, last, new = batch(1, 0, 50), batch(1, 50, 20), batch(1, 70, 20)
    await insert_as_the_version_before(empty_database, before, "1")
    await insert_as_the_version_before(empty_database, last, "2")
    await migrate(empty_database, lambda _line: None)

    def expected(*batches: Sequence[Row]) -> Decimal:
        cost_at = ATTEMPTS.index("cost_usd")
        return sum((row[cost_at] for rows in batches for row in rows), Decimal(0))

    assert (await totals(empty_database))["project:prj_1"] == expected(before, last)
    store = ClickHouseStore(empty_database)
    # Its consumer had not heard that the last batch was written: it is replayed, by the old version or by the new.
    await insert_as_the_version_before(empty_database, last, "2")
    await store.insert(ATTEMPTS, last, "2")
    assert (await totals(empty_database))["project:prj_1"] == expected(before, last)
    # The old version goes on for a while, then the new one replays that.
    await insert_as_the_version_before(empty_database, new, "3")
    await store.insert(ATTEMPTS, new, "3")
    other = batch(2, 0, 5)
    await store.insert(ATTEMPTS, other, "4")
    assert (await totals(empty_database))["project:prj_1"] == expected(before, last, new, other)
    # The migration was cut off before it was recorded, and runs again.
    client = await connect(empty_database)
    for statement in migrations[7].statements:
        await client.command(statement)
    await client.close()
    await store.insert(ATTEMPTS, other, "4")
    assert (await totals(empty_database))["project:prj_1"] == expected(before, last, new, other)
    await store.close()


async def test_while_the_rollup_is_being_made_inserts_are_refused(empty_database: ClickHouseSettings) -> None:
    """So that a consumer tries again later. By VALUES: where the data is streamed in, as the consumers do it, the
    engine's in-process form checks no constraints; a ClickHouse server does."""
    insert = "INSERT INTO attempts (project_id, sign, cost_usd) VALUES ('prj_1', 1, 3)"
    migrations = load_migrations()
    await migrate(empty_database, lambda _line: None, migrations[:7])
    client = await connect(empty_database)
    refused = 0
    for statement in migrations[7].statements:
        if "MATERIALIZED" in statement:
            with pytest.raises(DatabaseError, match="spend_by_scope_is_being_made"):
                await client.command(insert)
            refused += 1
        await client.command(statement)
    assert refused == 1
    await client.command(insert)
    await client.close()
    assert (await totals(empty_database))["project:prj_1"] == Decimal(3)
