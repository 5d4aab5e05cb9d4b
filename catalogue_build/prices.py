"""What the sources say a route costs → `schemas.catalogue.Price`. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from catalogue_build.genai_data import DatedPrices, GenaiModel, PriceTable, Tiered
from catalogue_build.litellm_data import Row, usd_per_million
from schemas.catalogue import Price, PriceTier

# Where the source gives no date, the price is taken to hold from here: before any use of it by this gateway.
NO_DATE = date(2025, 1, 1)

_KEYS: Mapping[str, str] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
}
_LITELLM_KEYS: Mapping[str, str] = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
SPECIAL = ("cached_input", "cache_write", "cache_write_1h")
# In thousands of tokens: the bounds that litellm has fields for.
_LITELLM_BOUNDS = (32, 100, 128, 200, 256, 272, 512)
# Media have prices of their own there, and answers in media are nothing that a text request's price could stand for.
_MEDIA_OUTPUT = ("output_image_mtok", "output_video_mtok")


class NotPriced(Exception):
    """Why a route cannot be in the catalogue: one of the headings of the report."""


def prices_of(model: GenaiModel, source: str, *, output_is_free: bool = False) -> tuple[Price, ...]:
    """In order of `start`, without repetitions. output_is_free: embeddings, whose rows give no price for output.

    Raises NotPriced.
    """
    rows = model.prices
    if any(row.by_time_of_day for row in rows):
        raise NotPriced("price depends on the time of day")
    in_batches = [row for when, row in model.variants if when == {"processing": "batch"}]
    starts = {row.start for row in (*rows, *in_batches) if row.start is not None and row.start > NO_DATE}
    prices: list[Price] = []
    for start in sorted({NO_DATE} | starts):
        batch = _overrides(in_batches, start)
        price = _price(start, _in_force(rows, start), batch, source, output_is_free=output_is_free)
        if not prices or msgspec.structs.replace(price, start=prices[-1].start) != prices[-1]:
            prices.append(price)
    return tuple(prices)


def _begun(row: DatedPrices, day: date) -> bool:
    return row.start is None or row.start <= day


def _in_force(rows: Sequence[DatedPrices], day: date) -> PriceTable:
    """The last row that has begun; before all of them the first, as genai-prices itself does it."""
    return next((row.prices for row in reversed(rows) if _begun(row, day)), rows[0].prices)


def _overrides(rows: Sequence[DatedPrices], day: date) -> PriceTable:
    """Key by key the first row that has begun: variants are resolved the other way round there."""
    found: dict[str, Decimal | Tiered] = {}
    for row in rows:
        if _begun(row, day):
            found = {**row.prices, **found}
    return found


def _price(start: date, table: PriceTable, batch: PriceTable, source: str, *, output_is_free: bool) -> Price:
    if any(key in table for key in _MEDIA_OUTPUT):
        raise NotPriced("answers in images or video")
    if "input_mtok" not in table:
        raise NotPriced("no price per token" if table else "free, or no price known")
    if "output_mtok" not in table and not output_is_free:
        raise NotPriced("no price for output")
    usd = {name: _base(table[key]) for name, key in _KEYS.items() if key in table}
    if output_is_free:
        usd["output"] = Decimal(0)
    if usd["input"] == usd["output"] == 0:
        raise NotPriced("free, or no price known")
    return Price(
        start=start,
        **usd,
        batch_input=_base(batch["input_mtok"]) if "input_mtok" in batch else None,
        batch_output=_base(batch["output_mtok"]) if "output_mtok" in batch else None,
        tiers=_tiers(table),
        source=source,
    )


def _tiers(table: PriceTable) -> tuple[PriceTier, ...]:
    """A tier has every price there is: one without tiers of its own costs in each tier what it costs below them."""
    bounds = sorted({start for key in _KEYS.values() for start, _ in _steps(table.get(key))})
    return tuple(
        PriceTier(
            above_input_tokens=bound,
            **{"output": Decimal(0)} | {name: _above(table[key], bound) for name, key in _KEYS.items() if key in table},
        )
        for bound in bounds
    )


def _steps(price: Decimal | Tiered | None) -> tuple[tuple[int, Decimal], ...]:
    return price.tiers if isinstance(price, Tiered) else ()


def _base(price: Decimal | Tiered) -> Decimal:
    return plain(price.base if isinstance(price, Tiered) else price)


def _above(price: Decimal | Tiered, bound: int) -> Decimal:
    reached = [usd for start, usd in _steps(price) if start <= bound]
    return plain(reached[-1]) if reached else _base(price)


def plain(usd: Decimal) -> Decimal:
    """The same amount in the fewest digits and without an exponent, so that equal amounts are written alike."""
    return Decimal(format(usd.normalize(), "f"))


def litellm_price(row: Row, day: date, source: str) -> Price | None:
    """What the second source says it costs today; None if it says nothing of tokens."""
    usd = _litellm_usd(row, "")
    if "input" not in usd:
        return None
    tiers = [
        PriceTier(above_input_tokens=bound * 1000, **({"output": Decimal(0)} | usd | above))
        for bound in _LITELLM_BOUNDS
        if (above := _litellm_usd(row, f"_above_{bound}k_tokens"))
    ]
    return Price(start=day, **({"output": Decimal(0)} | usd), tiers=tuple(tiers), source=source)


def _litellm_usd(row: Row, suffix: str) -> dict[str, Decimal]:
    found = {name: usd_per_million(row, f"{key}{suffix}") for name, key in _LITELLM_KEYS.items()}
    return {name: plain(usd) for name, usd in found.items() if usd is not None}


def differences(ours: Price, theirs: Price) -> list[tuple[str, str, str]]:
    """(field, ours, theirs) wherever the second source says something else; where it is silent it does not disagree."""
    found = [
        (name, _said(getattr(ours, name)), _said(value))
        for name in _LITELLM_KEYS
        if (value := getattr(theirs, name)) is not None and value != (said := getattr(ours, name)) and (value or said)
    ]
    our_tiers, their_tiers = _tier_line(ours.tiers), _tier_line(theirs.tiers)
    if our_tiers != their_tiers:
        found.append(("tiers", our_tiers, their_tiers))
    return found


def _said(usd: Decimal | None) -> str:
    return "—" if usd is None else str(usd)


def _tier_line(tiers: tuple[PriceTier, ...]) -> str:
    """Bounds to the nearest thousand: "above 199,999" and "above 200,000" differ by the one request between them."""
    return ", ".join(f">{round(tier.above_input_tokens, -3)}: {tier.input}/{tier.output}" for tier in tiers) or "—"


def with_special_prices(ours: Price, theirs: Price, source: str) -> Price:
    """Ours, with the prices for cached tokens that only the second source has. Only where both agree on the plain
    prices, and neither has tiers: else the two might speak of different offers. Zeros are left out: they stand where a
    vendor does not charge for cache writes apart, and there such tokens are plain input."""
    if (ours.input, ours.output) != (theirs.input, theirs.output) or ours.tiers or theirs.tiers:
        return ours
    missing = {name: getattr(theirs, name) for name in SPECIAL if getattr(ours, name) is None}
    given = {name: usd for name, usd in missing.items() if usd}
    return msgspec.structs.replace(ours, **given, source=source) if given else ours
