"""What a client is told of its budgets: headers, and refusals that name the scope. Pure."""

from collections.abc import Sequence
from typing import NamedTuple, cast
from urllib.parse import quote

from ingress.admission import Refusal
from schemas.budgets import Budget, ScopeKind
from schemas.failures import Failure, FailureKind
from schemas.money import format_usd

REMAINING = "X-Tollhouse-Budget-Remaining-Usd"
LIMIT = "X-Tollhouse-Budget-Limit-Usd"
SCOPE = "X-Tollhouse-Budget-Scope"
WARNING = "X-Tollhouse-Budget-Warning"

RETRY_AFTER_S = 1.0

_EXCEEDED: dict[ScopeKind, tuple[FailureKind, str]] = {
    "api_key": (FailureKind.API_KEY_BUDGET_EXCEEDED, "this API key"),
    "customer": (FailureKind.CUSTOMER_BUDGET_EXCEEDED, "this customer"),
    "tag": (FailureKind.TAG_BUDGET_EXCEEDED, "this tag"),
    "project": (FailureKind.PROJECT_BUDGET_EXCEEDED, "this project"),
    "organization": (FailureKind.ORGANIZATION_BUDGET_EXCEEDED, "this organization"),
}


class Standing(NamedTuple):
    """A budget at one moment, in pico-USD. `spent`: as far as it is known here; what requests in flight hold is not."""

    budget: Budget
    limit: int
    spent: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.spent)

    @property
    def warning(self) -> str | None:
        """Once the first alert threshold is crossed."""
        first = min(self.budget.alerts_percent, default=None)
        if first is None or self.spent == 0 or self.spent * 100 < first * self.limit:
            return None
        percent = self.spent * 100 // self.limit if self.limit else 100
        return f"{_scope(self.budget)} at {percent} % of its {self.budget.period} budget"


def budget_headers(standings: Sequence[Standing]) -> dict[str, str]:
    """Of the tightest budget, and a warning of each that is past its first threshold. Empty without budgets."""
    if not standings:
        return {}
    tightest = min(standings, key=lambda standing: standing.remaining)
    headers = {
        REMAINING: format_usd(tightest.remaining),
        LIMIT: format_usd(tightest.limit),
        SCOPE: _scope(tightest.budget),
    }
    warnings = [standing.warning for standing in standings if standing.warning is not None]
    if warnings:
        headers[WARNING] = ", ".join(warnings)
    return headers


def exceeded(standing: Standing, cost_pico_usd: int, headers: dict[str, str]) -> Refusal:
    """402. `cost_pico_usd`: what the request can cost at most, as far as a cap can bound it."""
    kind, whose = _EXCEEDED[standing.budget.scope_kind]
    message = (
        f"The {standing.budget.period} budget of {whose} does not cover this request: {format_usd(standing.remaining)} "
        f"of {format_usd(standing.limit)} USD is left, and the request can cost {format_usd(cost_pico_usd)} USD. "
        "A lower cap on output costs less."
    )
    # What is told of the budgets is of the one that refuses; another may be tighter and only warn.
    told = {**headers, REMAINING: format_usd(standing.remaining), LIMIT: format_usd(standing.limit)}
    return Refusal(_failure(kind, message), {**told, SCOPE: _scope(standing.budget)})


def overtaken(scope: str, limit_pico_usd: int, remaining_pico_usd: int, cost_pico_usd: int) -> Failure:
    """402 for a request that was let in, and whose vendor call turned out dearer than anything that is left. `scope`:
    `schemas.budgets.scope_key`."""
    kind, whose = _EXCEEDED[cast("ScopeKind", scope.partition(":")[0])]
    message = (
        f"The budget of {whose} does not cover this request: {format_usd(max(0, remaining_pico_usd))} of "
        f"{format_usd(limit_pico_usd)} USD is left, and the request can cost {format_usd(cost_pico_usd)} USD. "
        "A lower cap on output costs less."
    )
    return _failure(kind, message)


def busy(headers: dict[str, str]) -> Refusal:
    """429: it would fit, were it not for requests in flight."""
    return Refusal(_failure(FailureKind.BUDGET_BUSY, retry_after_s=RETRY_AFTER_S), headers)


def unverified() -> Refusal:
    """503: the authority has not answered."""
    return Refusal(_failure(FailureKind.BUDGET_UNVERIFIED, retry_after_s=RETRY_AFTER_S), {})


def _failure(kind: FailureKind, message: str | None = None, retry_after_s: float | None = None) -> Failure:
    """With a code in every client API's errors, also in those that have no words for budgets of their own."""
    return Failure(kind=kind, code=kind.value, message=message, retry_after_s=retry_after_s)


def _scope(budget: Budget) -> str:
    """Customers and tags have any characters; a header has not."""
    return f"{budget.scope_kind}:{quote(budget.scope_id, safe=_SAFE)}"


_SAFE = " !#$&'*+-./:=@^_`|~()"
