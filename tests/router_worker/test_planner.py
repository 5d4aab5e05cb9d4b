"""Which routes are taken, in which order, and what is said when there is none."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.planner import Plan, PlanRequest, SkipReason, no_route_failure, plan
from schemas.catalogue import Capability
from schemas.failures import FailureKind
from tests.router_worker.routes import TODAY, model, price, route

ALL = {"a", "b", "c"}
_TOOLS: frozenset[Capability] = frozenset({"streaming", "tools"})


def vendors(made: Plan) -> list[str]:
    return [one.vendor for one in made.routes]


def test_catalogue_order_is_kept() -> None:
    assert vendors(plan(model(route("b"), route("a"), route("c")), PlanRequest(), ALL, {}, 0, TODAY)) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("routes", "request_", "usable", "taken", "reason"),
    [
        ([route("a"), route("b")], PlanRequest(), {"b"}, ["b"], SkipReason.NO_VENDOR_KEY),
        (
            [route("a", prices=(price(start=date(2026, 6, 16)),)), route("b", prices=(price(start=TODAY),))],
            PlanRequest(),
            ALL,
            ["b"],
            SkipReason.NO_PRICE,
        ),
        (
            [route("a"), route("b", capabilities=_TOOLS)],
            PlanRequest(needs=frozenset({"tools"})),
            ALL,
            ["b"],
            SkipReason.LACKS_CAPABILITY,
        ),
        (
            [route("a"), route("b", zero_data_retention=True)],
            PlanRequest(zero_data_retention=True),
            ALL,
            ["b"],
            SkipReason.NOT_ZERO_DATA_RETENTION,
        ),
    ],
)
def test_routes_that_cannot_serve_are_skipped_with_the_reason(
    routes: list[object], request_: PlanRequest, usable: set[str], taken: list[str], reason: SkipReason
) -> None:
    made = plan(model(*routes), request_, usable, {}, 0, TODAY)  # type: ignore[arg-type]
    assert vendors(made) == taken
    assert [(one.vendor, why) for one, why in made.skipped] == [("a", reason)]


def test_unhealthy_routes_go_last_the_soonest_recovered_first() -> None:
    health = {"a/m": 20.0, "b/m": 15.0, "c/m": 10.0}
    routes = [route("a"), route("b"), route("c"), route("d")]
    assert vendors(plan(model(*routes), PlanRequest(), ALL | {"d"}, health, 10.0, TODAY)) == ["c", "d", "b", "a"]


@given(st.dictionaries(st.sampled_from(["a/m", "b/m", "c/m"]), st.floats(0, 100)), st.floats(0, 100))
def test_health_never_loses_a_route(health: dict[str, float], now_s: float) -> None:
    made = plan(model(route("a"), route("b"), route("c")), PlanRequest(), ALL, health, now_s, TODAY)
    assert sorted(vendors(made)) == ["a", "b", "c"]
    unhealthy = [health.get(f"{vendor}/m", 0) > now_s for vendor in vendors(made)]
    assert unhealthy == sorted(unhealthy)


def test_no_key_anywhere_is_the_operators_fault() -> None:
    made = plan(model(route("a")), PlanRequest(needs=frozenset({"vision"})), set(), {}, 0, TODAY)
    assert no_route_failure(made, PlanRequest()).kind is FailureKind.NO_ROUTE_CONFIGURED


def test_a_missing_capability_is_named() -> None:
    request = PlanRequest(needs=frozenset({"vision", "tools"}))
    made = plan(model(route("a"), route("b", capabilities=_TOOLS)), request, ALL, {}, 0, TODAY)
    failure = no_route_failure(made, request)
    assert (failure.kind, failure.http_status) == (FailureKind.INVALID_REQUEST, 400)
    assert failure.text.endswith("offers: vision.")


def test_zero_data_retention_is_refused_clearly() -> None:
    request = PlanRequest(zero_data_retention=True)
    failure = no_route_failure(plan(model(route("a")), request, ALL, {}, 0, TODAY), request)
    assert (failure.http_status, failure.param) == (400, "zero_data_retention")
