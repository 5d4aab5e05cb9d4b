"""Batches in ClickHouse itself: counted once in the tables and in every rollup, exact to the last digit."""

import asyncio
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry

from billing_consumer.batch_bounds import Bounds
from billing_consumer.batch_writer import Batch, BatchWriter
from billing_consumer.clickhouse_store import ClickHouseStore, StoreUnavailable
from billing_consumer.migrate import migrate
from billing_consumer.rows import MAX_COST_PICO_USD, read_record
from billing_consumer.tables import ATTEMPTS
from runtime.metrics import Metrics
from runtime.shared_settings import ClickHouseSettings
from schemas.budgets import day_of
from schemas.money import pico_to_usd
from schemas.usage import USAGE
from tests.billing_consumer.clickhouse_server import ClickHouseProcess
from tests.billing_consumer.histories import History, NoDeadLetters, histories, request_id, write_history
from tests.billing_consumer.samples import START_MS, attempt_event, kafka_record, request_event, usage_record

# What each adds up to everything in; of scopes only one kind does, as an attempt counts in each of its scopes.
ROLLUPS = (
    "spend_by_key",
    "spend_by_project",
    "spend_by_model_hour",
    "spend_by_scope WHERE startsWith(scope, 'organization:')",
)
COSTS_PICO_USD = (0, 1, 999_999_999_999, 1_000_000_000_001, 123_456_789_012_345_678, MAX_COST_PICO_USD)


async def value(client: AsyncClient, query: str, **parameters: object) -> Any:
    return (await client.query(query, parameters=parameters)).result_rows[0][0]


async def totals(client: AsyncClient) -> set[tuple[Decimal, int, int]]:
    """(cost, attempts, input tokens) by the base table and by each rollup; one element when they agree."""
    base = "SELECT sum(sign * cost_usd), sum(sign), sum(sign * toInt64(input_tokens)) FROM attempts"
    rollups = [f"SELECT sum(cost_usd), sum(attempts), sum(input_tokens) FROM {name}" for name in ROLLUPS]
    return {tuple((await client.query(query)).result_rows[0]) for query in (base, *rollups)}


def batch_of_costs(costs_pico_usd: tuple[int, ...], first: int = 10) -> Batch:
    records = [
        kafka_record(
            first + n,
            usage_record(
                f"req_{first + n}",
                # Days and months apart, so that one insert makes several parts.
                attempts=(
                    attempt_event(f"req_{first + n}", cost_pico_usd=cost, started_at_ms=START_MS + n * 20 * 86_400_000),
                ),
                request=request_event(),
            ),
        )
        for n, cost in enumerate(costs_pico_usd)
    ]
    return Batch(Bounds("usage", 3, first, first + len(records), START_MS), records, replayed=False)


async def write(store: ClickHouseStore, batch: Batch) -> None:
    writer = BatchWriter(store, NoDeadLetters(), Metrics(CollectorRegistry()))
    read = await writer.read(batch)
    await writer.write(read, (await writer.find_unusual([read])).get(batch.bounds.partition, set()))


async def test_a_batch_that_is_written_again_counts_once_everywhere(
    database: ClickHouseSettings, client: AsyncClient
) -> None:
    for _ in range(3):
        store = ClickHouseStore(database)  # as a new process would
        await write(store, batch_of_costs(COSTS_PICO_USD))
        await store.close()
    expected = pico_to_usd(sum(COSTS_PICO_USD))
    assert await totals(client) == {(expected, len(COSTS_PICO_USD), 100 * len(COSTS_PICO_USD))}
    assert await value(client, "SELECT count() FROM requests") == len(COSTS_PICO_USD)
    # The test sees a token that does not hold: with other bounds the same rows do count again.
    store = ClickHouseStore(database)
    await write(store, batch_of_costs(COSTS_PICO_USD, first=11))
    await store.close()
    assert await value(client, "SELECT count() FROM requests") == 2 * len(COSTS_PICO_USD)


async def test_money_goes_in_and_comes_out_exactly(database: ClickHouseSettings, client: AsyncClient) -> None:
    store = ClickHouseStore(database)
    await write(store, batch_of_costs(COSTS_PICO_USD))
    result = await client.query("SELECT toString(cost_usd) FROM attempts ORDER BY kafka_offset")
    assert [Decimal(text) for (text,) in result.result_rows] == [pico_to_usd(cost) for cost in COSTS_PICO_USD]
    await store.close()
    query = "SELECT scope, sum(cost_usd) FROM spend_by_scope GROUP BY scope"
    totals_usd = {scope: total for scope, total in (await client.query(query)).result_rows}  # noqa: C416 - typed rows
    expected = pico_to_usd(sum(COSTS_PICO_USD))
    assert totals_usd["api_key:key_1"] == totals_usd["project:prj_1"] == totals_usd["tag:org_1/team=a b"] == expected


async def test_a_row_that_is_read_back_is_the_row_that_was_written(database: ClickHouseSettings) -> None:
    store = ClickHouseStore(database)
    event = msgspec.structs.replace(attempt_event("req_x"), first_byte_ms=None, status=None, cost_pico_usd=10**23 + 7)
    record = usage_record(
        "req_x",
        attempts=(event,),
        origin="ingress",
        tags={"zeta": "ü'\\\n\t", "alpha": ""},
        accepted_at_ms=START_MS - 1,
        leases=("1|b'\\@d|l", ""),
    )
    (report,), _, _ = read_record(USAGE.encode(record), 3, 50)
    await store.insert(ATTEMPTS, [report.row], "token")
    standing = await store.standing_before(ATTEMPTS, 3, 51, {("prj_1", "req_x")})
    assert standing[report.id].row == report.row
    assert list(standing[report.id].row[ATTEMPTS.index("tags")]) == ["zeta", "alpha"]
    assert not await store.standing_before(ATTEMPTS, 3, 50, {("prj_1", "req_x")}), "a batch must not see itself"
    assert not await store.standing_before(ATTEMPTS, 4, 51, {("prj_1", "req_x")})
    await store.close()


async def test_ids_need_no_manners(database: ClickHouseSettings, client: AsyncClient) -> None:
    """Nothing in a record can become a piece of a query."""
    store = ClickHouseStore(database)
    for n, odd in enumerate(
        ("it's", "back\\slash", "%(low0)s %", "{x:String}", "new\nline", "\x00", "'; DROP TABLE a")
    ):
        first = 1000 * n
        told = [("ingress", 5), ("worker", 7)]
        for origin, cost in told:
            record = usage_record(
                odd,
                attempts=(attempt_event(odd, cost_pico_usd=cost),),
                origin="ingress" if origin == "ingress" else "worker",
                project_id=odd,
                api_key_id=odd,
            )
            kafka = kafka_record(first, record)
            await write(store, Batch(Bounds("usage", 3, first, first + 1, START_MS), [kafka], replayed=False))
            first += 1
        for scope in (f"api_key:{odd}", f"project:{odd}"):
            query = "SELECT sum(cost_usd) FROM spend_by_scope WHERE scope = %(scope)s"
            assert await value(client, query, scope=scope) == pico_to_usd(7)
    assert await value(client, "SELECT count() FROM attempts_final") == 7
    await store.close()


async def test_a_clickhouse_without_tables_is_a_problem_that_is_named(empty_database: ClickHouseSettings) -> None:
    store = ClickHouseStore(empty_database)
    with pytest.raises(StoreUnavailable):
        await store.check()
    assert empty_database.database in str(store.problem)
    await migrate(empty_database, lambda _line: None)
    await store.check()
    assert str(store.problem) == "None"
    await store.close()


async def test_a_clickhouse_that_is_away_is_a_problem_that_is_named() -> None:
    store = ClickHouseStore(ClickHouseSettings(url="http://127.0.0.1:9", timeout_s=2))
    with pytest.raises(StoreUnavailable, match="ClickHouse"):
        await store.check()
    await store.close()


def test_any_history_ends_with_the_winners_in_tables_views_and_rollups(clickhouse: ClickHouseProcess) -> None:
    settings_of = ClickHouseSettings(url=clickhouse.url, database="billing_histories")
    asyncio.run(migrate(settings_of, lambda _line: None))
    worlds = count()

    @given(history=histories())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def check(history: History) -> None:
        asyncio.run(one(history, f"w{next(worlds)}"))

    async def one(history: History, world: str) -> None:
        store = ClickHouseStore(settings_of)
        await write_history(history, world, 5, store, Metrics(CollectorRegistry()))
        client = await store._connected()
        project = f"prj_{world}"
        attempts = await client.query(
            "SELECT request_id, delivery, cost_usd FROM attempts_final WHERE project_id = %(project)s",
            parameters={"project": project},
        )
        assert sorted(map(tuple, attempts.result_rows)) == sorted(
            (request_id(world, request_no), delivery, pico_to_usd(told.cost_pico_usd))
            for (request_no, delivery), told in history.attempts().items()
        )
        requests = await client.query(
            "SELECT request_id, status, cost_usd FROM requests_with_cost WHERE project_id = %(project)s",
            parameters={"project": project},
        )
        cost_of: dict[int, int] = {}
        for (request_no, _), told in history.attempts().items():
            cost_of[request_no] = cost_of.get(request_no, 0) + told.cost_pico_usd
        assert sorted(map(tuple, requests.result_rows)) == sorted(
            (request_id(world, request_no), told.status, pico_to_usd(cost_of.get(request_no, 0)))
            for request_no, told in history.requests().items()
        )
        expected: dict[tuple[str, str], Decimal] = {}
        for (request_no, _), told in history.attempts().items():
            day = day_of(START_MS + 43_200_000 * request_no).isoformat()
            for scope in (f"api_key:key_{world}", f"project:{project}"):
                spent = expected.get((scope, day), Decimal(0))
                expected[scope, day] = spent + pico_to_usd(told.cost_pico_usd)
        by_scope = await client.query(
            "SELECT scope, toString(day), sum(cost_usd) AS cost FROM spend_by_scope WHERE scope IN %(scopes)s"
            " GROUP BY scope, day HAVING sum(attempts) > 0",
            parameters={"scopes": [f"api_key:key_{world}", f"project:{project}"]},
        )
        assert {(scope, day): cost for scope, day, cost in by_scope.result_rows} == expected
        assert len(await totals(client)) == 1, "the rollups and the table disagree"
        await store.close()

    check()
