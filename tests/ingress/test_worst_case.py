"""What the ingress holds is not below what the worker will say that a call can cost."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.worst_case import REWRITE_TOKENS, TEMPLATE_TOKENS, WorstCases
from router_worker import estimate
from router_worker.rating import cost_pico_usd, dearest
from schemas.catalogue import Catalogue, Model, Price, PriceTier, Route

TODAY = date(2026, 11, 22)


def price(start: date = date(2026, 1, 1), usd_in: str = "1", usd_out: str = "10") -> Price:
    return Price(start=start, input=Decimal(usd_in), output=Decimal(usd_out), source="t")


def route(*prices: Price, context: int = 100_000, most: int = 8_000, vendor: str = "v") -> Route:
    return Route(vendor=vendor, vendor_model="m", prices=prices, context_tokens=context, max_output_tokens=most)


def model(name: str, *routes: Route) -> Model:
    return Model(model_id=name, name=name.upper(), provider="p", routes=routes, aliases=(f"{name}-alias",))


def cases(*models: Model) -> WorstCases:
    return WorstCases(Catalogue(models), TODAY)


BODY = b'{"messages":[]}'


def read(body: bytes) -> int:
    return len(body) + len(body) // 8 + REWRITE_TOKENS + TEMPLATE_TOKENS


READ = read(BODY)


def test_bytes_and_the_clients_cap() -> None:
    worst = cases(model("a", route(price()))).worst_case(("a",), BODY, 100, 1, "openai.chat")
    assert worst.capped
    assert worst.input_pico_usd == READ * 1_000_000
    assert worst.cost_pico_usd(worst.output_tokens) == READ * 1_000_000 + 100 * 10_000_000
    assert worst.tokens == READ + 100


def test_without_a_cap_the_routes_own_is_the_bound() -> None:
    worst = cases(model("a", route(price()))).worst_case(("a",), BODY, None, 1, "openai.chat")
    assert not worst.capped
    assert worst.output_tokens == 8_000
    capped = cases(model("a", route(price()))).worst_case(("a",), BODY, 10**9, 1, "openai.chat")
    assert capped.output_tokens == 8_000


def test_every_choice_is_generated() -> None:
    worst = cases(model("a", route(price()))).worst_case(("a",), BODY, 100, 3, "openai.chat")
    assert worst.output_token_pico_usd == 30_000_000
    assert worst.tokens == READ + 300


@pytest.mark.parametrize(
    "part",
    [b'"image_url"', b'"image"', b'"input_image"', b'"inline_data"', b'"inlineData"', b'"document"', b'"file"'],
)
def test_media_are_bounded_by_the_window_only(part: bytes) -> None:
    worst = cases(model("a", route(price()))).worst_case(("a",), b"{%b:1}" % part, 1, 1, "openai.chat")
    assert worst.input_pico_usd == 100_000 * 1_000_000


def test_the_window_bounds_what_is_read() -> None:
    worst = cases(model("a", route(price(), context=500))).worst_case(("a",), BODY, 1, 1, "openai.chat")
    assert worst.input_pico_usd == 500 * 1_000_000


def test_the_dearest_of_all_models_and_routes() -> None:
    some = cases(
        model("a", route(price(), most=10), route(price(usd_in="3"), most=20, vendor="w")),
        model("b", route(price(usd_out="77"))),
    )
    worst = some.worst_case(("A-ALIAS", "b", "unknown"), BODY, None, 1, "openai.chat")
    assert worst.input_pico_usd == READ * 3_000_000
    assert worst.output_token_pico_usd == 77_000_000
    assert worst.output_tokens == 8_000


def test_old_prices_do_not_count_and_future_ones_do() -> None:
    old, now, soon = (
        price(date(2025, 1, 1), usd_in="9"),
        price(date(2026, 1, 1)),
        price(date(2027, 1, 1), usd_out="20"),
    )
    worst = cases(model("a", route(old, now, soon))).worst_case(("a",), BODY, 1, 1, "openai.chat")
    assert (worst.input_pico_usd, worst.output_token_pico_usd) == (READ * 1_000_000, 20_000_000)


def test_embeddings_generate_nothing_and_counting_is_free() -> None:
    some = cases(model("a", route(price())))
    worst = some.worst_case(("a",), b'{"input":"\\"image\\""}', None, 1, "openai.embeddings")
    assert worst.capped
    assert worst.cost_pico_usd(worst.output_tokens) == read(b'{"input":"\\"image\\""}') * 1_000_000
    assert some.worst_case(("a",), BODY, None, 1, "anthropic.count_tokens").cost_pico_usd(0) == 0


_usd = st.decimals(0, 1000, places=7)
_maybe = st.none() | _usd


@st.composite
def _routes(draw: st.DrawFn) -> Route:
    tiers = tuple(
        PriceTier(above_input_tokens=draw(st.integers(0, 5000)), input=draw(_usd), output=draw(_usd))
        for _ in range(draw(st.integers(0, 2)))
    )
    made = Price(
        start=date(2026, 1, 1),
        input=draw(_usd),
        output=draw(_usd),
        cache_write=draw(_maybe),
        cache_write_1h=draw(_maybe),
        reasoning=draw(_maybe),
        tiers=tiers,
        source="t",
    )
    return route(made, context=draw(st.integers(1, 10_000)), most=draw(st.integers(1, 10_000)))


@given(_routes(), st.binary(max_size=3000), st.none() | st.integers(1, 20_000), st.integers(1, 4))
def test_never_below_the_workers_own_bound(way: Route, body: bytes, cap: int | None, choices: int) -> None:
    worst = cases(model("a", way)).worst_case(("a",), body, cap, choices, "openai.chat")
    in_force = way.price_at(TODAY)
    assert in_force is not None
    bound = cost_pico_usd(
        estimate.tokens_bound(
            estimate.input_tokens_bound(body, way, has_media=False),
            estimate.output_tokens_bound(cap, way, None, choices=choices),
        ),
        dearest(in_force),
    )
    assert worst.cost_pico_usd(worst.output_tokens) >= bound


def test_the_worker_adds_as_much_for_templates() -> None:
    assert TEMPLATE_TOKENS == estimate.TEMPLATE_TOKENS
