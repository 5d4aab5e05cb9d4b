"""A settlement says what a batch's rows say, to the pico-dollar, and says it again when the batch is written again."""

import asyncio
from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from billing_consumer.batch_bounds import Bounds
from billing_consumer.resolve import cancellation
from billing_consumer.rows import read_record
from billing_consumer.settlement import MAX_PIECE_BYTES, MAX_RECORD_BYTES, command_records, settlements_of
from billing_consumer.tables import ATTEMPTS, Row
from runtime.metrics import Metrics
from schemas.budgets import day_of
from schemas.money import usd_to_pico
from schemas.spend import SPEND_COMMAND, Settlement, Settlements, spend_partition
from schemas.usage import USAGE
from tests.billing_consumer.histories import History, histories, write_history
from tests.billing_consumer.samples import START_MS, attempt_event, usage_record
from tests.billing_consumer.settled import SettledSums
from tests.billing_consumer.test_resolve import MemoryStore

DAY_MS = 86_400_000
BOUNDS = Bounds("usage", 3, 10, 2000, START_MS)


def rows_of(offset: int, cost_pico_usd: int, **facts: object) -> list[Row]:
    record = usage_record(
        f"req_{offset}",
        attempts=(attempt_event(f"req_{offset}", cost_pico_usd=cost_pico_usd),),
        **facts,  # type: ignore[arg-type]
    )
    return [report.row for report in read_record(USAGE.encode(record), 3, offset).attempts]


def flat(found: dict[int, list[Settlement]]) -> tuple[dict[tuple[str, str], int], dict[tuple[int, str, str], int]]:
    scopes: dict[tuple[str, str], int] = defaultdict(int)
    leases: dict[tuple[int, str, str], int] = defaultdict(int)
    for partition, settlements in found.items():
        for settlement in settlements:
            for change in settlement.scopes:
                assert spend_partition(change.scope) == partition
                scopes[change.scope, change.day] += change.delta_pico_usd
            for lease in settlement.leases:
                leases[partition, lease.ledger_id, lease.lease_id] += lease.delta_pico_usd
    return dict(scopes), dict(leases)


def test_every_scope_and_lease_of_an_attempt_is_told_its_cost() -> None:
    rows = rows_of(
        10, 7, customer_id="c/1", tags={"a": "b"}, accepted_at_ms=START_MS - 5 * DAY_MS, leases=("2|bud@d|l", "1|x@d|m")
    ) + rows_of(11, 5, tags={}, accepted_at_ms=START_MS - 5 * DAY_MS, leases=("2|bud@d|l",))
    day = day_of(START_MS - 5 * DAY_MS).isoformat()
    scopes, leases = flat(settlements_of(BOUNDS, rows))
    assert scopes == {
        ("api_key:key_1", day): 12,
        ("customer:org_1/c/1", day): 7,
        ("tag:org_1/a=b", day): 7,
        ("project:prj_1", day): 12,
        ("organization:org_1", day): 12,
    }
    assert leases == {(2, "bud@d", "l"): 12, (1, "x@d", "m"): 7}


def test_what_is_no_lease_is_passed_over_and_its_cost_still_counts() -> None:
    rows = rows_of(10, 7, leases=("", "a|b|c", "1|b", "1|b|c|d", "99|b|c", "-1|b|c", "3|b|c", "3|b|c"))
    scopes, leases = flat(settlements_of(BOUNDS, rows))
    assert leases == {(3, "b", "c"): 7}
    assert scopes["organization:org_1", day_of(START_MS).isoformat()] == 7


def test_days_are_those_of_acceptance() -> None:
    midnight_ms = START_MS - START_MS % DAY_MS
    rows = rows_of(10, 7, accepted_at_ms=midnight_ms - 1) + rows_of(11, 5, accepted_at_ms=midnight_ms)
    scopes, _ = flat(settlements_of(BOUNDS, rows))
    of_project = {day: delta for (scope, day), delta in scopes.items() if scope == "project:prj_1"}
    assert of_project == {day_of(midnight_ms - 1).isoformat(): 7, day_of(midnight_ms).isoformat(): 5}


def test_two_tags_that_spell_one_scope_count_once() -> None:
    scopes, _ = flat(settlements_of(BOUNDS, rows_of(10, 7, tags={"a": "b=c", "a=b": "c"})))
    assert scopes["tag:org_1/a=b=c", day_of(START_MS).isoformat()] == 7


def test_a_batch_without_attempts_settles_nothing() -> None:
    assert settlements_of(BOUNDS, []) == {}
    assert command_records([{}]) == {}


def test_a_correction_moves_what_is_spent_and_leaves_its_lease_as_it_was_settled() -> None:
    facts = {"accepted_at_ms": START_MS - 40 * DAY_MS, "leases": ("2|bud@d|l",)}
    (standing,), (correction,) = rows_of(10, 7, **facts), rows_of(10, 19, origin="correction", **facts)
    (other,) = rows_of(11, 5, **facts)
    scopes, leases = flat(settlements_of(BOUNDS, [cancellation(standing, correction), correction, other]))
    assert scopes["project:prj_1", day_of(START_MS - 40 * DAY_MS).isoformat()] == 19 - 7 + 5
    assert leases == {(2, "bud@d", "l"): 5}
    # Of an attempt that nobody else has reported on, it is the first that the lease hears.
    assert flat(settlements_of(BOUNDS, [correction]))[1] == {(2, "bud@d", "l"): 19}


def test_what_is_too_much_for_a_record_goes_in_pieces_that_follow_one_another() -> None:
    rows = [row for n in range(10, 1800) for row in rows_of(n, n, customer_id=f"{n:0250}", tags={"t": f"{n:0200}"})]
    found = settlements_of(BOUNDS, rows)
    for settlements in found.values():
        assert len(settlements) > 1
        assert settlements[0].first == BOUNDS.first
        assert settlements[-1].end == BOUNDS.end
        assert all(one.end == other.first for one, other in pairwise(settlements))
    records = command_records([found, found])
    decoded: dict[int, list[Settlement]] = {}
    for partition, values in records.items():
        assert all(len(value) <= MAX_RECORD_BYTES + MAX_PIECE_BYTES for value in values)
        for value in values:
            command = SPEND_COMMAND.decode(value).command
            assert isinstance(command, Settlements)
            decoded.setdefault(partition, []).extend(command.batches)
    assert decoded == {partition: [*settlements, *settlements] for partition, settlements in found.items()}
    scopes, _ = flat(found)
    assert scopes["organization:org_1", day_of(START_MS).isoformat()] == sum(range(10, 1800))


def test_one_record_for_each_authority_and_cycle() -> None:
    cycle = [settlements_of(Bounds("usage", p, 10, 20, START_MS), rows_of(10, 1)) for p in range(12)]
    assert all(len(values) == 1 for values in command_records(cycle).values())


@given(history=histories(), moods=st.lists(st.integers(0, 2), max_size=30))
@settings(max_examples=200, deadline=None)
def test_settlements_sum_up_to_the_table_whatever_is_replayed(history: History, moods: list[int]) -> None:
    store = MemoryStore(moods)
    written = asyncio.run(write_history(history, "w", 7, store, Metrics(CollectorRegistry())))
    sums = SettledSums()
    said: dict[Bounds, dict[int, list[Settlement]]] = {}
    for batch in written:
        found = settlements_of(batch.bounds, batch.attempts)
        assert said.setdefault(batch.bounds, found) == found, "a replay settles something else"
        for partition, settlements in found.items():
            sums.add(partition, settlements)
    table: dict[tuple[str, str], int] = {}
    for told in history.attempts().values():
        day = day_of(START_MS + 43_200_000 * told.request_no).isoformat()
        table["project:prj_w", day] = table.get(("project:prj_w", day), 0) + told.cost_pico_usd
    # What stood last before a correction is what an ingress goes on with.
    settled: dict[str, tuple[str, int]] = {}
    for row in store.rows[ATTEMPTS.name]:
        attempt, origin = row[ATTEMPTS.index("attempt_id")], row[ATTEMPTS.index("origin")]
        if row[ATTEMPTS.index("sign")] == 1 and (origin != "correction" or attempt not in settled):
            settled[attempt] = (row[ATTEMPTS.index("request_id")], usd_to_pico(row[ATTEMPTS.index("cost_usd")]))
    leases: dict[tuple[str, str], int] = {}
    for request, cost_pico_usd in settled.values():
        lease = ("bud_w@2026-09-01", f"lease_{request.removeprefix('req_w_')}")
        leases[lease] = leases.get(lease, 0) + cost_pico_usd
    of_project = {key: total for key, total in sums.by_scope.items() if key[0] == "project:prj_w" and total}
    assert of_project == table
    assert {key: total for key, total in sums.by_lease.items() if total} == leases
