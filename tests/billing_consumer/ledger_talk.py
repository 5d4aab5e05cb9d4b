"""What is said to a LedgerBook in its tests, and what it has to say."""

from typing import Any

from billing_consumer.authority.ledger_book import LedgerBook
from schemas.budgets import Budget
from schemas.spend import (
    LeaseDelta,
    LeaseReport,
    LeaseReports,
    LedgerState,
    ScopeDelta,
    Settlement,
    Settlements,
    UsageClock,
)
from tests.billing_consumer.ledger_world import PARTITION, SCOPE, Config, budget

DAY_MS = 86_400_000
MIDNIGHT_MS = 1_790_035_200_000
"""2026-09-22 00:00 UTC."""
NOON_MS = MIDNIGHT_MS + DAY_MS // 2
TODAY, TOMORROW, YESTERDAY = "2026-09-22", "2026-09-23", "2026-09-21"


def begin(*budgets: Budget, now_ms: int = NOON_MS, clocks: bool = True) -> tuple[LedgerBook, Config]:
    config = Config(*(budgets or (budget("b"),)))
    book = LedgerBook(PARTITION, config, 0.0, now_ms)
    if clocks:
        hear(book, 0, 100)
        hear(book, 1, 200)
    return book, config


def hear(book: LedgerBook, partition: int, end: int, settled_ms: int = 1, offset: int = 0) -> None:
    book.apply(
        UsageClock(
            usage_partition=partition, partitions=2, end=end, settled_through_ms=settled_ms, swept_through_ms=settled_ms
        ),
        0.0,
        NOON_MS,
        offset,
    )


def tell(
    book: LedgerBook, name: str, need: int, seq: int = 1, *, now_ms: int = NOON_MS, lease: str = "a.1", **more: Any
) -> None:
    report = LeaseReport(
        ledger_id=name, lease_id=lease, seq=seq, used_pico_usd=0, need_pico_usd=need, want_pico_usd=need, **more
    )
    book.apply(LeaseReports(holder="a", ttl_ms=15_000, longest_request_ms=1000, reports=(report,)), 0.0, now_ms)


def batch(first: int, end: int, *deltas: tuple[str, int], partition: int = 0, paid: int = 0, scope: str = SCOPE) -> Any:
    return Settlements(
        batches=(
            Settlement(
                usage_partition=partition,
                first=first,
                end=end,
                scopes=tuple(ScopeDelta(scope=scope, day=day, delta_pico_usd=delta) for day, delta in deltas),
                leases=(LeaseDelta(ledger_id=f"b@{TODAY}", lease_id="a.1", delta_pico_usd=paid),) if paid else (),
            ),
        )
    )


def written(book: LedgerBook) -> dict[str, LedgerState | None]:
    return dict(book.dirty())


def open_all(book: LedgerBook, spent: int = 0, now_ms: int = NOON_MS) -> list[str]:
    asked = [opening.ledger_id for opening in book.openings()]
    for name in asked:
        book.opened(name, spent, 0.0, now_ms)
    return asked


def spent(book: LedgerBook, name: str) -> int:
    ledger = book.ledger(name)
    assert ledger is not None
    return ledger.spent_pico_usd
