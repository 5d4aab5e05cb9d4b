"""Usage as ClickHouse answers it: equal to a sum in Python over the reports that stand."""

import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_api.operation import QueriesUnavailable, Refusal
from admin_api.usage.clickhouse import ClickHouseQueries
from admin_api.usage.query import DIMENSIONS
from admin_api.usage.report import FIGURES
from runtime.shared_settings import ClickHouseSettings
from schemas.money import usd_to_pico
from tests.admin_api.usage.asking import ask, request_of, usage
from tests.reconciliation.tables import Row, at, attempt_row, insert, request_row, taken_back

ODD = ("plain", "it's", "back\\slash", "tab\tnew\nline", "=1+1", "ü%s {x:String}", "")
_COLUMNS = {
    "organization": "organization_id",
    "project": "project_id",
    "api_key": "api_key_id",
    "customer": "customer_id",
}
_worlds = count()


@pytest.fixture
async def queries(database: ClickHouseSettings, client: AsyncClient) -> AsyncIterator[ClickHouseQueries]:
    edge = ClickHouseQueries(database)
    yield edge
    await edge.close()


@dataclass(frozen=True)
class Reported:
    """One attempt. `superseded`: an earlier report that was taken back, with another vendor and cost."""

    request_no: int
    minute: int
    project: str
    customer: str
    team: str
    model: str
    vendor: str
    tokens: int
    cost_pico_usd: int
    estimated: bool
    superseded: bool

    def rows(self, world: str, attempt_no: int) -> list[Row]:
        standing = attempt_row(
            f"{world}_{self.request_no}",
            attempt_no=attempt_no,
            accepted_at=at("2026-10-28T00:00:00") + timedelta(minutes=self.minute),
            organization_id=world,
            project_id=self.project,
            customer_id=self.customer,
            tags={"team": self.team} if self.team != "none" else {},
            model=self.model,
            vendor=self.vendor,
            input_tokens=self.tokens,
            output_tokens=self.tokens // 2,
            cached_input_tokens=self.tokens // 3,
            cost_usd=Decimal(self.cost_pico_usd).scaleb(-12),
            estimated=self.estimated,
        )
        if not self.superseded:
            return [standing]
        before = standing | {"origin": "ingress", "vendor": "lost", "cost_usd": Decimal(7), "estimated": True}
        return [before, taken_back(before), standing]


reported = st.builds(
    Reported,
    request_no=st.integers(0, 5),
    minute=st.integers(0, 20 * 24 * 60),
    project=st.sampled_from(("p1", "p2")),
    customer=st.sampled_from(ODD),
    team=st.sampled_from((*ODD, "none")),
    model=st.sampled_from(("m1", "m2")),
    vendor=st.sampled_from(("v1", "v2")),
    tokens=st.integers(0, 2**40),
    cost_pico_usd=st.integers(0, 10**24),
    estimated=st.booleans(),
    superseded=st.booleans(),
)

TRUNCATE: dict[str, Callable[[datetime], datetime]] = {
    "hour": lambda t: t.replace(minute=0),
    "day": lambda t: t.replace(hour=0, minute=0),
    "week": lambda t: t.replace(hour=0, minute=0) - timedelta(days=t.weekday()),
    "month": lambda t: t.replace(day=1, hour=0, minute=0),
}


def figures_of(rows: list[Row]) -> tuple[Any, ...]:
    cost = sum(usd_to_pico(row["cost_usd"]) for row in rows)
    estimated = sum(usd_to_pico(row["cost_usd"]) for row in rows if row["estimated"])
    tokens = (sum(row[name] for row in rows) for name in ("input_tokens", "cached_input_tokens", "output_tokens"))
    return (len({row["request_id"] for row in rows}), len(rows), *tokens, cost, estimated)


def told(totals: Any) -> tuple[Any, ...]:
    values = [getattr(totals, name) for name in FIGURES]
    return tuple(usd_to_pico(value) if isinstance(value, str) else value for value in values)


def group_value(row: Row, name: str) -> str:
    if name == "policy":
        return "default"
    if name.startswith("tag:"):
        return str(row["tags"].get(name[4:], ""))
    return str(row[_COLUMNS.get(name, name)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(reported, max_size=12),
    group_by=st.lists(st.sampled_from((*DIMENSIONS, "tag:team", "tag:it's")), max_size=4, unique=True),
    granularity=st.sampled_from(("hour", "day", "week", "month", "total")),
    first=st.integers(0, 20 * 24 * 60),
    minutes=st.integers(1, 20 * 24 * 60),
    page=st.integers(1, 4),
)
async def test_usage_is_what_a_sum_in_python_says(
    queries: ClickHouseQueries,
    client: AsyncClient,
    data: list[Reported],
    group_by: list[str],
    granularity: str,
    first: int,
    minutes: int,
    page: int,
) -> None:
    world = f"org-{next(_worlds)}"
    rows = [row for number, one in enumerate(data) for row in one.rows(world, number)]
    await insert(client, "attempts", rows)
    start = at("2026-10-28T00:00:00") + timedelta(minutes=first)
    end = start + timedelta(minutes=minutes)
    gone = {(row["attempt_id"], row["origin"]) for row in rows if row["sign"] < 0}
    standing = [
        row for row in rows if (row["attempt_id"], row["origin"]) not in gone and start <= row["accepted_at"] < end
    ]
    expected: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in standing:
        period = start if granularity == "total" else TRUNCATE[granularity](row["accepted_at"])
        expected[(period, *(group_value(row, name) for name in group_by))].append(row)

    asked = {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "group_by": ",".join(group_by),
        "granularity": granularity,
        "limit": str(page),
    }
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        answer = await usage(queries, organization_id=world, **asked, **cursor)
        assert len(answer.data) <= page
        for line in answer.data:
            place = (datetime.fromisoformat(line.period_start), *line.group.values())
            assert list(line.group) == group_by
            assert place not in found, "a row is on two pages"
            found[place] = told(line)
        assert told(answer.total) == figures_of(standing)
        cursor = None if answer.next_cursor is None else {"cursor": answer.next_cursor}
    assert found == {place: figures_of(rows) for place, rows in expected.items()}


async def test_filters_narrow_and_are_only_values(queries: ClickHouseQueries, client: AsyncClient) -> None:
    rows = [
        attempt_row(f"r{number}", customer_id=odd, tags={"team": odd}, kafka_offset=number)
        for number, odd in enumerate(ODD)
    ]
    await insert(client, "attempts", [*rows, attempt_row("other", project_id="p2", model="m2", vendor="v2")])
    for odd in ODD:
        assert (await usage(queries, customer=odd, project="p1")).total.requests == 1, odd
        assert (await usage(queries, tag=f"team={odd}")).total.requests == 1, odd
    everything = len(ODD) + 1
    assert (await usage(queries)).total.requests == everything
    assert (await usage(queries, policy="default")).total.requests == everything
    assert (await usage(queries, policy="other")).total.requests == 0
    for name, value in (("project", "p2"), ("model", "m2"), ("vendor", "v2")):
        assert (await usage(queries, **{name: value})).total.requests == 1, name
    assert (await usage(queries, api_key="k1", organization="o1")).total.requests == everything


async def test_a_key_of_an_organization_sees_nothing_else(queries: ClickHouseQueries, client: AsyncClient) -> None:
    rows = [attempt_row("mine"), attempt_row("theirs", organization_id="o2", project_id="p9")]
    await insert(client, "attempts", rows)
    await insert(
        client, "requests", [request_row("mine"), request_row("theirs", organization_id="o2", project_id="p9")]
    )
    seen = await usage(queries, organization_id="o1", group_by="project")
    assert [row.group["project"] for row in seen.data] == ["p1"]
    assert seen.total.requests == 1
    assert (await usage(queries, organization_id="o1", project="p9")).total.requests == 0
    with pytest.raises(Refusal) as refused:
        await usage(queries, organization_id="o1", organization="o2")
    assert (refused.value.status, refused.value.param) == (400, "organization")
    assert (await request_of(queries, "mine", "o1")).request_id == "mine"
    with pytest.raises(Refusal) as hidden:
        await request_of(queries, "theirs", "o1")
    with pytest.raises(Refusal) as absent:
        await request_of(queries, "nowhere", "o1")
    assert hidden.value.status == absent.value.status == 404
    assert hidden.value.message.replace("theirs", "") == absent.value.message.replace("nowhere", "")


async def test_by_default_it_is_this_month_to_the_end_of_today(queries: ClickHouseQueries, client: AsyncClient) -> None:
    inside = [at("2026-11-01T00:00:00"), at("2026-11-10T23:59:59")]
    outside = [at("2026-10-31T23:59:59"), at("2026-11-11T00:00:00")]
    times = enumerate([*inside, *outside])
    await insert(client, "attempts", [attempt_row(f"r{number}", accepted_at=time) for number, time in times])
    answer = await usage(queries)
    assert (answer.start, answer.end) == ("2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z")
    assert answer.total.requests == len(inside)


async def test_a_cursor_keeps_the_range_over_midnight(queries: ClickHouseQueries, client: AsyncClient) -> None:
    rows = [attempt_row(f"r{number}", model=f"m{number}") for number in range(3)]
    await insert(client, "attempts", rows)
    first = await usage(queries, group_by="model", limit="2")
    assert first.next_cursor is not None
    later_ms = int(datetime(2026, 12, 24, tzinfo=UTC).timestamp() * 1000)
    second = await usage(queries, group_by="model", limit="2", cursor=first.next_cursor, now_ms=later_ms)
    assert [row.group["model"] for row in (*first.data, *second.data)] == ["m0", "m1", "m2"]
    assert second.end == first.end


async def test_acceptance_decides_and_not_the_start(queries: ClickHouseQueries, client: AsyncClient) -> None:
    row = attempt_row("r", accepted_at=at("2026-11-09T23:59:59"), started_at=at("2026-11-10T00:00:01"))
    await insert(client, "attempts", [row])
    days = await usage(queries, granularity="day")
    assert [row.period_start for row in days.data] == ["2026-11-09T00:00:00Z"]


async def test_csv_is_read_back_as_it_was_meant(queries: ClickHouseQueries, client: AsyncClient) -> None:
    values = ["a,b", 'say "hi"', "=cmd()", "+1", "-1", "@x", "two\r\nlines", "plain"]
    rows = [attempt_row(f"r{number}", customer_id=value) for number, value in enumerate(values)]
    await insert(client, "attempts", rows)
    answer = await ask("get_usage", queries, format="csv", group_by="customer", granularity="day")
    assert answer.content_type.startswith("text/csv")
    assert answer.text is not None
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {line["customer"] for line in lines} == {f"'{v}" if v[0] in "=+-@" else v for v in values}
    assert {(line["period_start"], line["requests"], line["cost_usd"]) for line in lines} == {
        ("2026-11-10T00:00:00Z", "1", "0.001")
    }
    assert answer.text.startswith("period_start,customer,requests,attempts,")
    assert "\n" not in answer.text.replace("\r\n", "")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-02-30"}, "start"),
        ({"start": "1969-12-31"}, "start"),
        ({"end": "2026-11-10T00:00:00"}, "end"),
        ({"end": "2026-11-10T00:00:00 00:00"}, "end"),
        ({"end": "9999-12-31"}, "end"),
        ({"start": "2026-11-10", "end": "2026-11-10"}, "end"),
        ({"start": "2025-11-09", "end": "2026-11-11"}, "start"),
        ({"group_by": "project,colour"}, "group_by"),
        ({"group_by": "tag:"}, "group_by"),
        ({"group_by": "project,project"}, "group_by"),
        ({"group_by": ",".join(f"tag:{number}" for number in range(9))}, "group_by"),
        ({"tag": "team"}, "tag"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "WzAsMSwyLDMsWzRdXQ"}, "cursor"),
        ({"cursor": "WzAsMSwyLDMsW11d"}, "cursor"),
        ({"format": "csv", "limit": "5"}, "limit"),
        ({"format": "csv", "cursor": "WzAsMSwyLDMsW11d"}, "cursor"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(asked: dict[str, str], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        await usage(_NoQueries(), **asked)
    assert (refused.value.status, refused.value.param) == (400, param)


class _NoQueries:
    async def rows(self, sql: str, parameters: Any) -> list[dict[str, Any]]:
        raise AssertionError("a question that is refused reaches ClickHouse")


async def test_a_cursor_of_another_question_is_refused(queries: ClickHouseQueries, client: AsyncClient) -> None:
    await insert(client, "attempts", [attempt_row(f"r{number}", model=f"m{number}") for number in range(2)])
    first = await usage(queries, group_by="model", limit="1")
    assert first.next_cursor is not None
    with pytest.raises(Refusal) as refused:
        await usage(queries, group_by="vendor", limit="1", cursor=first.next_cursor)
    assert refused.value.param == "cursor"


async def test_a_request_with_all_that_was_tried(queries: ClickHouseQueries, client: AsyncClient) -> None:
    lost = attempt_row("r", origin="ingress", estimated=True, cost_usd=Decimal(5), outcome="worker_lost")
    failed = attempt_row("r", outcome="failed", status=500, failure="vendor_error", cost_usd=Decimal(0))
    again = attempt_row("r", delivery=1, estimated=True, cost_usd=Decimal("0.25"), customer_id="", tags={"team": "x"})
    await insert(client, "attempts", [lost, taken_back(lost), failed, again])
    open_ = await request_of(queries, "r")
    assert (open_.finished_at, open_.status, open_.cost_usd, open_.estimated) == (None, None, "0.25", True)
    end = request_row("r", delivery=1, attempts=1, tags={"team": "x"}, first_byte_ms=7)
    await insert(client, "requests", [end])
    account = await request_of(queries, "r")
    assert [(one.attempt_id, one.origin, one.cost_usd) for one in account.attempts] == [
        ("r.0.1", "worker", "0"),
        ("r.1.1", "worker", "0.25"),
    ]
    assert account.attempts[0].failure == "vendor_error"
    assert account.attempts[0].vendor_request_id is None
    assert (account.cost_usd, account.estimated, account.input_tokens) == ("0.25", True, 200)
    assert (account.accepted_at, account.tags, account.customer_id) == ("2026-11-10T12:00:00Z", {"team": "x"}, None)
    assert account.attempts[1].price_id == "v1/vm1@2026-01-01"


async def test_clickhouse_that_is_away_is_told_as_such() -> None:
    edge = ClickHouseQueries(ClickHouseSettings(url="http://127.0.0.1:1", timeout_s=1))
    with pytest.raises(QueriesUnavailable):
        await edge.rows("SELECT 1", {})
    await edge.close()
