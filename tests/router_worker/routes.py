"""Routes, models and prices for the tests of the pure core."""

from datetime import date
from decimal import Decimal
from typing import Any

from schemas.catalogue import Model, Price, Route

TODAY = date(2026, 6, 15)


def price(**changes: Any) -> Price:
    fields: dict[str, Any] = {"start": date(2026, 1, 1), "input": "1", "output": "2", "source": "test", **changes}
    money = {"input", "output", "cached_input", "cache_write", "reasoning"}
    values: dict[str, Any] = {name: Decimal(value) if name in money else value for name, value in fields.items()}
    return Price(**values)


def route(vendor: str, **changes: Any) -> Route:
    fields: dict[str, Any] = {
        "vendor": vendor,
        "vendor_model": "m",
        "prices": (price(),),
        "context_tokens": 10_000,
        "max_output_tokens": 1_000,
    }
    return Route(**(fields | changes))


def model(*routes: Route) -> Model:
    return Model(model_id="m", name="M", provider="p", routes=routes)
