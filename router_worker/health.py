"""Which routes are best left alone for a while, as this worker has seen it. State, but no I/O and no clock."""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.failures import Failure, FailureKind

MAX_COOLDOWN_S = 60.0
FAILURES_IN_A_ROW = 3

# The next call will meet the same refusal, so one is enough. Anything else may be one unlucky call among thousands.
_AT_ONCE = frozenset(
    {
        FailureKind.VENDOR_RATE_LIMITED,
        FailureKind.VENDOR_REFUSED_KEY,
        FailureKind.VENDOR_PAYMENT_REQUIRED,
        FailureKind.VENDOR_MODEL_UNKNOWN,
    }
)


class RouteHealth:
    """Times are monotonic seconds of one clock, the caller's."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._in_a_row: dict[str, int] = {}

    def failed(self, route_key: str, failure: Failure, now_s: float) -> None:
        """A failure without a cooldown in the table (a caller's mistake, say) tells nothing about the route."""
        cooldown_s = failure.rule.cooldown_s
        if cooldown_s <= 0:
            return
        if failure.kind not in _AT_ONCE:
            self._in_a_row[route_key] = self._in_a_row.get(route_key, 0) + 1
            if self._in_a_row[route_key] < FAILURES_IN_A_ROW:
                return
        until_s = now_s + min(max(cooldown_s, failure.retry_after_s or 0.0), MAX_COOLDOWN_S)
        self._until_s[route_key] = max(until_s, self._until_s.get(route_key, until_s))

    def succeeded(self, route_key: str) -> None:
        self._until_s.pop(route_key, None)
        self._in_a_row.pop(route_key, None)

    def unhealthy_until(self) -> Mapping[str, float]:
        """A live view for the planner; entries in the past mean nothing."""
        return MappingProxyType(self._until_s)
