"""What a ledger had spent when it was opened, from a real ClickHouse: exact, whatever is written meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing_consumer.authority.opening import OpeningDesk
from billing_consumer.authority.spent_query import OpeningRequest, spent_queries
from billing_consumer.clickhouse_session import ClickHouseSession
from billing_consumer.clickhouse_store import StoreUnavailable
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from runtime.shared_settings import ClickHouseSettings
from schemas.budgets import FOREVER, Period, ScopeKind, period_at, scope_key, scopes_of
from schemas.money import pico_to_usd
from tests.runtime.waiting import until

DAY = date(2026, 11, 23)
NOVEMBER = period_at("monthly", DAY)
COLUMNS = (
    "organization_id",
    "project_id",
    "api_key_id",
    "customer_id",
    "tags",
    "attempt_id",
    "started_at",
    "accepted_at",
    "cost_usd",
    "sign",
    "kafka_partition",
    "kafka_offset",
)
ALL = {0: 10**9, 1: 10**9}


@pytest.fixture
async def session(database: ClickHouseSettings) -> AsyncIterator[ClickHouseSession]:
    session = ClickHouseSession(database)
    yield session
    await session.stop(Deadline(SystemClock(), 1))


def a_row(
    cost_pico_usd: int,
    *,
    organization: str = "org_1",
    project: str = "prj_1",
    key: str = "key_1",
    customer: str = "",
    tags: dict[str, str] | None = None,
    accepted: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC),
    started_after: timedelta = timedelta(),
    sign: int = 1,
    partition: int = 0,
    offset: int = 5,
) -> list[Any]:
    place = [f"{partition}-{offset}", accepted + started_after, accepted]
    return [
        organization,
        project,
        key,
        customer,
        tags or {},
        *place,
        pico_to_usd(cost_pico_usd),
        sign,
        partition,
        offset,
    ]


def opening(
    kind: ScopeKind,
    scope_id: str,
    *,
    organization: str = "org_1",
    period: Period = NOVEMBER,
    through: dict[int, int] | None = None,
) -> OpeningRequest:
    scope = scope_key(organization, kind, scope_id)
    return OpeningRequest(f"{scope}@{period.start}", kind, scope, period, ALL if through is None else through)


async def spent(session: ClickHouseSession, *openings: OpeningRequest) -> list[int]:
    desk = OpeningDesk(session, Supervisor())
    desk.ask(openings)
    found: dict[str, int] = {}

    def all_there() -> bool:
        found.update(desk.fetch())
        return len(found) == len({opening.ledger_id for opening in openings})

    await until(all_there, "openings")
    assert not desk.busy
    return [found[opening.ledger_id] for opening in openings]


async def test_each_kind_of_scope_counts_its_own_and_nothing_else(session: ClickHouseSession) -> None:
    rows = [
        a_row(1, customer="it's", tags={"team": "a b", "x": "1"}),
        a_row(10, project="prj_2", key="key_2", customer="other", tags={"team": "a"}),
        a_row(100, organization="org_2", project="prj_3", key="key_3", customer="it's", tags={"team": "a b"}),
        a_row(1000, tags={"team=a b": "", "y": "=z"}),
    ]
    await session.insert("attempts", COLUMNS, rows)
    cases: list[tuple[OpeningRequest, int]] = [
        (opening("organization", "org_1"), 1011),
        (opening("organization", "org_2"), 100),
        (opening("project", "prj_1"), 1001),
        (opening("project", "prj_2"), 10),
        (opening("api_key", "key_2"), 10),
        (opening("api_key", "key_none"), 0),
        (opening("customer", "it's"), 1),
        (opening("customer", "it's", organization="org_2"), 100),
        (opening("tag", "team=a b"), 1),
        (opening("tag", "team=a b", organization="org_2"), 100),
        (opening("tag", "x=1"), 1),
        (opening("tag", "y==z"), 1000),
        (opening("tag", "team=a b="), 1000),
    ]
    assert await spent(session, *(case for case, _ in cases)) == [amount for _, amount in cases]


async def test_every_scope_of_a_request_counts_it_exactly_once(session: ClickHouseSession) -> None:
    """The scopes are spelled by the function that settlements use."""
    tags = {"a": "b=c", "a=b": "c", "ü": "\\' %s {x:String}"}
    await session.insert("attempts", COLUMNS, [a_row(7, customer="c/d", tags=tags)])
    for scope in scopes_of("org_1", "prj_1", "key_1", "c/d", tags):
        kind: Any = scope.partition(":")[0]
        assert await spent(session, OpeningRequest("l", kind, scope, NOVEMBER, ALL)) == [7], scope


async def test_the_day_of_acceptance_decides_not_that_of_the_call(session: ClickHouseSession) -> None:
    end = datetime(2026, 12, 1, tzinfo=UTC)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    ms = timedelta(milliseconds=1)
    rows = [
        a_row(1, accepted=end - ms, started_after=timedelta(minutes=10)),
        a_row(10, accepted=end, started_after=-3 * ms),
        a_row(100, accepted=start, started_after=-timedelta(seconds=4)),
        a_row(1000, accepted=start - ms, started_after=timedelta(minutes=10)),
    ]
    await session.insert("attempts", COLUMNS, rows)
    december = period_at("monthly", date(2026, 12, 1))
    openings = [opening("project", "prj_1", period=period) for period in (NOVEMBER, december, FOREVER)]
    assert await spent(session, *openings) == [101, 10, 1111]


async def test_only_rows_below_the_offsets_count(session: ClickHouseSession) -> None:
    rows = [a_row(10**n, partition=n % 2, offset=n) for n in range(6)]
    await session.insert("attempts", COLUMNS, rows)
    for through, amount in (
        ({0: 3, 1: 3}, 111),
        ({0: 3}, 101),
        ({1: 4}, 1010),
        ({0: 0, 1: 0}, 0),
        ({}, 0),
        ({0: 2**53 + 1, 1: 6, 7: 9}, 111_111),
    ):
        assert await spent(session, opening("project", "prj_1", through=through)) == [amount], through


async def test_it_is_exact_for_the_largest_and_the_smallest_amounts(session: ClickHouseSession) -> None:
    amounts = [1, 999_999_999_999, 10**24 + 1, 123_456_789_012_345_678]
    rows = [a_row(amount, offset=n) for n, amount in enumerate(amounts)]
    rows.append(a_row(amounts[2], sign=-1, offset=50))
    await session.insert("attempts", COLUMNS, rows)
    assert await spent(session, opening("project", "prj_1")) == [sum(amounts) - amounts[2]]
    assert await spent(session, opening("project", "prj_1", through={0: 50})) == [sum(amounts)]


async def test_opening_and_later_settlements_add_up_while_batches_are_written(session: ClickHouseSession) -> None:
    """The ledger's rule: what is below the offsets comes from ClickHouse, each batch beyond by its settlement."""
    rng = random.Random(7)
    ends, batches, total = {0: 0, 1: 0}, list[tuple[int, int, int]](), 0
    checked = 0
    for number in range(40):
        partition, size = number % 2, rng.randrange(1, 9)
        first = ends[partition]
        costs = [rng.randrange(10**13) for _ in range(size)]
        rows = [a_row(cost, partition=partition, offset=first + n) for n, cost in enumerate(costs)]
        clocks = dict(ends)
        known = len(batches)
        inserting = asyncio.get_running_loop().create_task(session.insert("attempts", COLUMNS, rows))
        (at_opening,) = await spent(session, opening("project", "prj_1", through=clocks))
        await inserting
        ends[partition] = first + size
        batches.append((partition, first + size, sum(costs)))
        total += sum(costs)
        beyond = sum(cost for p, end, cost in batches[known:] if end > clocks[p])
        assert at_opening + beyond == total
        checked += 1
    assert checked == 40


class Moody:
    """A ClickHouse that is away when it is told so."""

    def __init__(self) -> None:
        self.away_for: set[str] = set()
        self.queries: list[dict[str, Any]] = []

    async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        self.queries.append(parameters)
        await asyncio.sleep(0)
        if self.away_for & set(parameters["names"]):
            raise StoreUnavailable("away")
        return [(name, pico_to_usd(5)) for name in parameters["names"]]


async def test_one_that_fails_is_asked_again_and_does_not_hold_up_the_others() -> None:
    moody, supervisor = Moody(), Supervisor()
    moody.away_for = {"prj_1"}
    desk = OpeningDesk(moody, supervisor)
    desk.ask([opening("project", "prj_1"), opening("api_key", "key_1")])
    found: dict[str, int] = {}

    def count() -> int:
        found.update(desk.fetch())
        return len(found)

    await until(lambda: count() == 1, "the other one")
    assert list(found) == ["api_key:key_1@2026-11-01"]
    await until(lambda: len(moody.queries) >= 3, "another try")
    desk.ask([opening("api_key", "key_2")])
    assert desk.busy
    moody.away_for = set()
    await until(lambda: count() == 3, "all")
    assert set(found.values()) == {5}
    assert not supervisor.failed.is_set()


async def test_the_answer_to_an_older_question_is_not_taken_for_a_later_ones() -> None:
    gate, asked = asyncio.Event(), list[str]()

    class Slow:
        async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
            asked.append(query)
            if len(asked) == 1:
                await gate.wait()
                return [("prj_1", pico_to_usd(1))]
            return [("prj_1", pico_to_usd(2))]

    desk = OpeningDesk(Slow(), Supervisor())
    desk.ask([opening("project", "prj_1", through={0: 1})])
    await until(lambda: bool(asked), "the first question")
    desk.ask([opening("project", "prj_1", through={0: 2})])
    gate.set()
    found: dict[str, int] = {}

    def is_answered() -> bool:
        found.update(desk.fetch())
        return bool(found)

    await until(is_answered, "the answer")
    assert found == {"project:prj_1@2026-11-01": 2}
    assert len(asked) == 2


async def test_a_closed_desk_asks_nothing_more() -> None:
    moody, supervisor = Moody(), Supervisor()
    moody.away_for = {"prj_1"}
    desk = OpeningDesk(moody, supervisor)
    desk.ask([opening("project", "prj_1")])
    await until(lambda: bool(moody.queries), "a question")
    desk.close()
    assert desk._task is not None
    await asyncio.wait({desk._task})
    assert not supervisor.failed.is_set()


def test_many_ledgers_make_few_queries() -> None:
    keys = [opening("api_key", f"key_{n}") for n in range(1200)]
    assert len(spent_queries([*keys, opening("project", "prj_1"), opening("project", "prj_2")])) == 4
    assert max(len(query.parameters["names"]) for query in spent_queries(keys)) == 500
