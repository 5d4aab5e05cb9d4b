import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_consumer.intents import SWEEP_GRACE_S, audit_record
from billing_consumer.rows import MAX_COST_PICO_USD, read_record
from billing_consumer.tables import ATTEMPTS, INTENTS, REQUESTS, Row, Table
from schemas.codec import UndecodableRecord
from schemas.money import usd_to_pico
from schemas.usage import USAGE, AttemptEvent, RequestEvent, TokenCounts, UsageRecord
from tests.billing_consumer.samples import START_MS, attempt_event, request_event, usage_record

ATTEMPT = attempt_event("req_1")
REQUEST = request_event()


def named(table: Table, row: Row) -> dict[str, object]:
    assert len(row) == len(table.columns)
    return dict(zip(table.column_names, row, strict=True))


def one_attempt(event: AttemptEvent) -> dict[str, object]:
    said = read_record(USAGE.encode(usage_record("req_1", attempts=(event,))), 3, 99)
    return named(ATTEMPTS, said.attempts[0].row)


def one_request(event: RequestEvent) -> dict[str, object]:
    said = read_record(USAGE.encode(usage_record("req_1", request=event)), 3, 99)
    assert said.request is not None
    return named(REQUESTS, said.request.row)


def test_every_fact_of_an_attempt_is_in_its_row() -> None:
    row = one_attempt(
        msgspec.structs.replace(
            ATTEMPT, failure="vendor_error", vendor_request_id="v-9", cost_pico_usd=1_234_567_890_123, estimated=True
        )
    )
    for name in (
        "attempt_id", "attempt_no", "delivery", "worker_id", "provider", "model", "vendor", "vendor_model", "outcome",
        "price_id", "first_byte_ms", "status",
    ):  # fmt: skip
        assert row[name] == getattr(ATTEMPT, name), name
    assert (row["started_at"], row["ended_at"]) == (START_MS, START_MS + 700)
    kinds = ("input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning")
    tokens = [row[f"{kind}_tokens"] for kind in kinds]
    assert tokens == [100, 40, 3, 2, 20, 5]
    assert str(row["cost_usd"]) == "1.234567890123"
    assert (row["failure"], row["vendor_request_id"], row["estimated"]) == ("vendor_error", "v-9", True)
    assert (row["sign"], row["kafka_partition"], row["kafka_offset"], row["origin"]) == (1, 3, 99, "worker")
    assert (row["organization_id"], row["project_id"], row["api_key_id"]) == ("org_1", "prj_1", "key_1")
    assert (row["customer_id"], row["tags"], row["surface"]) == ("", {"team": "a b", "x": "'"}, "openai.chat")
    assert (row["streaming"], row["requested_model"], row["unusual"]) == (True, "maker/model-1", False)


def test_an_attempt_carries_its_acceptance_and_its_leases() -> None:
    record = usage_record("req_1", attempts=(ATTEMPT,), accepted_at_ms=START_MS - 9, leases=("0|b@d|l", "1|c@d|m"))
    row = named(ATTEMPTS, read_record(USAGE.encode(record), 3, 99).attempts[0].row)
    assert (row["accepted_at"], row["leases"]) == (START_MS - 9, ["0|b@d|l", "1|c@d|m"])


def test_a_record_from_before_budgets_had_periods_counts_from_its_start() -> None:
    row = one_attempt(ATTEMPT)
    assert (row["accepted_at"], row["leases"]) == (START_MS, [])


def test_an_intent_is_kept_and_reports_nothing() -> None:
    record = usage_record(
        "req_1", attempts=(ATTEMPT,), origin="intent", deadline_ms=START_MS + 60_000, leases=("0|b@d|l",)
    )
    said = read_record(USAGE.encode(record), 3, 99)
    assert (said.attempts, said.request) == ([], None)
    (row,) = said.intents
    assert len(row) == len(INTENTS.columns)
    intent = dict(zip(INTENTS.column_names, row, strict=True))
    assert intent["due_at"] == START_MS + 60_000 + SWEEP_GRACE_S * 1000
    assert (intent["attempt_id"], intent["project_id"], intent["request_id"]) == (ATTEMPT.attempt_id, "prj_1", "req_1")
    assert (intent["kafka_partition"], intent["kafka_offset"]) == (3, 99)
    audit = audit_record(str(intent["record"]))
    assert audit is not None
    assert (audit.origin, audit.leases, audit.attribution) == ("audit", record.leases, record.attribution)
    (attempt,) = audit.attempts
    assert (attempt.outcome, attempt.estimated, attempt.cost_pico_usd) == ("worker_lost", True, ATTEMPT.cost_pico_usd)
    assert attempt.attempt_id == ATTEMPT.attempt_id


def test_an_intent_without_a_deadline_is_due_at_once() -> None:
    record = usage_record("req_1", attempts=(ATTEMPT,), origin="intent")
    (row,) = read_record(USAGE.encode(record), 3, 99).intents
    assert row[INTENTS.index("due_at")] == START_MS + SWEEP_GRACE_S * 1000


@pytest.mark.parametrize("change", [{"deadline_ms": -1}, {"deadline_ms": 10**15}, {"accepted_at_ms": 10**15}])
def test_an_intent_that_clickhouse_could_not_take_is_refused(change: dict[str, int]) -> None:
    record = msgspec.structs.replace(usage_record("req_1", attempts=(ATTEMPT,), origin="intent"), **change)
    with pytest.raises(UndecodableRecord, match="range"):
        read_record(USAGE.encode(record), 3, 99)


def test_what_is_no_intent_is_not_reported_on() -> None:
    assert audit_record("{") is None


def test_every_fact_of_a_request_is_in_its_row() -> None:
    row = one_request(REQUEST)
    for name in ("delivery", "status", "attempts", "queue_ms", "total_ms", "first_byte_ms", "model", "vendor"):
        assert row[name] == getattr(REQUEST, name), name
    assert (row["accepted_at"], row["finished_at"], row["failure"]) == (START_MS, START_MS + 900, "")


@given(st.integers(0, MAX_COST_PICO_USD))
def test_money_is_exact(cost_pico_usd: int) -> None:
    cost = one_attempt(msgspec.structs.replace(ATTEMPT, cost_pico_usd=cost_pico_usd))["cost_usd"]
    assert usd_to_pico(str(cost)) == cost_pico_usd


def test_a_skewed_clock_costs_no_bill() -> None:
    row = one_request(msgspec.structs.replace(REQUEST, queue_ms=-3, first_byte_ms=-1))
    assert (row["queue_ms"], row["first_byte_ms"]) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"cost_pico_usd": -1},
        {"cost_pico_usd": MAX_COST_PICO_USD + 1},
        {"attempt_no": -1},
        {"delivery": 2**32},
        {"status": 70_000},
        {"started_at_ms": -1},
        {"ended_at_ms": 10**15},
        {"tokens": TokenCounts(output=-1)},
        {"tokens": TokenCounts(input=2**60)},
    ],
)
def test_what_clickhouse_could_not_take_is_refused_by_itself(change: dict[str, object]) -> None:
    record = usage_record("req_1", attempts=(msgspec.structs.replace(ATTEMPT, **change),))
    with pytest.raises(UndecodableRecord, match="range"):
        read_record(USAGE.encode(record), 3, 99)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_way(value: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        read_record(value, 3, 99)


@given(st.data())
def test_a_damaged_record_is_read_or_refused(data: st.DataObject) -> None:
    value = bytearray(USAGE.encode(usage_record("req_1", attempts=(ATTEMPT,), request=REQUEST)))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] = data.draw(st.integers(0, 255))
    try:
        attempts, request, _ = read_record(bytes(value), 3, 99)
    except UndecodableRecord:
        return
    assert all(len(report.row) == len(ATTEMPTS.columns) for report in attempts)
    assert request is None or len(request.row) == len(REQUESTS.columns)


def test_the_same_record_gives_the_same_rows() -> None:
    record: UsageRecord = usage_record("req_1", attempts=(ATTEMPT,), request=REQUEST)
    assert read_record(USAGE.encode(record), 3, 99) == read_record(USAGE.encode(record), 3, 99)
