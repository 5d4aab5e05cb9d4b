"""Money: golden figures worked out by hand, and the laws of adding up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.rating import consistent, cost_pico_usd, dearest
from schemas.catalogue import Price
from schemas.usage import TokenCounts
from tests.router_worker.routes import price

PLAIN = price(input="0.10", output="0.10")
FULL = price(input="3", output="15", cached_input="0.3", cache_write="3.75", reasoning="20")


@pytest.mark.parametrize(
    ("tokens", "at", "pico_usd"),
    [
        (TokenCounts(), PLAIN, 0),
        # 1 token at 0.10 USD a million is 10⁻⁷ USD.
        (TokenCounts(input=1), PLAIN, 100_000),
        # 1,000,000 × 0.10/10⁶ + 500,000 × 0.10/10⁶ = 0.15 USD.
        (TokenCounts(input=1_000_000, output=500_000), PLAIN, 150_000_000_000),
        # Special prices missing: cached input costs as input, reasoning as output.
        (TokenCounts(input=10, cached_input=4, cache_write=3, output=10, reasoning=9), PLAIN, 2_000_000),
        # (1000-600-100)×3 + 600×0.3 + 100×3.75 + (200-50)×15 + 50×20 = 900+180+375+2250+1000 = 4705 µUSD.
        (
            TokenCounts(input=1000, cached_input=600, cache_write=100, output=200, reasoning=50),
            FULL,
            4_705_000_000,
        ),
        # 3 × 0.0000005 = 0.0000015 USD a million: 1.5 pico-USD, half up.
        (TokenCounts(input=3), price(input="0.0000005"), 2),
        (TokenCounts(input=1), price(input="0.0000004"), 0),
        # Rounded once, not per part: 0.4 + 0.4 = 0.8.
        (TokenCounts(input=1, output=1), price(input="0.0000004", output="0.0000004"), 1),
        # A trillion tokens at a price with many digits stay exact.
        (TokenCounts(input=10**12), price(input="0.123456789012"), 123_456_789_012_000_000),
    ],
)
def test_golden(tokens: TokenCounts, at: Price, pico_usd: int) -> None:
    assert cost_pico_usd(tokens, at) == pico_usd


@pytest.mark.parametrize(
    ("given_counts", "fixed"),
    [
        (TokenCounts(input=5, cached_input=9), TokenCounts(input=5, cached_input=5)),
        (TokenCounts(input=5, cached_input=3, cache_write=9), TokenCounts(input=5, cached_input=3, cache_write=2)),
        (TokenCounts(output=5, reasoning=9), TokenCounts(output=5, reasoning=5)),
        (TokenCounts(input=-5, output=-1, cached_input=-1), TokenCounts()),
    ],
)
def test_parts_larger_than_their_whole_are_cut_and_flagged(given_counts: TokenCounts, fixed: TokenCounts) -> None:
    assert consistent(given_counts) == fixed
    assert consistent(given_counts) is not given_counts
    assert cost_pico_usd(given_counts, FULL) == cost_pico_usd(fixed, FULL)


_COUNT = st.integers(0, 10**9)
_MONEY = st.decimals(0, 1000, places=6)


@st.composite
def counts(draw: st.DrawFn) -> TokenCounts:
    whole_input, output = draw(_COUNT), draw(_COUNT)
    cached = draw(st.integers(0, whole_input))
    return TokenCounts(
        input=whole_input,
        cached_input=cached,
        cache_write=draw(st.integers(0, whole_input - cached)),
        output=output,
        reasoning=draw(st.integers(0, output)),
    )


_PRICES = st.builds(
    price, input=_MONEY, output=_MONEY, cached_input=_MONEY, cache_write=_MONEY, reasoning=_MONEY
) | st.builds(price, input=_MONEY, output=_MONEY)
_ANY_COUNT = st.integers(-10, 10**6)
_ANY = st.builds(
    TokenCounts,
    input=_ANY_COUNT,
    cached_input=_ANY_COUNT,
    cache_write=_ANY_COUNT,
    output=_ANY_COUNT,
    reasoning=_ANY_COUNT,
)


@given(counts(), _PRICES)
def test_the_cost_is_the_sum_of_the_parts(tokens: TokenCounts, at: Price) -> None:
    def alone(**one: int) -> int:
        return cost_pico_usd(TokenCounts(**one), at)

    fresh = tokens.input - tokens.cached_input - tokens.cache_write
    # With prices of six decimals every token costs whole pico-USD, so no part is rounded.
    assert cost_pico_usd(tokens, at) == (
        alone(input=fresh)
        + alone(input=tokens.cached_input, cached_input=tokens.cached_input)
        + alone(input=tokens.cache_write, cache_write=tokens.cache_write)
        + alone(output=tokens.output - tokens.reasoning)
        + alone(output=tokens.reasoning, reasoning=tokens.reasoning)
    )
    assert consistent(tokens) is tokens


@given(_ANY, _PRICES)
def test_never_negative_and_never_more_than_all_at_the_dearest_price(tokens: TokenCounts, at: Price) -> None:
    dearest = max(p for p in (at.input, at.output, at.cached_input, at.cache_write, at.reasoning) if p is not None)
    most = (max(0, tokens.input) + max(0, tokens.output)) * int(dearest * Decimal(10**6))
    assert 0 <= cost_pico_usd(tokens, at) <= most


@given(counts(), _PRICES)
def test_an_upper_bound_is_one_however_the_vendor_splits_the_tokens(tokens: TokenCounts, at: Price) -> None:
    bound = TokenCounts(input=tokens.input, output=tokens.output)
    assert cost_pico_usd(tokens, at) <= cost_pico_usd(bound, dearest(at))


@given(_ANY, _PRICES, st.integers(0, 1000))
def test_more_output_never_costs_less(tokens: TokenCounts, at: Price, more: int) -> None:
    flat = price(input=at.input, output=at.output)
    grown = TokenCounts(
        input=tokens.input,
        cached_input=tokens.cached_input,
        cache_write=tokens.cache_write,
        output=tokens.output + more,
        reasoning=tokens.reasoning,
    )
    for rate in (at, flat):
        assert cost_pico_usd(grown, rate) >= cost_pico_usd(tokens, rate)
