"""What a client is told of its rate limits: x-ratelimit-* headers, and refusals. Pure.

The headers are OpenAI's (documented in its guide on rate limits, and passed on by its SDKs as they are): limit and
remaining are whole numbers, reset is how long until the limit is as if nobody had called, written like "6m0s".
`remaining` is what this replica may still take; it is less than what all replicas together may.
"""

import math

from ingress.admission import Refusal
from ingress.rates.meter import UNLIMITED, LimitKind, Meter
from schemas.failures import Failure, FailureKind

RETRY_SHARE_S = 1.0
"""When this replica has less than an even share: by then, others will have given it of theirs."""

MAX_RETRY_S = 60.0

_CODES: dict[LimitKind, str] = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "concurrent": "concurrent_requests",
}
_UNITS: dict[LimitKind, str] = {
    "requests": "requests per minute",
    "tokens": "tokens per minute",
    "concurrent": "concurrent requests",
}


def duration(seconds: float) -> str:
    """Whole seconds, rounded up: "0s", "59s", "1m1s"."""
    whole = math.ceil(max(0.0, seconds))
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"


def rate_headers(meters: tuple[Meter, ...], now_s: float) -> dict[str, str]:
    """Of the meter that has least left, for each of requests and tokens; `advance` has been called on all."""
    headers: dict[str, str] = {}
    tightest, left = None, UNLIMITED
    for meter in meters:
        if meter.limits.requests_per_minute is not None and meter.share_requests - meter.requests < left:
            tightest, left = meter, meter.share_requests - meter.requests
    if tightest is not None:
        headers["x-ratelimit-limit-requests"] = str(tightest.limits.requests_per_minute)
        headers["x-ratelimit-remaining-requests"] = str(max(0, left))
        headers["x-ratelimit-reset-requests"] = duration(tightest.empty_in_s(now_s))
    tightest, left = None, UNLIMITED
    for meter in meters:
        if meter.limits.tokens_per_minute is not None and meter.share_tokens - meter.tokens < left:
            tightest, left = meter, meter.share_tokens - meter.tokens
    if tightest is not None:
        headers["x-ratelimit-limit-tokens"] = str(tightest.limits.tokens_per_minute)
        headers["x-ratelimit-remaining-tokens"] = str(max(0, left))
        headers["x-ratelimit-reset-tokens"] = duration(tightest.empty_in_s(now_s))
    return headers


def refusal(
    meter: Meter, whose: str, kind: LimitKind, amount: int, headers: dict[str, str], now_s: float, replicas: int
) -> Refusal:
    """`whose`: "API key" or "project". `amount`: what the request asked for. `replicas`: how many share the limit."""
    limit = meter.limit(kind)
    assert limit is not None, "refused by a limit that there is not"
    if amount > limit:
        text = (
            f"The request allows {amount} tokens of output, and this {whose} may use {limit} tokens per minute."
            " Ask for fewer."
        )
        return Refusal(Failure(kind=FailureKind.RATE_LIMITED, message=text, code=_CODES[kind]), headers)
    retry_s = RETRY_SHARE_S
    if kind != "concurrent" and meter.share(kind) * replicas >= limit:
        free_in_s = meter.free_in_s(kind, amount, now_s)
        retry_s = min(MAX_RETRY_S, max(RETRY_SHARE_S, free_in_s))
    text = f"The rate limit of this {whose} is reached: {limit} {_UNITS[kind]}."
    failure = Failure(
        kind=FailureKind.RATE_LIMITED, message=text, code=_CODES[kind], retry_after_s=float(math.ceil(retry_s))
    )
    return Refusal(failure, headers)
