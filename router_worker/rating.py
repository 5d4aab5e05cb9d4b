"""What an attempt cost, exactly. Pure."""

from decimal import ROUND_HALF_UP, Context, Decimal

import msgspec

from schemas.catalogue import Price
from schemas.usage import TokenCounts

# Prices have few digits and token counts too: 60 digits hold any product and sum of them without rounding.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)
_ONE = Decimal(1)
# A price is USD per million tokens, so a token costs price × 10⁻⁶ USD = price × 10⁶ pico-USD.
_PICO_PER_TOKEN = Decimal(10**6)


def consistent(tokens: TokenCounts) -> TokenCounts:
    """The same counts, with parts cut to what their whole has room for and nothing below zero.

    The very same object if nothing had to be cut, so `consistent(tokens) is not tokens` flags a vendor that contradicts
    itself. The whole (`input`, `output`) is believed and the parts are cut, because a part is what makes tokens
    cheaper or dearer, and cached tokens beyond the input would otherwise make the rest of the input negative.
    """
    whole_input = max(0, tokens.input)
    cached = min(max(0, tokens.cached_input), whole_input)
    written = min(max(0, tokens.cache_write), whole_input - cached)
    whole_output = max(0, tokens.output)
    reasoning = min(max(0, tokens.reasoning), whole_output)
    fixed = TokenCounts(
        input=whole_input, cached_input=cached, cache_write=written, output=whole_output, reasoning=reasoning
    )
    return tokens if fixed == tokens else fixed


def dearest(price: Price) -> Price:
    """For upper bounds: how many of the tokens are written to a cache, or are reasoning, is not known, and either may
    cost more than plain ones do."""
    inputs = (price.input, price.cached_input, price.cache_write)
    outputs = (price.output, price.reasoning)
    return msgspec.structs.replace(
        price,
        input=max(usd for usd in inputs if usd is not None),
        output=max(usd for usd in outputs if usd is not None),
    )


def cost_pico_usd(tokens: TokenCounts, price: Price) -> int:
    """Pico-USD, rounded half up once, at the end. Never negative; inconsistent counts are made `consistent` first."""
    counts = consistent(tokens)
    terms = (
        (counts.input - counts.cached_input - counts.cache_write, price.input),
        (counts.cached_input, price.input if price.cached_input is None else price.cached_input),
        (counts.cache_write, price.input if price.cache_write is None else price.cache_write),
        (counts.output - counts.reasoning, price.output),
        (counts.reasoning, price.output if price.reasoning is None else price.reasoning),
    )
    total = Decimal(0)
    for count, usd_per_million in terms:
        if count:
            total = _CONTEXT.fma(Decimal(count), usd_per_million, total)
    return int(_CONTEXT.multiply(total, _PICO_PER_TOKEN).quantize(_ONE, context=_CONTEXT))
