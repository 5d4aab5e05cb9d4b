"""May this request be started? The seam for budgets: `admit` before, `Hold.release` after.

This first form compares what was spent to the limit, so requests in flight can overshoot it by what they cost. Leases
(DESIGN §5) will replace it behind the same two calls: admit then holds the worst case, and release frees the rest.
"""

from typing import Protocol

from ingress.spend_view import SpendView
from schemas.failures import Failure, FailureKind
from schemas.money import format_usd
from schemas.tenancy import ApiKey, Project


class Hold(Protocol):
    """What an admitted request holds of its budgets."""

    def release(self, cost_pico_usd: int) -> None:
        """The request is over and cost this much. Called exactly once."""


class Admission(Protocol):
    def admit(self, key: ApiKey, project: Project) -> Hold | Failure: ...


class _NothingHeld:
    def release(self, cost_pico_usd: int) -> None:
        return


class SpendAdmission:
    """The narrowest scope is named first: a key's owner can do something about the key."""

    def __init__(self, spend: SpendView) -> None:
        self._spend = spend
        self._hold = _NothingHeld()

    def admit(self, key: ApiKey, project: Project) -> Hold | Failure:
        limit = key.budget_pico_usd
        if limit is not None and self._spend.spent_pico_usd("api_key", key.api_key_id) >= limit:
            return _exceeded(FailureKind.API_KEY_BUDGET_EXCEEDED, "this API key", limit)
        limit = project.budget_pico_usd
        if limit is not None and self._spend.spent_pico_usd("project", project.project_id) >= limit:
            return _exceeded(FailureKind.PROJECT_BUDGET_EXCEEDED, f"the project {project.project_id}", limit)
        return self._hold


def _exceeded(kind: FailureKind, whose: str, limit_pico_usd: int) -> Failure:
    return Failure(kind=kind, message=f"The budget of {whose}, {format_usd(limit_pico_usd)} USD, is spent.")
