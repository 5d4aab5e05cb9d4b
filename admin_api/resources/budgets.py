"""/budgets: how much a scope may spend in a period, and what it has spent."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from admin_api.checks import MAX_ALERTS, MAX_RAISES
from admin_api.config_state import Held
from admin_api.fields import Page, SignedUsd, Time, Usd, ms_of, pico_of, time_of
from admin_api.operation import invalid
from admin_api.resources.resource import Made, Making, Resource, Showing, replaced
from schemas.budgets import (
    DEFAULT_ALERTS_PERCENT,
    FOREVER,
    Budget,
    BudgetPeriod,
    Enforcement,
    Raise,
    ScopeKind,
    day_of,
    ledger_id,
    period_at,
)
from schemas.money import format_usd
from schemas.spend import LedgerState
from schemas.tenancy import EntityId, Project

Alerts = Annotated[tuple[Annotated[int, Meta(ge=1, le=1000)], ...], Meta(max_length=MAX_ALERTS)]
ScopeId = Annotated[str, Meta(min_length=1, max_length=400)]


class NewRaise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds to the limit until it expires."""

    amount_usd: Usd
    expires_at: Time


class NewBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scope_id`: the id of an organization, a project or an API key; of a customer what requests call it; of a tag
    "key=value". `organization_id` is needed for customers and tags only, and there not with a management key that is
    bound to one. `alerts_percent`: of the limit."""

    scope_kind: ScopeKind
    scope_id: ScopeId
    limit_usd: Usd
    budget_id: EntityId | None = None
    organization_id: EntityId | None = None
    period: BudgetPeriod = "monthly"
    enforcement: Enforcement = "hard"
    alerts_percent: Alerts = DEFAULT_ALERTS_PERCENT


class BudgetPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`alerts_percent` and `raises` are replaced as a whole."""

    limit_usd: Usd | UnsetType = UNSET
    enforcement: Enforcement | UnsetType = UNSET
    alerts_percent: Alerts | UnsetType = UNSET
    raises: Annotated[tuple[NewRaise, ...], Meta(max_length=MAX_RAISES)] | UnsetType = UNSET


class RaiseView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount_usd: str
    expires_at: datetime


class SpendView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the present period: `period_end` is the first day after it, null for a budget without periods. `limit_usd` has
    the raises in force. `outstanding_usd` is lent to the ingresses: held by requests in flight, or ready for the next.
    remaining = limit - spent - outstanding."""

    period_start: date
    period_end: date | None
    limit_usd: SignedUsd
    spent_usd: SignedUsd
    outstanding_usd: SignedUsd
    remaining_usd: SignedUsd
    as_of: datetime


class BudgetView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`spend` is null until the billing consumer has opened the period's account."""

    budget_id: str
    organization_id: str
    scope_kind: ScopeKind
    scope_id: str
    limit_usd: str
    period: BudgetPeriod
    enforcement: Enforcement
    alerts_percent: tuple[int, ...]
    raises: tuple[RaiseView, ...]
    spend: SpendView | None
    version: int
    updated_at: datetime


class BudgetPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[BudgetView, ...]
    next_cursor: str | None


class BudgetFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    scope_kind: ScopeKind | None = None
    scope_id: ScopeId | None = None
    period: BudgetPeriod | None = None
    enforcement: Enforcement | None = None


def _make(making: Making, body: NewBudget) -> Made:
    return Made(
        Budget(
            budget_id=body.budget_id or making.new_id("bud"),
            organization_id=_organization_id(making, body),
            scope_kind=body.scope_kind,
            scope_id=body.scope_id,
            limit_pico_usd=pico_of(body.limit_usd),
            period=body.period,
            enforcement=body.enforcement,
            alerts_percent=tuple(sorted(body.alerts_percent)),
        )
    )


def _organization_id(making: Making, body: NewBudget) -> str:
    """The scope says whose it is, where it can. What is not there is found out, and said, by the checks."""
    if body.organization_id is not None or body.scope_kind in ("customer", "tag"):
        return making.organization_id(body.organization_id)
    found: str | None = body.scope_id
    if body.scope_kind == "project":
        project = making.state.get(Project, body.scope_id)
        found = None if project is None else project.organization_id
    elif body.scope_kind == "api_key":
        held = making.state.find("api_key", body.scope_id)
        found = None if held is None or held.entity is None else held.organization_id
    if found is None or not making.caller.sees(found):
        raise invalid("scope_id", f"There is no {body.scope_kind.replace('_', ' ')} '{body.scope_id}'.")
    return found


def _change(budget: Budget, given: Mapping[str, Any], now_ms: int) -> Budget:
    fields = dict(given)
    if "limit_usd" in fields:
        fields["limit_pico_usd"] = pico_of(fields.pop("limit_usd"))
    if "alerts_percent" in fields:
        fields["alerts_percent"] = tuple(sorted(fields["alerts_percent"]))
    if "raises" in fields:
        fields["raises"] = tuple(
            Raise(
                amount_pico_usd=pico_of(each.amount_usd),
                expires_at_ms=ms_of(each.expires_at, f"raises[{number}].expires_at", now_ms),
            )
            for number, each in enumerate(fields["raises"])
        )
    changed: Budget = replaced(budget, fields, now_ms)
    return changed


def with_raise(budget: Budget, new: NewRaise, now_ms: int) -> Budget:
    """Raises that are over are dropped on the way. Raises Refusal."""
    added = Raise(amount_pico_usd=pico_of(new.amount_usd), expires_at_ms=ms_of(new.expires_at, "expires_at", now_ms))
    in_force = tuple(each for each in budget.raises if each.expires_at_ms > now_ms)
    return msgspec.structs.replace(budget, raises=(*in_force, added))


def _show(held: Held, showing: Showing) -> BudgetView:
    budget = held.entity
    assert isinstance(budget, Budget)
    ledger = showing.ledger(ledger_id(budget.budget_id, period_at(budget.period, day_of(showing.now_ms))))
    return BudgetView(
        budget_id=budget.budget_id,
        organization_id=budget.organization_id,
        scope_kind=budget.scope_kind,
        scope_id=budget.scope_id,
        limit_usd=format_usd(budget.limit_pico_usd),
        period=budget.period,
        enforcement=budget.enforcement,
        alerts_percent=budget.alerts_percent,
        raises=tuple(
            RaiseView(amount_usd=format_usd(each.amount_pico_usd), expires_at=time_of(each.expires_at_ms))
            for each in budget.raises
        ),
        spend=None if ledger is None else _spend(budget, ledger, showing.now_ms),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


def _spend(budget: Budget, ledger: LedgerState, now_ms: int) -> SpendView:
    limit_pico_usd = budget.limit_at(now_ms)
    outstanding_pico_usd = ledger.outstanding_pico_usd
    end = date.fromisoformat(ledger.period_end)
    return SpendView(
        period_start=date.fromisoformat(ledger.period_start),
        period_end=None if end >= FOREVER.end else end,
        limit_usd=format_usd(limit_pico_usd),
        spent_usd=format_usd(ledger.spent_pico_usd),
        outstanding_usd=format_usd(outstanding_pico_usd),
        remaining_usd=format_usd(limit_pico_usd - ledger.spent_pico_usd - outstanding_pico_usd),
        as_of=time_of(ledger.as_of_ms),
    )


BUDGETS = Resource(
    kind="budget",
    path="/budgets",
    id_param="budget_id",
    new=NewBudget,
    patch=BudgetPatch,
    view=BudgetView,
    page=BudgetPage,
    filters=BudgetFilters,
    make=_make,
    change=_change,
    show=_show,
)
