"""Budgets: how much a scope may spend in a period of the UTC calendar. Pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from schemas.tenancy import EntityId

ScopeKind = Literal["organization", "project", "api_key", "customer", "tag"]
BudgetPeriod = Literal["daily", "weekly", "monthly", "quarterly", "yearly", "total"]
Enforcement = Literal["hard", "soft"]

MAX_LIMIT_PICO_USD = 10**24
DEFAULT_ALERTS_PERCENT = (50, 80, 90)

_Amount = Annotated[int, Meta(ge=0)]


class Raise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds to a budget's limit until it expires."""

    amount_pico_usd: _Amount
    expires_at_ms: int


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scope_id`: of an organization, a project or an API key its id; of a customer the id that requests give; of a tag
    "key=value". hard: no request may take the scope over its limit. soft: it only alerts.
    """

    budget_id: EntityId
    organization_id: EntityId
    scope_kind: ScopeKind
    scope_id: Annotated[str, Meta(min_length=1, max_length=400)]
    limit_pico_usd: _Amount
    period: BudgetPeriod = "monthly"
    enforcement: Enforcement = "hard"
    alerts_percent: tuple[Annotated[int, Meta(ge=1, le=1000)], ...] = DEFAULT_ALERTS_PERCENT
    raises: tuple[Raise, ...] = ()

    @property
    def scope(self) -> str:
        return scope_key(self.organization_id, self.scope_kind, self.scope_id)

    def limit_at(self, now_ms: int) -> int:
        """The limit with the raises in force, in pico-USD."""
        return self.limit_pico_usd + sum(r.amount_pico_usd for r in self.raises if now_ms < r.expires_at_ms)


def scope_key(organization_id: str, kind: ScopeKind, scope_id: str) -> str:
    """The one name of a scope. Customers and tags are an organization's own: two may use the same words."""
    if kind in ("customer", "tag"):
        return f"{kind}:{organization_id}/{scope_id}"
    return f"{kind}:{scope_id}"


def scopes_of(
    organization_id: str, project_id: str, api_key_id: str, customer_id: str | None, tags: dict[str, str]
) -> tuple[str, ...]:
    """Every scope that a request touches, the narrowest first: its owner can do something about it."""
    scopes = [f"api_key:{api_key_id}"]
    if customer_id:
        scopes.append(f"customer:{organization_id}/{customer_id}")
    scopes += [f"tag:{organization_id}/{key}={value}" for key, value in tags.items()]
    return (*scopes, f"project:{project_id}", f"organization:{organization_id}")


class Period(NamedTuple):
    """Days of the UTC calendar, from `start` to before `end`."""

    start: date
    end: date

    def holds(self, day: date) -> bool:
        return self.start <= day < self.end


FOREVER = Period(date(1970, 1, 1), date(9999, 12, 31))


def day_of(at_ms: int) -> date:
    """The UTC day of a time in unix ms."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def period_at(period: BudgetPeriod, day: date) -> Period:
    """The period that a day falls in. Weeks start on Monday (ISO 8601), quarters in January, April, July, October."""
    if period == "daily":
        return Period(day, day + timedelta(days=1))
    if period == "weekly":
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=7))
    if period == "monthly":
        return _months(day.year, day.month, 1)
    if period == "quarterly":
        return _months(day.year, 3 * ((day.month - 1) // 3) + 1, 3)
    if period == "yearly":
        return _months(day.year, 1, 12)
    return FOREVER


def _months(year: int, month: int, count: int) -> Period:
    after = month - 1 + count
    return Period(date(year, month, 1), date(year + after // 12, after % 12 + 1, 1))


def ledger_id(budget_id: str, period: Period) -> str:
    """A budget's account for one period."""
    return f"{budget_id}@{period.start.isoformat()}"
