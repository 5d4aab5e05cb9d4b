"""What an attempt cost, exactly. Pure."""

from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

import msgspec

from schemas.catalogue import Price, PriceTier
from schemas.usage import TokenCounts

# Prices have few digits and token counts too: 60 digits hold any product and sum of them without rounding.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)
_ONE = Decimal(1)
# A price is USD per million tokens, so a token costs price × 10⁻⁶ USD = price × 10⁶ pico-USD.
_PICO_PER_TOKEN = Decimal(10**6)

FREE = Price(start=date.min, input=Decimal(0), output=Decimal(0), source="free of charge")
"""For calls that no vendor charges for."""


def consistent(tokens: TokenCounts) -> TokenCounts:
    """The same counts, with parts cut to what their whole has room for and nothing below zero.

    The very same object if nothing had to be cut, so `consistent(tokens) is not tokens` flags a vendor that contradicts
    itself. The whole (`input`, `output`) is believed and the parts are cut, because a part is what makes tokens
    cheaper or dearer, and cached tokens beyond the input would otherwise make the rest of the input negative.
    """
    whole_input = max(0, tokens.input)
    cached = min(max(0, tokens.cached_input), whole_input)
    written = min(max(0, tokens.cache_write), whole_input - cached)
    written_1h = min(max(0, tokens.cache_write_1h), written)
    whole_output = max(0, tokens.output)
    reasoning = min(max(0, tokens.reasoning), whole_output)
    fixed = TokenCounts(
        input=whole_input,
        cached_input=cached,
        cache_write=written,
        cache_write_1h=written_1h,
        output=whole_output,
        reasoning=reasoning,
    )
    return tokens if fixed == tokens else fixed


def dearest(price: Price) -> Price:
    """For upper bounds: how many of the tokens are written to a cache, or are reasoning, or whether they pass a tier's
    bound by the vendor's own count, is not known, and any of it may cost more than plain tokens do."""
    steps: tuple[Price | PriceTier, ...] = (price, *price.tiers)
    inputs = [
        usd for step in steps for usd in (step.input, step.cached_input, step.cache_write, step.cache_write_1h) if usd
    ]
    outputs = [usd for step in steps for usd in (step.output, step.reasoning) if usd]
    zero = Decimal(0)
    return msgspec.structs.replace(price, input=max(inputs, default=zero), output=max(outputs, default=zero), tiers=())


def cost_pico_usd(tokens: TokenCounts, price: Price) -> int:
    """Pico-USD, rounded half up once, at the end. Never negative; inconsistent counts are made `consistent` first."""
    counts = consistent(tokens)
    step = _step(counts.input, price)
    cache_write = step.input if step.cache_write is None else step.cache_write
    terms = (
        (counts.input - counts.cached_input - counts.cache_write, step.input),
        (counts.cached_input, step.input if step.cached_input is None else step.cached_input),
        (counts.cache_write - counts.cache_write_1h, cache_write),
        (counts.cache_write_1h, cache_write if step.cache_write_1h is None else step.cache_write_1h),
        (counts.output - counts.reasoning, step.output),
        (counts.reasoning, step.output if step.reasoning is None else step.reasoning),
    )
    total = Decimal(0)
    for count, usd_per_million in terms:
        if count:
            total = _CONTEXT.fma(Decimal(count), usd_per_million, total)
    return int(_CONTEXT.multiply(total, _PICO_PER_TOKEN).quantize(_ONE, context=_CONTEXT))


def _step(input_tokens: int, price: Price) -> Price | PriceTier:
    """The highest tier that the input is above; vendors charge the whole request by it, not only what is above."""
    reached = [tier for tier in price.tiers if input_tokens > tier.above_input_tokens]
    return max(reached, key=lambda tier: tier.above_input_tokens) if reached else price
