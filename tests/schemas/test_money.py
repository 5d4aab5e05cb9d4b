"""Money is exact, or refused."""

from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import PICO_PER_USD, format_usd, pico_to_usd, usd_to_pico

# What ClickHouse's Decimal(38, 12) holds.
PICO_USD = st.integers(-(10**38) + 1, 10**38 - 1)
USD_PER_MILLION = st.decimals(0, 10_000, places=6)


@given(PICO_USD)
def test_every_amount_survives_the_way_to_usd_and_back(pico_usd: int) -> None:
    usd = pico_to_usd(pico_usd)
    assert usd_to_pico(usd) == pico_usd
    assert usd.as_tuple().exponent == -12


@given(PICO_USD)
def test_what_people_read_is_the_exact_amount_in_its_shortest_form(pico_usd: int) -> None:
    text = format_usd(pico_usd)
    assert usd_to_pico(text) == pico_usd
    assert not set(text) - set("-0123456789.")
    assert "." not in text or text[-1] not in "0."


@given(st.lists(st.integers(0, 10**34), max_size=200))
def test_a_sum_in_usd_is_the_sum_in_pico_usd_to_the_last_digit(amounts: list[int]) -> None:
    with localcontext(Context(prec=60)):
        in_usd = sum((pico_to_usd(amount) for amount in amounts), Decimal(0))
    assert in_usd == pico_to_usd(sum(amounts))
    assert usd_to_pico(in_usd) == sum(amounts)


@given(USD_PER_MILLION)
def test_one_token_costs_a_whole_number_of_pico_usd(usd_per_million: Decimal) -> None:
    """The reason for the unit: vendors quote USD per million tokens with up to six decimals."""
    per_million = usd_to_pico(usd_per_million)
    assert per_million % 1_000_000 == 0
    assert pico_to_usd(per_million) == usd_per_million


@pytest.mark.parametrize(
    ("usd", "pico_usd"),
    [
        ("0", 0),
        (0, 0),
        (7, 7 * PICO_PER_USD),
        ("0.15", 150_000_000_000),
        ("-0.000000000001", -1),
        ("0.0000000000005", 1),
        ("0.00000000000049", 0),
        ("-0.0000000000005", -1),
        ("1e-6", 1_000_000),
        (Decimal("99999999999999999999999999.999999999999"), 10**38 - 1),
    ],
)
def test_amounts_are_read_and_rounded_half_up(usd: Decimal | str | int, pico_usd: int) -> None:
    assert usd_to_pico(usd) == pico_usd


@given(st.floats())
def test_floats_are_refused_by_type(amount: float) -> None:
    refused: Any = amount
    with pytest.raises(ValueError, match="is a float"):
        usd_to_pico(refused)


@pytest.mark.parametrize("usd", ["", "one", "NaN", "sNaN", "Infinity", "-inf", "1,5", "$1", "1e60", "1e999999999"])
def test_what_is_no_amount_is_refused_with_a_value_error(usd: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        usd_to_pico(usd)


@pytest.mark.parametrize(
    ("pico_usd", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (10 * PICO_PER_USD, "10"),
        (1_500_000_000_000, "1.5"),
        (100 * PICO_PER_USD + 10, "100.00000000001"),
        (10**38 - 1, "99999999999999999999999999.999999999999"),
    ],
)
def test_amounts_for_people(pico_usd: int, text: str) -> None:
    assert format_usd(pico_usd) == text
