"""Money is an integer number of pico-USD (10⁻¹² USD). Floats never touch it.

Why pico: vendor prices are quoted per million tokens with up to six decimals, so one token costs a whole number of
pico-USD, and sums of any length stay exact. ClickHouse stores the same figure as `Decimal(38, 12)` USD.
"""

from decimal import ROUND_HALF_UP, Context, Decimal

PICO_PER_USD = 10**12

# 38 digits are what ClickHouse's Decimal(38, 12) holds; the default context's 28 would round large sums.
_CONTEXT = Context(prec=50, rounding=ROUND_HALF_UP)
_PICO = Decimal(1).scaleb(-12)


def usd_to_pico(usd: Decimal | str | int) -> int:
    """Pico-USD of an amount in USD, rounded half up below a pico-dollar.

    Raises ValueError for anything that is not a finite decimal number. Floats are refused by type, not rounded.
    """
    if isinstance(usd, float):
        raise ValueError(f"{usd!r} is a float; write money as a string or a Decimal")
    try:
        amount = Decimal(usd)
    except ArithmeticError as error:
        raise ValueError(f"{usd!r} is not an amount in USD") from error
    if not amount.is_finite():
        raise ValueError(f"{usd!r} is not a finite amount")
    try:
        return int(amount.quantize(_PICO, context=_CONTEXT).scaleb(12, context=_CONTEXT))
    except ArithmeticError as error:
        raise ValueError(f"{usd!r} is too large an amount") from error


def pico_to_usd(pico_usd: int) -> Decimal:
    """USD as an exact Decimal with twelve decimals, the form that ClickHouse takes."""
    return Decimal(pico_usd).scaleb(-12, context=_CONTEXT)


def format_usd(pico_usd: int) -> str:
    """USD for people and headers: exact, without trailing zeros, never in exponent form."""
    text = f"{pico_to_usd(pico_usd):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
