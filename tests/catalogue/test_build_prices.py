"""The builder's arithmetic of prices: it must say what genai-prices' own calculation would, for any day and size."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogue_build.genai_data import DatedPrices, GenaiModel, PriceTable, Tiered
from catalogue_build.prices import (
    NO_DATE,
    NotPriced,
    differences,
    litellm_price,
    plain,
    prices_of,
    with_special_prices,
)
from router_worker.rating import cost_pico_usd
from schemas.catalogue import Price
from schemas.usage import TokenCounts

USD = st.decimals(min_value="0.0001", max_value=100, places=4)
TIERS = st.builds(
    lambda base, steps: Tiered(base, tuple(sorted(steps.items()))),
    USD,
    st.dictionaries(st.sampled_from([100_000, 128_000, 200_000]), USD, min_size=1),
)
TABLES = st.fixed_dictionaries(
    {"input_mtok": USD | TIERS, "output_mtok": USD | TIERS},
    optional={"cache_read_mtok": USD | TIERS, "cache_write_mtok": USD | TIERS, "output_reasoning_mtok": USD},
)
DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))


def model(*prices: DatedPrices) -> GenaiModel:
    return GenaiModel("m", {"equals": "m"}, prices)


def priced(tokens: int, price: Decimal | Tiered, whole_input: int) -> Decimal:
    """As in genai-prices: the highest tier that the whole input is above holds for every token of the kind."""
    if isinstance(price, Tiered):
        reached = [usd for start, usd in price.tiers if whole_input > start]
        return tokens * (reached[-1] if reached else price.base)
    return tokens * price


@given(
    TABLES, st.sampled_from([0, 1, 100_000, 100_001, 128_000, 200_000, 200_001, 999_999]), st.integers(0, 3), st.data()
)
def test_a_request_costs_what_the_source_computes(
    table: PriceTable, whole_input: int, thirds: int, data: st.DataObject
) -> None:
    cached = whole_input * thirds // 6
    written = data.draw(st.integers(0, whole_input - cached))
    reasoning = data.draw(st.integers(0, 500))
    tokens = TokenCounts(input=whole_input, cached_input=cached, cache_write=written, output=500, reasoning=reasoning)
    (price,) = prices_of(model(DatedPrices(None, False, table)), "s")
    # A kind without a price of its own counts as the kind that it is part of.
    expected = sum(
        (
            priced(count, table.get(key, table[plain_key]), whole_input)
            for count, key, plain_key in (
                (whole_input - cached - written, "input_mtok", "input_mtok"),
                (cached, "cache_read_mtok", "input_mtok"),
                (written, "cache_write_mtok", "input_mtok"),
                (500 - reasoning, "output_mtok", "output_mtok"),
                (reasoning, "output_reasoning_mtok", "output_mtok"),
            )
        ),
        Decimal(0),
    )
    assert cost_pico_usd(tokens, price) == expected * 10**6


@given(st.lists(st.tuples(st.none() | DAYS, USD), min_size=1, max_size=5), DAYS)
def test_on_any_day_the_price_is_the_last_that_has_begun(rows: list[tuple[date | None, Decimal]], day: date) -> None:
    known = [DatedPrices(start, False, {"input_mtok": usd, "output_mtok": usd}) for start, usd in rows]
    begun = [usd for start, usd in rows if start is None or start <= day]
    expected = begun[-1] if begun else rows[0][1]
    prices = prices_of(model(*known), "s")
    in_force = [price for price in prices if price.start <= day]
    assert in_force[-1].input == expected
    assert prices[0].start == NO_DATE
    assert all(earlier.input != later.input for earlier, later in pairwise(prices))


@given(st.decimals(min_value=0, max_value=10**9, places=6) | st.sampled_from([Decimal("1E+3"), Decimal("2.500")]))
def test_plain_amounts_are_equal_and_without_exponent(usd: Decimal) -> None:
    assert plain(usd) == usd
    assert "E" not in str(plain(usd))


def test_batch_prices_have_dates_of_their_own() -> None:
    standard = DatedPrices(None, False, {"input_mtok": Decimal(2), "output_mtok": Decimal(4)})
    batch = DatedPrices(date(2026, 10, 14), False, {"input_mtok": Decimal(1), "output_mtok": Decimal(2)})
    asked = GenaiModel(
        "m",
        {"equals": "m"},
        (standard,),
        (({"service_tier": "flex"}, standard), ({"processing": "batch"}, batch)),
    )
    before, after = prices_of(asked, "s")
    assert (before.batch_input, after.start, after.batch_input, after.batch_output) == (
        None,
        date(2026, 10, 14),
        Decimal(1),
        Decimal(2),
    )


@pytest.mark.parametrize(
    ("table", "by_time_of_day", "reason"),
    [
        ({"input_mtok": Decimal(1), "output_mtok": Decimal(1)}, True, "time of day"),
        ({}, False, "free"),
        ({"input_mtok": Decimal(0), "output_mtok": Decimal(0)}, False, "free"),
        ({"audio_hours": Decimal(1)}, False, "no price per token"),
        ({"input_mtok": Decimal(1)}, False, "no price for output"),
        ({"input_mtok": Decimal(1), "output_mtok": Decimal(1), "output_image_mtok": Decimal(9)}, False, "images"),
    ],
)
def test_what_cannot_be_priced_exactly_is_left_out(table: PriceTable, by_time_of_day: bool, reason: str) -> None:
    with pytest.raises(NotPriced, match=reason):
        prices_of(model(DatedPrices(None, by_time_of_day, table)), "s")


def test_an_embedding_has_no_price_for_output() -> None:
    for table in ({"input_mtok": Decimal(1)}, {"input_mtok": Decimal(1), "output_mtok": Decimal(1)}):
        (price,) = prices_of(model(DatedPrices(None, False, table)), "s", output_is_free=True)
        assert price.output == 0


def ours(**usd: str) -> Price:
    return msgspec.convert({"start": NO_DATE, "source": "ours"} | usd, Price)


def test_litellm_speaks_in_usd_per_token() -> None:
    row = {
        "input_cost_per_token": Decimal("1.25e-06"),
        "output_cost_per_token": Decimal("1e-05"),
        "cache_creation_input_token_cost_above_1hr": Decimal("2e-6"),
        "input_cost_per_token_above_200k_tokens": Decimal("2.5e-06"),
        "output_cost_per_token_above_200k_tokens": Decimal("1.5e-05"),
    }
    price = litellm_price(row, NO_DATE, "s")
    assert price is not None
    assert (str(price.input), str(price.output), str(price.cache_write_1h)) == ("1.25", "10", "2")
    (tier,) = price.tiers
    assert (tier.above_input_tokens, str(tier.input), str(tier.output)) == (200_000, "2.5", "15")
    assert litellm_price({"input_cost_per_image": Decimal(1)}, NO_DATE, "s") is None


def test_differences() -> None:
    mine = ours(input="1", output="2", cached_input="0.1")
    theirs = ours(input="1.00", output="3", cache_write="1.25")
    assert differences(mine, theirs) == [("output", "2", "3"), ("cache_write", "—", "1.25")]
    assert differences(mine, mine) == []


def test_special_prices_are_taken_only_from_who_agrees_on_the_plain_ones() -> None:
    mine = ours(input="1", output="2")
    filled = with_special_prices(mine, ours(input="1", output="2", cached_input="0.1", cache_write="0"), "both")
    assert (filled.cached_input, filled.cache_write, filled.source) == (Decimal("0.1"), None, "both")
    assert with_special_prices(mine, ours(input="1", output="3", cached_input="0.1"), "both") is mine
