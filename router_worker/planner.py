"""Which routes a request may take, in which order. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from schemas.catalogue import Capability, Model, Route
from schemas.failures import Failure, FailureKind


class SkipReason(StrEnum):
    NO_VENDOR_KEY = "no_vendor_key"
    NO_PRICE = "no_price"
    LACKS_CAPABILITY = "lacks_capability"
    NOT_ZERO_DATA_RETENTION = "not_zero_data_retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a request asks of a route."""

    needs: frozenset[Capability] = frozenset()
    zero_data_retention: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`routes` in the order to try them; `skipped` are the others, each with the first reason found."""

    routes: tuple[Route, ...]
    skipped: tuple[tuple[Route, SkipReason], ...]


def route_key(route: Route) -> str:
    """The name of a route in `RouteHealth` and in metrics."""
    return f"{route.vendor}/{route.vendor_model}"


def plan(
    model: Model,
    request: PlanRequest,
    usable_vendors: Set[str],
    health: Mapping[str, float],
    now_s: float,
    today: date,
) -> Plan:
    """`health` maps a route key to the monotonic second until which the route is best left alone.

    Such routes go to the end, the soonest recovered first, and are not dropped: when all are unhealthy, trying one is
    still better than refusing everybody.
    """
    healthy: list[Route] = []
    unhealthy: list[tuple[float, Route]] = []
    skipped: list[tuple[Route, SkipReason]] = []
    for route in model.routes:
        reason = _why_not(route, request, usable_vendors, today)
        if reason is not None:
            skipped.append((route, reason))
        elif (until_s := health.get(route_key(route), now_s)) > now_s:
            unhealthy.append((until_s, route))
        else:
            healthy.append(route)
    unhealthy.sort(key=lambda entry: entry[0])
    return Plan((*healthy, *(route for _, route in unhealthy)), tuple(skipped))


def _why_not(route: Route, request: PlanRequest, usable_vendors: Set[str], today: date) -> SkipReason | None:
    if route.vendor not in usable_vendors:
        return SkipReason.NO_VENDOR_KEY
    if route.price_at(today) is None:
        return SkipReason.NO_PRICE
    if request.zero_data_retention and not route.zero_data_retention:
        return SkipReason.NOT_ZERO_DATA_RETENTION
    if not request.needs <= route.capabilities:
        return SkipReason.LACKS_CAPABILITY
    return None


def no_route_failure(plan: Plan, request: PlanRequest) -> Failure:
    """What to tell the client when `plan.routes` is empty.

    If at least one route was usable but for what the request asks, the request is at fault (400); else the operator is.
    """
    reasons = {reason for _, reason in plan.skipped}
    if SkipReason.LACKS_CAPABILITY in reasons:
        offered = [route for route, reason in plan.skipped if reason is SkipReason.LACKS_CAPABILITY]
        missing = min(
            (sorted(request.needs - route.capabilities) for route in offered), key=lambda names: (len(names), names)
        )
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"No vendor of this model that is configured here offers: {', '.join(missing)}.",
            code="unsupported_capability",
        )
    if SkipReason.NOT_ZERO_DATA_RETENTION in reasons:
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message="No vendor of this model that is configured here guarantees zero data retention.",
            param="zero_data_retention",
            code="no_zero_data_retention_route",
        )
    return Failure(kind=FailureKind.NO_ROUTE_CONFIGURED)
