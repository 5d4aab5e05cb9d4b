"""An account that adds up, to break on purpose: attempts, requests, ledgers, and who reads them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient

from reconciliation.clickhouse import Tables
from reconciliation.compare import Checked, Difference
from reconciliation.reconcile import Range, Reconciliation, VendorStatement
from schemas.budgets import BudgetPeriod, ledger_id, period_at, scope_key
from schemas.spend import LeaseState, LedgerState
from tests.fakes.clock import HandClock
from tests.reconciliation.tables import Row, at, attempt_row, insert, request_row, taken_back

NOW = at("2026-11-12T09:00:00")
NOW_MS = round(NOW.timestamp() * 1000)
RANGE = Range(date(2026, 11, 9), date(2026, 11, 13), settle_s=600)

_BEFORE = attempt_row("late", origin="ingress", estimated=True, cost_usd=Decimal("0.9"), unusual=True, kafka_offset=3)

ATTEMPTS: tuple[Row, ...] = (
    attempt_row("plain", customer_id="c/1", tags={"team": "a=b", "env": "x y"}, kafka_offset=1),
    # Fallback: two attempts in a delivery.
    attempt_row("fell", outcome="failed", cost_usd=Decimal(0), kafka_offset=2),
    attempt_row("fell", attempt_no=2, vendor="v2", cost_usd=Decimal("0.000000000001"), kafka_offset=2),
    # The ingress's word, superseded by the worker's, which came to another partition's batch.
    _BEFORE,
    taken_back(_BEFORE, kafka_offset=4),
    attempt_row("late", cost_usd=Decimal("0.5"), unusual=True, kafka_offset=4),
    # Put back after its worker was lost: the request's row speaks of its last delivery only.
    attempt_row("again", origin="ingress", outcome="worker_lost", estimated=True, kafka_partition=1, kafka_offset=1),
    attempt_row("again", delivery=1, kafka_partition=1, kafka_offset=2),
    # Nobody is left to tell its end.
    attempt_row("orphan", origin="audit", outcome="worker_lost", estimated=True, kafka_partition=1, kafka_offset=3),
    # Of another organization and period; accepted on one day and started on the next, as a row from before 0007 is not.
    attempt_row(
        "other",
        organization_id="o2",
        project_id="p2",
        api_key_id="k2",
        accepted_at=at("2026-11-09T23:59:59"),
        started_at=at("2026-11-10T00:00:01"),
        kafka_partition=2,
        kafka_offset=5,
    ),
)

REQUESTS: tuple[Row, ...] = (
    request_row("plain", customer_id="c/1", tags={"team": "a=b", "env": "x y"}),
    request_row("fell", attempts=2),
    request_row("late"),
    request_row("again", delivery=1),
    request_row("other", organization_id="o2", project_id="p2", api_key_id="k2", accepted_at=at("2026-11-09T23:59:59")),
    # Refused: it has cost nothing and was tried nowhere.
    request_row("refused", attempts=0, status=402, origin="ingress"),
)


def in_flight() -> tuple[Row, Row]:
    """Just accepted; its end is not known yet, and its intent is due in the future."""
    accepted_at = at("2026-11-12T08:59:00")
    return attempt_row("now", accepted_at=accepted_at, kafka_offset=9), intent_row(
        "later", due_at=at("2026-11-12T09:10:00")
    )


def intent_row(request_id: str, **given: Any) -> Row:
    row: Row = {
        "kafka_partition": 0,
        "request_id": request_id,
        "attempt_id": f"{request_id}.0.1",
        "project_id": "p1",
        "due_at": at("2026-11-10T12:10:00"),
        "record": "{}",
        "kafka_offset": 1,
    }
    return row | given


def ledger(
    budget_id: str, scope: str, spent_pico_usd: int, period: BudgetPeriod = "monthly", **given: Any
) -> LedgerState:
    days = period_at(period, date(2026, 11, 10))
    state = LedgerState(
        ledger_id=ledger_id(budget_id, days),
        budget_id=budget_id,
        scope=scope,
        enforcement="hard",
        period_start=days.start.isoformat(),
        period_end=days.end.isoformat(),
        limit_pico_usd=10**13,
        spent_pico_usd=spent_pico_usd,
        through={0: 100, 1: 100, 2: 100},
        as_of_ms=NOW_MS,
    )
    return msgspec.structs.replace(state, **given)


def lease(lease_id: str, **given: Any) -> LeaseState:
    state = LeaseState(
        lease_id=lease_id,
        holder="ingress-1",
        seq=3,
        granted_pico_usd=1000,
        used_pico_usd=500,
        settled_pico_usd=200,
        ttl_ms=15_000,
        longest_request_ms=600_000,
    )
    return msgspec.structs.replace(state, **given)


# plain 0.001, fell 10^-12, late 0.5, again 2 × 0.001, orphan 0.001, and 0.001 in flight.
O1_PICO_USD = 505_000_000_001

LEDGERS: tuple[LedgerState, ...] = (
    ledger("b-org", scope_key("o1", "organization", "o1"), O1_PICO_USD),
    ledger("b-key", scope_key("o1", "api_key", "k1"), O1_PICO_USD, "total"),
    ledger("b-customer", scope_key("o1", "customer", "c/1"), 10**9, "weekly"),
    ledger("b-tag", scope_key("o1", "tag", "team=a=b"), 10**9, "daily"),
    # Counted before what lies beyond: partition 2 not at all, partition 1 up to its first record.
    ledger("b-behind", scope_key("o1", "project", "p1"), O1_PICO_USD - 2 * 10**9, "yearly", through={0: 100, 1: 2}),
    # A new budget on the same scope, beside the old one that is being retired.
    ledger("b-org2", scope_key("o1", "organization", "o1"), O1_PICO_USD),
    # The attempt was accepted on the day before.
    ledger("b-two", scope_key("o2", "project", "p2"), 0, "daily"),
    # Out of the range: not looked at, whatever it says.
    ledger("b-old", scope_key("o1", "project", "p1"), 77, period_start="2026-10-01", period_end="2026-11-01"),
)

LEASES = (
    lease("at-work"),
    lease("draining", phase="closing", ended_at_ms=NOW_MS - 60_000),
    lease("dead", phase="dead", ended_at_ms=NOW_MS - 600_000),
    lease("done", phase="closing", ended_at_ms=NOW_MS - 10**8, settled_pico_usd=500),
)


async def write_account(client: AsyncClient) -> None:
    attempt, intent = in_flight()
    await insert(client, "attempts", [*ATTEMPTS, attempt])
    await insert(client, "requests", REQUESTS)
    await insert(client, "intents", [intent_row("plain"), intent_row("orphan"), intent])


def clean_ledgers() -> list[LedgerState]:
    first, *others = LEDGERS
    return [msgspec.structs.replace(first, leases=LEASES), *others]


async def reconcile(
    client: AsyncClient,
    ledgers: Sequence[LedgerState] | None = None,
    statement: VendorStatement | None = None,
    asked: Range = RANGE,
    between: Any = None,
) -> list[Checked]:
    """`between`: what happens between two looks."""
    looked_at = clean_ledgers() if ledgers is None else list(ledgers)

    async def read() -> Sequence[LedgerState]:
        return looked_at

    async def pause() -> None:
        if between is not None:
            await between()

    return await Reconciliation(Tables(client), read, HandClock(NOW_MS), pause, asked, statement).run()


def differences(checks: Sequence[Checked]) -> list[Difference]:
    return [difference for checked in checks for difference in checked.differences]
