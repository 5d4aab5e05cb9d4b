"""Looking up models, prices and API keys."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Model, Price, Route
from schemas.tenancy import hash_api_key

FIRST_DAY = date(2025, 1, 1)
DAYS = st.integers(0, 4000).map(lambda days: FIRST_DAY + timedelta(days=days))


def price(start: date) -> Price:
    return Price(start=start, input=Decimal("0.15"), output=Decimal("0.6"), source="a test")


def route(*prices: Price) -> Route:
    return Route(
        vendor="azure", vendor_model="mini-eu", prices=prices, context_tokens=128_000, max_output_tokens=16_384
    )


def model(model_id: str, name: str, *aliases: str) -> Model:
    return Model(model_id=model_id, name=name, provider="openai", routes=(route(price(FIRST_DAY)),), aliases=aliases)


@given(st.sets(DAYS, max_size=8).map(sorted), DAYS)
def test_the_price_in_force_is_the_last_that_has_started(starts: list[date], day: date) -> None:
    found = route(*(price(start) for start in starts)).price_at(day)
    started = [start for start in starts if start <= day]
    assert (found.start if found else None) == (max(started) if started else None)


def test_a_price_holds_from_its_first_day_to_the_day_before_the_next() -> None:
    changing = route(price(date(2025, 1, 1)), price(date(2025, 6, 1)))
    starts = [
        found.start if (found := changing.price_at(day)) else None
        for day in (date(2024, 12, 31), date(2025, 1, 1), date(2025, 5, 31), date(2025, 6, 1), date(2099, 1, 1))
    ]
    assert starts == [None, date(2025, 1, 1), date(2025, 1, 1), date(2025, 6, 1), date(2025, 6, 1)]


def test_a_price_id_names_route_and_day() -> None:
    dated = price(date(2025, 6, 1))
    assert route(dated).price_id(dated) == "azure/mini-eu@2025-06-01"


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini", "GPT-4O-MINI", "openai/gpt-4o-mini", "OpenAI/GPT-4o-mini", "GPT-4o Mini", "mini", "MINI"]
)
def test_a_model_is_found_by_each_of_its_names_in_any_case(name: str) -> None:
    catalogue = Catalogue((model("gpt-4o", "GPT-4o"), model("gpt-4o-mini", "GPT-4o Mini", "mini", "Small")))
    found = catalogue.find(name)
    assert found is not None
    assert found.model_id == "gpt-4o-mini"


@pytest.mark.parametrize("name", ["", "gpt-4", "azure/gpt-4o-mini", "mini-eu", "gpt-4o-mini "])
def test_a_name_that_no_model_has_finds_nothing(name: str) -> None:
    assert Catalogue((model("gpt-4o-mini", "GPT-4o Mini"),)).find(name) is None


def test_a_mistyped_field_of_a_price_is_an_error() -> None:
    """A price under a misspelt name would silently count as the plain one."""
    written: dict[str, Any] = {"start": "2025-01-01", "input": "1", "output": "2", "source": "s", "cached_imput": "0.1"}
    with pytest.raises(msgspec.ValidationError, match="cached_imput"):
        msgspec.convert(written, Price)


def test_the_hash_is_plain_sha256_in_hex() -> None:
    """Keys hashed by another tool, or by an earlier version, must still open."""
    assert hash_api_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
