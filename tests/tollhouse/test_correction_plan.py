"""What a file of corrections says, and the records that come of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_consumer.batch_bounds import Bounds
from billing_consumer.resolve import Standing, resolve
from billing_consumer.rows import MAX_COUNT, read_record
from billing_consumer.settlement import settlements_of
from billing_consumer.tables import ATTEMPTS, Row
from runtime.catalogue.loader import build_catalogue
from schemas.budgets import day_of
from schemas.usage import USAGE, Origin, TokenCounts, UsageRecord
from tests.billing_consumer.samples import START_MS, attempt_event, usage_record
from tollhouse.correction_file import CorrectionLine, InvalidCorrections, read_corrections
from tollhouse.correction_plan import Correction, account, plan_corrections, standing_record

DAY_MS = 86_400_000
PRICES = [
    {"start": "2026-01-01", "input": "2", "cached_input": "0.5", "output": "10", "source": "a list"},
    {"start": "2026-06-01", "input": "99", "output": "99", "source": "a later list"},
]


def catalogue_of(prices: list[dict[str, str]]) -> dict[str, object]:
    route = {"vendor": "vendor-1", "vendor_model": "vendor-model-1", "context_tokens": 9, "max_output_tokens": 9}
    return {"models": {"model-1": {"name": "M", "provider": "maker", "routes": [{**route, "prices": prices}]}}}


CATALOGUE = build_catalogue([("mine.toml", catalogue_of(PRICES))], [])


def row_of(record: UsageRecord, offset: int = 7) -> Row:
    (report,) = read_record(USAGE.encode(record), 3, offset).attempts
    return report.row


def told(
    name: str = "req_a", origin: Origin = "worker", *, cost_pico_usd: int = 5, estimated: bool = False
) -> UsageRecord:
    event = msgspec.structs.replace(
        attempt_event(name, cost_pico_usd=cost_pico_usd), estimated=estimated, vendor_request_id="v-1", failure="late"
    )
    return usage_record(
        name,
        attempts=(event,),
        origin=origin,
        customer_id="c",
        accepted_at_ms=START_MS - 3 * DAY_MS,
        leases=("1|bud@2026-09-01|l",),
    )


def read(text: str) -> tuple[list[CorrectionLine], list[str]]:
    problems: list[str] = []
    return read_corrections(text.splitlines(keepends=True), problems), problems


def planned(text: str, *records: UsageRecord) -> list[Correction]:
    lines, problems = read(text)
    assert not problems
    return plan_corrections(lines, {record.attempts[0].attempt_id: row_of(record) for record in records}, CATALOGUE)


def refused(text: str, *records: UsageRecord) -> list[str]:
    with pytest.raises(InvalidCorrections) as caught:
        planned(text, *records)
    return caught.value.problems


def test_a_file_is_read() -> None:
    lines, problems = read(
        "Attempt_id , input_tokens,reasoning_tokens,cost_usd\r\n"
        "req_a.0.1,12,,0.000000000001\r\n,,,\r\nreq_b.0.1,,0,\r\n"
    )
    assert problems == []
    assert lines == [
        CorrectionLine(2, "req_a.0.1", {"input": 12}, 1),
        CorrectionLine(4, "req_b.0.1", {"reasoning": 0}, None),
    ]


def test_all_that_is_wrong_is_told_at_once_with_its_line() -> None:
    _, problems = read(
        "attempt_id,input_tokens,cost_usd\na,-1,\nb,1.5,1\nc,,0.0000000000001\nd,,1e-3\n,1,\ne,,\nf,1\ng,1,\ng,2,\n"
        f"h,{MAX_COUNT + 1},\ni,,-2\nj,,nan\nk,,9999999999999\nl,٣,\n"
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        *(f"line {n}" for n in (2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15)),
        "line 10",
    ]
    assert "at most 12 decimals" in problems[2]
    assert problems[5] == "line 7: neither tokens nor cost_usd are given"
    assert problems[-1] == "line 10: g is in line 9 already"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: there is no column 'attempt_id'"),
        ("attempt_id,cost", "line 1: unknown column 'cost'"),
        ("attempt_id,cost_usd,cost_usd", "line 1: the column 'cost_usd' is there twice"),
        ("attempt_id,cost_usd\n", "line 2: there are no corrections"),
        ('attempt_id,cost_usd\n"a,1', "line 2: unexpected end"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, said: str) -> None:
    assert any(problem.startswith(said) for problem in read(text)[1]), read(text)[1]


def test_tokens_are_rated_at_the_price_that_the_attempt_was_rated_at() -> None:
    (one,) = planned("attempt_id,output_tokens,reasoning_tokens\nreq_a.0.1,30,30\n", told())
    (event,) = one.record.attempts
    assert event.tokens == TokenCounts(
        input=100, cached_input=40, cache_write=3, cache_write_1h=2, output=30, reasoning=30
    )
    assert event.cost_pico_usd == 60 * 2_000_000 + 40 * 500_000 + 30 * 10_000_000
    assert (event.price_id, event.estimated) == ("vendor-1/vendor-model-1@2026-01-01", False)
    assert (one.number, one.partition, one.offset, one.old_cost_pico_usd, one.changes) == (2, 3, 7, 5, True)


def test_what_the_vendor_charged_is_taken_as_it_is_and_names_no_price() -> None:
    (one,) = planned("attempt_id,cost_usd\nreq_a.0.1,0.5\n", told(estimated=True))
    (event,) = one.record.attempts
    assert (event.cost_pico_usd, event.price_id, event.estimated) == (5 * 10**11, "", False)
    assert event.tokens == told().attempts[0].tokens


def test_a_correction_says_all_else_that_its_row_says() -> None:
    old, (one,) = told(origin="ingress"), planned("attempt_id,cost_usd\nreq_a.0.1,2\n", told(origin="ingress"))
    assert one.record.origin == "correction"
    new = msgspec.structs.replace(
        one.record,
        origin="ingress",
        attempts=(msgspec.structs.replace(one.record.attempts[0], cost_pico_usd=5, price_id=old.attempts[0].price_id),),
    )
    assert new == old


def test_a_row_without_what_may_be_absent_comes_back_too() -> None:
    event = msgspec.structs.replace(attempt_event("req_x"), first_byte_ms=None, status=None)
    record = usage_record("req_x", attempts=(event,), accepted_at_ms=1, tags={})
    row = dict(zip(ATTEMPTS.column_names, row_of(record), strict=True))
    assert msgspec.structs.replace(standing_record(row), origin="worker") == record


def test_every_line_that_cannot_be_sent_is_told() -> None:
    moved = told("req_d")
    moved = msgspec.structs.replace(
        moved, attempts=(msgspec.structs.replace(moved.attempts[0], price_id="vendor-1/vendor-model-1@2025-01-01"),)
    )
    problems = refused(
        "attempt_id,input_tokens,output_tokens,cost_usd\nreq_z.0.1,1,,\nreq_a.0.1,,,9\nreq_b.0.1,41,,\n"
        "req_c.0.1,200,,\nreq_d.0.1,200,,\nreq_e.0.1,200,1,\n",
        told("req_a", "correction"),
        told("req_b"),
        told("req_c", estimated=True),
        moved,
        told("req_e"),
    )
    assert [problem.split(": ", 1) for problem in problems] == [
        ["line 2", "req_z.0.1: there is no such attempt in ClickHouse"],
        ["line 3", "req_a.0.1: was corrected already, and can be only once"],
        [
            "line 4",
            "req_b.0.1: the tokens contradict each other: a part (cached, written, reasoning) is more than its whole",
        ],
        ["line 5", "req_c.0.1: was estimated: give input_tokens and output_tokens, or cost_usd"],
        [
            "line 6",
            "req_d.0.1: the price 'vendor-1/vendor-model-1@2025-01-01' is not in the catalogue: give cost_usd",
        ],
        [
            "line 7",
            "req_e.0.1: the tokens contradict each other: a part (cached, written, reasoning) is more than its whole",
        ],
    ]


def test_what_stands_already_is_left_out_so_a_file_may_be_given_again() -> None:
    file = "attempt_id,input_tokens,cost_usd\nreq_a.0.1,120,0.000000000009\nreq_b.0.1,,0.000000000007\n"
    first = planned(file, told("req_a"), told("req_b", cost_pico_usd=7))
    assert [one.changes for one in first] == [True, False]
    assert account(first) == (
        "line 2: req_a.0.1: 0.000000000005 → 0.000000000009 USD (+0.000000000004)\n"
        "line 3: req_b.0.1: as it stands, left out\n"
        "1 correction: 0.000000000012 → 0.000000000016 USD (+0.000000000004)\n"
    )
    again = planned(file, first[0].record, told("req_b", cost_pico_usd=7))
    assert [one.changes for one in again] == [False, False]
    assert account(again).endswith("0 corrections: 0.000000000016 → 0.000000000016 USD (0)\n")


ORIGINS: tuple[Origin, ...] = ("worker", "ingress", "audit")


@given(
    origins=st.lists(st.sampled_from(ORIGINS), min_size=1, max_size=4),
    at=st.integers(0, 4),
    after=st.integers(0, 5),
    in_batches_of=st.integers(1, 3),
)
def test_a_correction_stands_whatever_is_reported_before_and_after_it(
    origins: list[Origin], at: int, after: int, in_batches_of: int
) -> None:
    """And moves cost in the scopes and the period of the original, while the lease stays as it was settled."""
    records = [told(origin=origin, cost_pico_usd=100 + n) for n, origin in enumerate(origins)]
    (one,) = planned("attempt_id,cost_usd\nreq_a.0.1,0.000000001\n", told(cost_pico_usd=100))
    records.insert(min(max(at, 1), len(records)), one.record)
    records.insert(min(after, len(records)), one.record)
    standing: dict[str, Standing] = {}
    rows: list[Row] = []
    scopes: dict[tuple[str, str], int] = {}
    lease = 0
    for first in range(0, len(records), in_batches_of):
        batch = records[first : first + in_batches_of]
        reports = [r for n, rec in enumerate(batch) for r in read_record(USAGE.encode(rec), 3, first + n).attempts]
        written = resolve(reports, standing)
        rows += written
        for report in reports:
            if report.row in written:
                standing[report.id] = Standing(report.rank, report.row)
        for settlements in settlements_of(Bounds("u", 3, first, first + len(batch), START_MS), written).values():
            for settlement in settlements:
                for change in settlement.scopes:
                    key = (change.scope, change.day)
                    scopes[key] = scopes.get(key, 0) + change.delta_pico_usd
                lease += sum(delta.delta_pico_usd for delta in settlement.leases)
    assert standing["req_a.0.1"].row[ATTEMPTS.index("origin")] == "correction"
    assert sum(row[ATTEMPTS.index("sign")] for row in rows) == 1
    day = day_of(START_MS - 3 * DAY_MS).isoformat()
    assert scopes["customer:org_1/c", day] == 1000
    assert {key[1] for key in scopes} == {day}
    before = [row for row in rows if row[-3] == 1 and row[ATTEMPTS.index("origin")] != "correction"]
    cost_at = ATTEMPTS.index("cost_usd")
    assert lease == (round(before[-1][cost_at].scaleb(12)) if before else 1000)
