"""The golden examples of budgets at work and of the configuration; see golden_values."""

from typing import Any

import msgspec

from schemas.codec import RecordCodec
from schemas.config_record import CONFIG, Change, ConfigRecord
from schemas.replicas import REPLICA, LimitUse, ReplicaRecord
from schemas.spend import (
    LEDGER,
    SPEND_COMMAND,
    AlertDue,
    LeaseDelta,
    LeaseReport,
    LeaseReports,
    LeaseState,
    LedgerState,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommandRecord,
    UsageClock,
)

CODECS: dict[str, RecordCodec[Any]] = {
    "ledger": LEDGER,
    "spend_command": SPEND_COMMAND,
    "config": CONFIG,
    "replica": REPLICA,
}

_PLAIN_LEDGER = LedgerState(
    ledger_id="b1@2026-11-01",
    budget_id="b1",
    scope="project:prj_1",
    enforcement="soft",
    period_start="2026-11-01",
    period_end="2026-12-01",
    limit_pico_usd=5,
    spent_pico_usd=0,
    through={},
)
_CLOCK = SpendCommandRecord(
    command=UsageClock(usage_partition=3, partitions=12, end=17, settled_through_ms=1763800000000, swept_through_ms=5)
)
_REPLICA = ReplicaRecord(replica_id="ingress-a", seq=1, beat=1, at_ms=1763800000000, known=())
_DELETED = ConfigRecord(
    kind="project",
    entity_id="prj_1",
    version=4,
    organization_id="org_1",
    entity=msgspec.Raw(b"null"),
    change=Change(change_id="chg_1", at_ms=1763800000000, actor="mk_1", action="deleted"),
)

RECORDS: dict[str, Any] = {
    "ledger/v1/full.json": LedgerState(
        ledger_id="b1@2026-11-01",
        budget_id="b1",
        scope="customer:org_1/kunde é",
        enforcement="hard",
        period_start="2026-11-01",
        period_end="2026-12-01",
        limit_pico_usd=98765432109876543210987,
        spent_pico_usd=9007199254740993,
        through={0: 17, 11: 9007199254740993},
        leases=(
            LeaseState(
                lease_id="h1.1",
                holder="h1",
                seq=9,
                granted_pico_usd=100,
                used_pico_usd=80,
                settled_pico_usd=60,
                phase="dead",
                ended_at_ms=1763800000000,
                longest_request_ms=600000,
                ttl_ms=15000,
            ),
        ),
        short=True,
        alerted_percent=80,
        alerts_due=(
            AlertDue(
                alert_id="b1@2026-11-01:80",
                percent=80,
                spent_pico_usd=8,
                limit_pico_usd=10,
                crossed_at_ms=1763800000000,
            ),
        ),
        as_of_ms=1763800000001,
    ),
    "ledger/v1/older.json": _PLAIN_LEDGER,
    "ledger/v1/newer_minor.json": _PLAIN_LEDGER,
    "spend_command/v1/full.json": SpendCommandRecord(
        command=LeaseReports(
            holder="h1",
            ttl_ms=15000,
            longest_request_ms=600000,
            reports=(
                LeaseReport(
                    ledger_id="b1@2026-11-01",
                    lease_id="h1.1",
                    seq=2,
                    used_pico_usd=10,
                    need_pico_usd=20,
                    want_pico_usd=98765432109876543210987,
                    closing=True,
                ),
            ),
        )
    ),
    "spend_command/v1/settlements.json": SpendCommandRecord(
        command=Settlements(
            batches=(
                Settlement(
                    usage_partition=3,
                    first=10,
                    end=17,
                    scopes=(ScopeDelta(scope="tag:org_1/team=é", day="2026-11-23", delta_pico_usd=-5),),
                    leases=(LeaseDelta(ledger_id="b1@2026-11-01", lease_id="h1.1", delta_pico_usd=7),),
                ),
            )
        )
    ),
    "spend_command/v1/older.json": _CLOCK,
    "spend_command/v1/newer_minor.json": _CLOCK,
    "config/v1/full.json": ConfigRecord(
        kind="api_key",
        entity_id="key_1",
        version=2,
        organization_id="org_1",
        entity=msgspec.Raw(b'{"api_key_id":"key_1","project_id":"prj_1"}'),
        change=Change(change_id="chg_2", at_ms=1763800000000, actor="bootstrap", action="rotated"),
    ),
    "config/v1/older.json": _DELETED,
    "config/v1/newer_minor.json": _DELETED,
    "replica/v1/full.json": ReplicaRecord(
        replica_id="ingress-a",
        seq=7,
        beat=6,
        at_ms=1763800000000,
        known=("ingress-b",),
        limits=(LimitUse(name="key_1:requests", limit=60, ask=30, demand=41),),
        urgent=True,
        leaving=True,
    ),
    "replica/v1/older.json": _REPLICA,
    "replica/v1/newer_minor.json": _REPLICA,
}
