"""Prices of the simulated vendors, and the exact cost of a call in whole atto-USD (10^-18 USD)."""

import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

DEFAULT_PRICES_PATH = Path(__file__).with_name("prices.toml")

_ATTO_USD_PER_USD = 10**18
_ATTO_PER_TOKEN_FOR_USD_PER_MILLION = 10**12
_PRICE_FIELDS = frozenset({"input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning"})


class PriceError(ValueError):
    """The price file cannot be used; the message names the entry."""


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What one token costs, in atto-USD. Integers, so that sums over millions of calls stay exact."""

    input_atto_usd: int
    cached_input_atto_usd: int
    output_atto_usd: int
    reasoning_atto_usd: int
    cache_write_atto_usd: int
    cache_write_1h_atto_usd: int

    def cost_atto_usd(
        self,
        prompt_tokens: int,
        cached_tokens: int,
        completion_tokens: int,
        reasoning_tokens: int,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
    ) -> int:
        """Cached and written tokens are parts of the prompt tokens, reasoning tokens of the completion tokens."""
        return (
            (prompt_tokens - cached_tokens - cache_write_tokens - cache_write_1h_tokens) * self.input_atto_usd
            + cached_tokens * self.cached_input_atto_usd
            + cache_write_tokens * self.cache_write_atto_usd
            + cache_write_1h_tokens * self.cache_write_1h_atto_usd
            + (completion_tokens - reasoning_tokens) * self.output_atto_usd
            + reasoning_tokens * self.reasoning_atto_usd
        )


class PriceTable:
    """Looks a price up by vendor and model: the exact pair, then any vendor (`*`), then the default."""

    def __init__(self, default: ModelPrice, by_vendor: dict[str, dict[str, ModelPrice]]) -> None:
        self._default = default
        self._by_vendor = by_vendor

    def price(self, vendor: str, model: str) -> ModelPrice:
        for key in (vendor, "*"):
            found = self._by_vendor.get(key, {}).get(model)
            if found is not None:
                return found
        return self._default

    def models(self, vendor: str) -> list[str]:
        """Models with a price of their own at this vendor."""
        return sorted({*self._by_vendor.get(vendor, {}), *self._by_vendor.get("*", {})})


def load_prices(path: Path = DEFAULT_PRICES_PATH) -> PriceTable:
    return parse_prices(path.read_text(encoding="utf-8"))


def parse_prices(toml_text: str) -> PriceTable:
    """Raises PriceError for a missing default, an unknown key or a price that is not a decimal string."""
    document = tomllib.loads(toml_text)
    default = document.pop("default", None)
    if default is None:
        raise PriceError("the price file needs a [default] entry")
    by_vendor: dict[str, dict[str, ModelPrice]] = {}
    for vendor, models in document.items():
        if not isinstance(models, dict):
            raise PriceError(f"[{vendor}] must hold models")
        by_vendor[vendor] = {model: _model_price(entry, f"{vendor}.{model}") for model, entry in models.items()}
    return PriceTable(_model_price(default, "default"), by_vendor)


def usd_text(atto_usd: int) -> str:
    """Plain decimal notation without an exponent or trailing zeros: 100000000000 -> "0.0000001"."""
    whole, fraction = divmod(atto_usd, _ATTO_USD_PER_USD)
    digits = f"{fraction:018d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _model_price(entry: Any, where: str) -> ModelPrice:
    if not isinstance(entry, dict) or not entry.keys() <= _PRICE_FIELDS:
        raise PriceError(f"{where}: an entry may hold only {', '.join(sorted(_PRICE_FIELDS))}")
    for required in ("input", "output"):
        if required not in entry:
            raise PriceError(f"{where}: {required} is missing")
    per_token = {name: _atto_usd_per_token(value, f"{where}.{name}") for name, value in entry.items()}
    return ModelPrice(
        input_atto_usd=per_token["input"],
        cached_input_atto_usd=per_token.get("cached_input", per_token["input"]),
        output_atto_usd=per_token["output"],
        reasoning_atto_usd=per_token.get("reasoning", per_token["output"]),
        cache_write_atto_usd=per_token.get("cache_write", per_token["input"]),
        cache_write_1h_atto_usd=per_token.get("cache_write_1h", per_token.get("cache_write", per_token["input"])),
    )


def _atto_usd_per_token(value: object, where: str) -> int:
    if not isinstance(value, str):
        raise PriceError(f"{where}: write the price as a string, a float is not exact")
    try:
        scaled = Decimal(value) * _ATTO_PER_TOKEN_FOR_USD_PER_MILLION
    except InvalidOperation:
        raise PriceError(f"{where}: {value!r} is not a decimal number") from None
    if not scaled.is_finite() or scaled < 0 or scaled != int(scaled):
        raise PriceError(f"{where}: {value!r} must be zero or more, with at most 12 decimals")
    return int(scaled)
