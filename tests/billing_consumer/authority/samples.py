"""Budgets, webhooks, ledgers and commands to test with."""

import msgspec

from schemas.budgets import Budget, ScopeKind, day_of, ledger_id, period_at
from schemas.config_record import Action, Change, ConfigRecord, Entity, EntityKind, entity_id_of
from schemas.spend import AlertDue, LeaseReport, LeaseReports, LedgerState
from schemas.tenancy import Webhook

NOW_MS = 1_795_392_000_000  # 2026-11-23
USD = 10**12
_TODAY = day_of(NOW_MS)


def a_budget(
    budget_id: str = "bud_1",
    *,
    limit_usd: int = 100,
    scope_kind: ScopeKind = "project",
    scope_id: str = "prj_1",
    alerts_percent: tuple[int, ...] = (50, 80, 90),
) -> Budget:
    return Budget(
        budget_id=budget_id,
        organization_id="org_1",
        scope_kind=scope_kind,
        scope_id=scope_id,
        limit_pico_usd=limit_usd * USD,
        period="total",
        alerts_percent=alerts_percent,
    )


def a_webhook(webhook_id: str, url: str, secret_name: str = "HOOK_SECRET") -> Webhook:
    return Webhook(webhook_id=webhook_id, organization_id="org_1", url=url, secret_name=secret_name)


def a_change(
    kind: EntityKind, entity: Entity | None, *, entity_id: str = "", version: int = 1, action: Action = "created"
) -> ConfigRecord:
    """`entity_id`: of one that is deleted."""
    return ConfigRecord(
        kind=kind,
        entity_id=entity_id if entity is None else entity_id_of(entity),
        version=version,
        organization_id="org_1",
        entity=msgspec.Raw(msgspec.json.encode(entity)),
        change=Change(change_id=f"chg_{version}", at_ms=NOW_MS, actor="mk_1", action=action),
    )


def ledger_of(budget: Budget) -> str:
    return ledger_id(budget.budget_id, period_at(budget.period, _TODAY))


def a_state(budget: Budget, *, spent_usd: int = 0, alerts_due: tuple[AlertDue, ...] = ()) -> LedgerState:
    period = period_at(budget.period, _TODAY)
    return LedgerState(
        ledger_id=ledger_of(budget),
        budget_id=budget.budget_id,
        scope=budget.scope,
        enforcement=budget.enforcement,
        period_start=period.start.isoformat(),
        period_end=period.end.isoformat(),
        limit_pico_usd=budget.limit_pico_usd,
        spent_pico_usd=spent_usd * USD,
        through={0: 10},
        alerts_due=alerts_due,
    )


def an_alert(budget: Budget, *, percent: int = 50, crossed_at_ms: int = NOW_MS) -> AlertDue:
    return AlertDue(
        alert_id=f"{ledger_of(budget)}:{percent}",
        percent=percent,
        spent_pico_usd=50 * USD + 1,
        limit_pico_usd=budget.limit_pico_usd,
        crossed_at_ms=crossed_at_ms,
    )


def reports(
    budget: Budget, *, seq: int, need_usd: int, used_usd: int = 0, lease_id: str = "lease_1", ttl_ms: int = 60_000
) -> LeaseReports:
    """What an ingress says that needs this much, and wants no more."""
    return LeaseReports(
        holder="ing_1",
        ttl_ms=ttl_ms,
        longest_request_ms=60_000,
        reports=(
            LeaseReport(
                ledger_id=ledger_of(budget),
                lease_id=lease_id,
                seq=seq,
                used_pico_usd=used_usd * USD,
                need_pico_usd=need_usd * USD,
                want_pico_usd=need_usd * USD,
            ),
        ),
    )
