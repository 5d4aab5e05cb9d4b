"""Whatever is reported, in whatever order, and however often a batch is written: what counts is one row per thing."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from billing_consumer.batch_bounds import Span
from billing_consumer.clickhouse_store import StoreUnavailable
from billing_consumer.resolve import Report, Standing, is_unusual, rank_of, resolve, standing_of, suspects
from billing_consumer.tables import ATTEMPTS, REQUESTS, Row, Table
from runtime.metrics import Metrics
from schemas.ids import attempt_id
from schemas.money import pico_to_usd
from schemas.usage import Origin
from tests.billing_consumer.histories import History, histories, request_id, write_history


class MemoryStore:
    """Answers as ClickHouse does, with its memory of tokens. `moods` says how each insert goes: 0 well, 1 it is not
    done, 2 it is done and the answer is lost."""

    def __init__(self, moods: list[int]) -> None:
        self.rows: dict[str, list[Row]] = {ATTEMPTS.name: [], REQUESTS.name: []}
        self._by_token: dict[str, list[Row]] = {}
        self._moods = moods

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        mood = self._moods.pop() if self._moods else 0
        if mood == 1:
            raise StoreUnavailable("refused")
        if token in self._by_token:
            assert self._by_token[token] == list(rows), "a batch that was written again had other rows"
        else:
            self._by_token[token] = list(rows)
            self.rows[table.name] += rows
        if mood == 2:
            raise StoreUnavailable("the answer was lost")

    async def unusual_before(self, spans: Sequence[Span]) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for table in (ATTEMPTS, REQUESTS):
            id_at, unusual_at = table.index("request_id"), table.index("unusual")
            for row in self.rows[table.name]:
                for span in spans:
                    mine = row[-2] == span.partition and row[-1] < span.first and span.low <= row[id_at] <= span.high
                    if mine and row[unusual_at] and row[-3] == 1:
                        found.setdefault(span.partition, set()).add(row[id_at])
        return found

    async def standing_before(
        self, table: Table, partition: int, first: int, about: Iterable[tuple[str, str]]
    ) -> dict[str, Standing]:
        wanted = set(about)
        project_at, request_at = table.index("project_id"), table.index("request_id")
        return standing_of(
            (row[table.index(table.id_column)], Standing(_rank(table, row), row))
            for row in self.rows[table.name]
            if row[-3:-1] == (1, partition) and row[-1] < first and (row[project_at], row[request_at]) in wanted
        )


def _rank(table: Table, row: Row) -> tuple[int, int]:
    return rank_of(row[table.index("delivery")], row[table.index("origin")])


def _hashable(value: object) -> object:
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


def standing_rows(table: Table, rows: Iterable[Row]) -> list[Row]:
    """What is left when each cancellation has taken its row away; fails if one takes away what is not there."""
    left: dict[tuple[object, ...], int] = {}
    for row in rows:
        facts = tuple(_hashable(value) for value in row[:-3])
        left[facts] = left.get(facts, 0) + row[-3]
    assert set(left.values()) <= {0, 1}
    return [facts for facts, count in left.items() if count]


@given(history=histories(), moods=st.lists(st.integers(0, 2), max_size=30))
@settings(max_examples=400, deadline=None)
def test_exactly_the_winning_report_of_each_thing_stands(history: History, moods: list[int]) -> None:
    store = MemoryStore(moods)
    asyncio.run(write_history(history, "w", 7, store, Metrics(CollectorRegistry())))

    attempts = standing_rows(ATTEMPTS, store.rows[ATTEMPTS.name])
    assert {row[ATTEMPTS.index("attempt_id")]: row[ATTEMPTS.index("cost_usd")] for row in attempts} == {
        attempt_id(request_id("w", request_no), delivery, 1): pico_to_usd(told.cost_pico_usd)
        for (request_no, delivery), told in history.attempts().items()
    }
    assert len(attempts) == len(history.attempts())
    requests = standing_rows(REQUESTS, store.rows[REQUESTS.name])
    assert sorted((row[REQUESTS.index("request_id")], row[REQUESTS.index("status")]) for row in requests) == sorted(
        (request_id("w", request_no), told.status) for request_no, told in history.requests().items()
    )
    weighted = sum(row[-3] * row[ATTEMPTS.index("cost_usd")] for row in store.rows[ATTEMPTS.name])
    assert weighted == sum((pico_to_usd(told.cost_pico_usd) for told in history.attempts().values()), Decimal(0))


def report(report_id: str, rank: tuple[int, int], offset: int, *, unusual: bool = False) -> Report:
    return Report(report_id, "prj", report_id, rank, unusual, (report_id, rank, 1, 3, offset))


AUDIT, ESTIMATE, WORD = (0, 0), (0, 1), (0, 2)


@pytest.mark.parametrize(
    ("reports", "standing", "expected"),
    [
        pytest.param([(WORD, 5)], None, [(WORD, 1, 3, 5)], id="the first word"),
        pytest.param([(ESTIMATE, 4), (WORD, 5)], None, [(WORD, 1, 3, 5)], id="beaten within its batch"),
        pytest.param([(WORD, 4), (ESTIMATE, 5)], None, [(WORD, 1, 3, 4)], id="a late estimate in the batch"),
        pytest.param([(WORD, 4), (WORD, 5)], None, [(WORD, 1, 3, 4)], id="told twice in one batch"),
        pytest.param([(WORD, 5)], ESTIMATE, [(ESTIMATE, -1, 3, 5), (WORD, 1, 3, 5)], id="a standing estimate beaten"),
        pytest.param([(ESTIMATE, 5)], WORD, [], id="a late estimate"),
        pytest.param([(WORD, 5)], WORD, [], id="told twice"),
        pytest.param([(AUDIT, 5)], None, [(AUDIT, 1, 3, 5)], id="only the audit knows"),
        pytest.param([(AUDIT, 5)], ESTIMATE, [], id="the ingress knew better than the audit"),
        pytest.param(
            [(ESTIMATE, 5)], AUDIT, [(AUDIT, -1, 3, 5), (ESTIMATE, 1, 3, 5)], id="the ingress after the audit"
        ),
        pytest.param([(AUDIT, 4), (WORD, 5)], AUDIT, [(AUDIT, -1, 3, 5), (WORD, 1, 3, 5)], id="the worker after it"),
        pytest.param(
            [((1, 2), 5), ((2, 2), 6)],
            WORD,
            [(WORD, -1, 3, 6), ((2, 2), 1, 3, 6)],
            id="two better ones at once: the standing row is taken back once",
        ),
    ],
)
def test_one_thing(
    reports: list[tuple[tuple[int, int], int]],
    standing: tuple[int, int] | None,
    expected: list[tuple[tuple[int, int], int, int, int]],
) -> None:
    before = {"a": Standing(standing, ("a", standing, 1, 3, 1))} if standing is not None else {}
    rows = resolve([report("a", rank, offset) for rank, offset in reports], before)
    assert rows == [("a", *one) for one in expected]


def test_only_what_may_have_been_told_before_is_looked_up() -> None:
    reports = [report("a", WORD, 1), report("b", WORD, 2, unusual=True), report("c", WORD, 3)]
    assert suspects(reports, {"c", "z"}) == {("prj", "b"), ("prj", "c")}


@pytest.mark.parametrize(
    ("delivery", "origin", "repeat", "unusual"),
    [
        (0, "worker", False, False),
        (1, "worker", False, True),
        (0, "ingress", False, True),
        (0, "worker", True, True),
        (0, "audit", False, True),
        (0, "correction", False, True),
    ],
)
def test_unusual(delivery: int, origin: Origin, repeat: bool, unusual: bool) -> None:
    assert is_unusual(delivery, origin, repeat) is unusual


def test_who_was_nearer_to_the_call_is_believed_within_a_delivery() -> None:
    assert rank_of(3, "audit") < rank_of(3, "ingress") < rank_of(3, "worker") < rank_of(3, "correction")
    assert rank_of(3, "correction") < rank_of(4, "audit")
