"""Which routes are taken, in which order, and what is said when there is none."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.planner import Plan, PlanRequest, SkipReason, no_route_failure, plan
from schemas.catalogue import Capability
from schemas.envelope import Surface
from schemas.failures import FailureKind
from tests.router_worker.routes import TODAY, model, price, route

ALL = {"a", "b", "c"}


def offers(vendors: set[str], *surfaces: Surface) -> dict[str, set[Surface]]:
    return {vendor: set(surfaces or ("openai.chat",)) for vendor in vendors}


_TOOLS: frozenset[Capability] = frozenset({"streaming", "tools"})


def vendors(made: Plan) -> list[str]:
    return [one.route.vendor for one in made.routes]


def test_catalogue_order_is_kept() -> None:
    assert vendors(plan([model(route("b"), route("a"), route("c"))], PlanRequest(), offers(ALL), {}, 0, TODAY)) == [
        "b",
        "a",
        "c",
    ]


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
    made = plan([model(*routes)], request_, offers(usable), {}, 0, TODAY)  # type: ignore[arg-type]
    assert vendors(made) == taken
    assert [(one.route.vendor, why) for one, why in made.skipped] == [("a", reason)]


def test_unhealthy_routes_go_last_the_soonest_recovered_first() -> None:
    health = {"a/m": 20.0, "b/m": 15.0, "c/m": 10.0}
    routes = [route("a"), route("b"), route("c"), route("d")]
    assert vendors(plan([model(*routes)], PlanRequest(), offers(ALL | {"d"}), health, 10.0, TODAY)) == [
        "c",
        "d",
        "b",
        "a",
    ]


@given(st.dictionaries(st.sampled_from(["a/m", "b/m", "c/m"]), st.floats(0, 100)), st.floats(0, 100))
def test_health_never_loses_a_route(health: dict[str, float], now_s: float) -> None:
    made = plan([model(route("a"), route("b"), route("c"))], PlanRequest(), offers(ALL), health, now_s, TODAY)
    assert sorted(vendors(made)) == ["a", "b", "c"]
    unhealthy = [health.get(f"{vendor}/m", 0) > now_s for vendor in vendors(made)]
    assert unhealthy == sorted(unhealthy)


def test_no_key_anywhere_is_the_operators_fault() -> None:
    made = plan([model(route("a"))], PlanRequest(needs=frozenset({"vision"})), offers(set()), {}, 0, TODAY)
    assert no_route_failure(made, PlanRequest()).kind is FailureKind.NO_ROUTE_CONFIGURED


def test_a_missing_capability_is_named() -> None:
    request = PlanRequest(needs=frozenset({"vision", "tools"}))
    made = plan([model(route("a"), route("b", capabilities=_TOOLS))], request, offers(ALL), {}, 0, TODAY)
    failure = no_route_failure(made, request)
    assert (failure.kind, failure.http_status) == (FailureKind.INVALID_REQUEST, 400)
    assert failure.text.endswith("offers: vision.")


def test_zero_data_retention_is_refused_clearly() -> None:
    request = PlanRequest(zero_data_retention=True)
    failure = no_route_failure(plan([model(route("a"))], request, offers(ALL), {}, 0, TODAY), request)
    assert (failure.http_status, failure.param) == (400, "zero_data_retention")


def test_only_the_vendors_asked_for_in_their_order() -> None:
    request = PlanRequest(vendors=("c", "nowhere", "a"))
    made = plan([model(route("a"), route("b"), route("c"))], request, offers(ALL), {}, 0, TODAY)
    assert vendors(made) == ["c", "a"]
    assert [why for _, why in made.skipped] == [SkipReason.NOT_ASKED_FOR]


def test_vendors_that_do_not_offer_the_model_are_refused_with_those_that_do() -> None:
    request = PlanRequest(vendors=("x",))
    failure = no_route_failure(plan([model(route("a"), route("b"))], request, offers(ALL), {}, 0, TODAY), request)
    assert (failure.http_status, failure.param, failure.code) == (400, "vendors", "no_such_route")
    assert failure.text.endswith("these do: a, b.")


def test_the_second_model_comes_after_all_healthy_routes_of_the_first() -> None:
    models = [model(route("a"), route("b")), model(route("c"))]
    made = plan(models, PlanRequest(), offers(ALL), {"a/m": 5.0}, 0, TODAY)
    assert vendors(made) == ["b", "c", "a"]
    assert [planned.model for planned in made.routes] == [models[0], models[1], models[0]]


def test_a_model_of_another_kind_is_refused_by_what_it_is() -> None:
    speech = msgspec.structs.replace(model(route("a")), kind="speech")
    made = plan([speech], PlanRequest(), offers(ALL), {}, 0, TODAY)
    failure = no_route_failure(made, PlanRequest())
    assert (failure.http_status, failure.code) == (400, "wrong_model_kind")
    assert "speech" in failure.text


def test_a_vendor_without_this_api_is_skipped_and_named() -> None:
    request = PlanRequest(surface="anthropic.count_tokens")
    made = plan([model(route("a"))], request, offers(ALL), {}, 0, TODAY)
    failure = no_route_failure(made, request)
    assert (failure.http_status, failure.code) == (400, "unsupported_surface")
    assert "(a)" in failure.text
