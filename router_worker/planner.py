"""Which routes a request may take, in which order. Pure."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from schemas.catalogue import Capability, Model, ModelKind, Route
from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind


class SkipReason(StrEnum):
    """In the order in which they are looked for: the first that holds is told."""

    OTHER_KIND = "other_kind"
    NOT_ASKED_FOR = "not_asked_for"
    NO_VENDOR_KEY = "no_vendor_key"
    NO_PRICE = "no_price"
    NOT_ZERO_DATA_RETENTION = "not_zero_data_retention"
    LACKS_SURFACE = "lacks_surface"
    LACKS_CAPABILITY = "lacks_capability"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a request asks of a route. `vendors`: only these, in this order; empty means any."""

    surface: Surface = "openai.chat"
    kind: ModelKind = "chat"
    needs: frozenset[Capability] = frozenset()
    zero_data_retention: bool = False
    vendors: tuple[str, ...] = ()


class PlannedRoute(NamedTuple):
    model: Model
    route: Route


@dataclass(frozen=True, slots=True)
class Plan:
    """`routes` in the order to try them; `skipped` are the others, each with the first reason found."""

    routes: tuple[PlannedRoute, ...]
    skipped: tuple[tuple[PlannedRoute, SkipReason], ...]


def route_key(route: Route) -> str:
    """The name of a route in `RouteHealth` and in metrics."""
    return f"{route.vendor}/{route.vendor_model}"


def plan(
    models: Sequence[Model],
    request: PlanRequest,
    usable_vendors: Mapping[str, Set[Surface]],
    health: Mapping[str, float],
    now_s: float,
    today: date,
) -> Plan:
    """Model by model, in the order given. `usable_vendors`: what each vendor with a key can serve.

    `health` maps a route key to the monotonic second until which the route is best left alone. Such routes go to the
    end, the soonest recovered first, and are not dropped: when all are unhealthy, trying one is still better than
    refusing everybody.
    """
    healthy: list[PlannedRoute] = []
    unhealthy: list[tuple[float, PlannedRoute]] = []
    skipped: list[tuple[PlannedRoute, SkipReason]] = []
    for model in models:
        for route in _in_asked_order(model.routes, request.vendors):
            planned = PlannedRoute(model, route)
            reason = _why_not(planned, request, usable_vendors, today)
            if reason is not None:
                skipped.append((planned, reason))
            elif (until_s := health.get(route_key(route), now_s)) > now_s:
                unhealthy.append((until_s, planned))
            else:
                healthy.append(planned)
    unhealthy.sort(key=lambda entry: entry[0])
    return Plan((*healthy, *(planned for _, planned in unhealthy)), tuple(skipped))


def _in_asked_order(routes: tuple[Route, ...], vendors: tuple[str, ...]) -> Sequence[Route]:
    if not vendors:
        return routes
    place = {vendor: number for number, vendor in reversed(list(enumerate(vendors)))}
    return sorted(routes, key=lambda route: place.get(route.vendor, len(vendors)))


def _why_not(
    planned: PlannedRoute, request: PlanRequest, usable_vendors: Mapping[str, Set[Surface]], today: date
) -> SkipReason | None:
    model, route = planned
    if model.kind != request.kind:
        return SkipReason.OTHER_KIND
    if request.vendors and route.vendor not in request.vendors:
        return SkipReason.NOT_ASKED_FOR
    if route.vendor not in usable_vendors:
        return SkipReason.NO_VENDOR_KEY
    if route.price_at(today) is None:
        return SkipReason.NO_PRICE
    if request.zero_data_retention and not route.zero_data_retention:
        return SkipReason.NOT_ZERO_DATA_RETENTION
    if request.surface not in usable_vendors[route.vendor]:
        return SkipReason.LACKS_SURFACE
    if not request.needs <= route.capabilities:
        return SkipReason.LACKS_CAPABILITY
    return None


def no_route_failure(plan: Plan, request: PlanRequest) -> Failure:
    """What to tell the client when `plan.routes` is empty.

    If at least one route was usable but for what the request asks, the request is at fault (400); else the operator is.
    """
    by_reason: dict[SkipReason, list[PlannedRoute]] = {}
    for planned, reason in plan.skipped:
        by_reason.setdefault(reason, []).append(planned)
    if offered := by_reason.get(SkipReason.LACKS_CAPABILITY):
        missing = min(
            (sorted(request.needs - route.capabilities) for _, route in offered), key=lambda names: (len(names), names)
        )
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"No vendor of this model that is configured here offers: {', '.join(missing)}.",
            code="unsupported_capability",
        )
    if offered := by_reason.get(SkipReason.LACKS_SURFACE):
        vendors = ", ".join(sorted({route.vendor for _, route in offered}))
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"This API cannot be served by the vendors of this model that are configured here ({vendors}).",
            param="model",
            code="unsupported_surface",
        )
    if SkipReason.NOT_ZERO_DATA_RETENTION in by_reason:
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message="No vendor of this model that is configured here guarantees zero data retention.",
            param="zero_data_retention",
            code="no_zero_data_retention_route",
        )
    if by_reason.keys() <= {SkipReason.NOT_ASKED_FOR, SkipReason.OTHER_KIND} and SkipReason.NOT_ASKED_FOR in by_reason:
        offered_by = ", ".join(sorted({route.vendor for _, route in by_reason[SkipReason.NOT_ASKED_FOR]}))
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"None of the vendors asked for offers this model; these do: {offered_by}.",
            param="vendors",
            code="no_such_route",
        )
    if by_reason.keys() == {SkipReason.OTHER_KIND}:
        model = by_reason[SkipReason.OTHER_KIND][0].model
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"'{model.model_id}' is a model for {model.kind}; this path serves models for {request.kind}.",
            param="model",
            code="wrong_model_kind",
        )
    return Failure(kind=FailureKind.NO_ROUTE_CONFIGURED)
