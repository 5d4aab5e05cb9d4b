"""Whether a request fits the rate limits of its key and its project, at once and in memory. Pure."""

from collections.abc import Callable

from ingress.admission import Ask, Refusal
from ingress.rates.meter import LimitKind, Meter, Second
from ingress.rates.meters import Meters
from ingress.rates.shares import Shares
from ingress.rates.wording import rate_headers, refusal
from ingress.worst_case import TEMPLATE_TOKENS, WorstCase
from runtime.clock import Clock
from schemas.tenancy import NO_LIMITS

BYTES_PER_TOKEN = 4
OUTPUT_TOKENS_IF_UNCAPPED = 512


def fair_tokens(worst_case: WorstCase) -> int:
    """What a request is taken for until its usage is known. A worst case takes each byte for a token, and the longest
    answer that the model could give: counted so, a limit would let through a fraction of what it says."""
    input_bytes = worst_case.tokens - worst_case.output_tokens - TEMPLATE_TOKENS
    return max(0, input_bytes) // BYTES_PER_TOKEN + _fair_output_tokens(worst_case)


def _fair_output_tokens(worst_case: WorstCase) -> int:
    most = worst_case.output_tokens
    return most if worst_case.capped else min(most, OUTPUT_TOKENS_IF_UNCAPPED)


class _Taken:
    """What a request has taken of one meter."""

    __slots__ = ("meter", "second", "tokens")

    def __init__(self, meter: Meter, second: Second, tokens: int) -> None:
        self.meter = meter
        self.second = second
        self.tokens = tokens


class RateTicket:
    """Of one request that was let through."""

    __slots__ = ("_answered", "_clock", "_over", "_taken")

    def __init__(self, taken: tuple[_Taken, ...], clock: Clock) -> None:
        self._taken = taken
        self._clock = clock
        self._answered = self._over = False

    @property
    def headers(self) -> dict[str, str]:
        """For the answer: how the limits stand now. Empty without limits."""
        if not self._taken:
            return {}
        now_s = self._clock.monotonic_s()
        for taken in self._taken:
            taken.meter.advance(now_s)
        return rate_headers(tuple(taken.meter for taken in self._taken), now_s)

    def answered(self) -> None:
        """Its place among concurrent requests is free. A second call does nothing."""
        if not self._answered:
            self._answered = True
            for taken in self._taken:
                taken.meter.concurrent -= 1

    def settle(self, cost_pico_usd: int, tokens: int) -> None:
        """Its tokens, input and output, are known. What is over the estimate counts from now, even beyond the limit:
        then later requests wait for it. A second call does nothing, nor does one after `cancel`."""
        if self._over:
            return
        self._over = True
        for taken in self._taken:
            taken.meter.open_tickets -= 1
            if tokens > taken.tokens:
                taken.meter.add_tokens(self._clock.monotonic_s(), tokens - taken.tokens)
            elif tokens < taken.tokens:
                taken.meter.give_back(taken.second, 0, taken.tokens - tokens)

    def cancel(self) -> None:
        """A later step has refused it: it never was. Instead of `answered` and `settle`."""
        if self._over:
            return
        self._over = True
        self.answered()
        for taken in self._taken:
            taken.meter.open_tickets -= 1
            taken.meter.give_back(taken.second, 1, taken.tokens)


class RateLimits:
    def __init__(self, meters: Meters, shares: Shares, clock: Clock, on_short: Callable[[], None]) -> None:
        """`on_short`: called when a request is refused that the whole limit might have let through."""
        self._meters = meters
        self._shares = shares
        self._clock = clock
        self._on_short = on_short
        self._free = RateTicket((), clock)

    def admit(self, ask: Ask) -> RateTicket | Refusal:
        """All limits or none: a refused request has taken nothing."""
        key, project = ask.caller
        key_meter = None if key.limits == NO_LIMITS else self._meters.of_key(key)
        project_meter = None if project.limits == NO_LIMITS else self._meters.of_project(project)
        if key_meter is None and project_meter is None:
            return self._free
        now_s = self._clock.monotonic_s()
        tokens = fair_tokens(ask.worst_case)
        key_tokens = project_tokens = tokens
        if key_meter is not None:
            refused = _check(key_meter, now_s, tokens)
            if refused is not None:
                if refused != "tokens" or not _last_resort(key_meter, ask.worst_case, tokens):
                    return self._refuse(key_meter, "API key", refused, ask.worst_case, now_s)
                key_tokens = key_meter.share_tokens
        if project_meter is not None:
            refused = _check(project_meter, now_s, tokens)
            if refused is not None:
                if refused != "tokens" or not _last_resort(project_meter, ask.worst_case, tokens):
                    return self._refuse(project_meter, "project", refused, ask.worst_case, now_s)
                project_tokens = project_meter.share_tokens
        if project_meter is None:
            assert key_meter is not None
            return RateTicket((_Taken(key_meter, key_meter.take(now_s, key_tokens), key_tokens),), self._clock)
        project_taken = _Taken(project_meter, project_meter.take(now_s, project_tokens), project_tokens)
        if key_meter is None:
            return RateTicket((project_taken,), self._clock)
        key_taken = _Taken(key_meter, key_meter.take(now_s, key_tokens), key_tokens)
        return RateTicket((key_taken, project_taken), self._clock)

    def _refuse(self, meter: Meter, whose: str, kind: LimitKind, worst_case: WorstCase, now_s: float) -> Refusal:
        if kind == "concurrent":
            meter.refused_concurrent += 1
        limit = meter.limit(kind)
        if limit is not None and meter.share(kind) < limit:
            self._on_short()
        amount = 1
        if kind == "tokens":
            output_tokens = _fair_output_tokens(worst_case)
            too_large = limit is not None and output_tokens > limit
            amount = output_tokens if too_large else min(fair_tokens(worst_case), meter.share_tokens)
        headers = rate_headers((meter,), now_s)
        return refusal(meter, whose, kind, amount, headers, now_s, len(self._shares.fellows) + 1)


def _check(meter: Meter, now_s: float, tokens: int) -> LimitKind | None:
    """The limit that the request does not fit. It has been asked for in any case, and may move shares here."""
    meter.advance(now_s)
    meter.asked_requests += 1
    meter.asked_tokens += tokens
    if meter.requests >= meter.share_requests:
        return "requests"
    if meter.tokens + tokens > meter.share_tokens:
        return "tokens"
    if meter.concurrent >= meter.share_concurrent:
        return "concurrent"
    return None


def _last_resort(meter: Meter, worst_case: WorstCase, tokens: int) -> bool:
    """A request that no share ever lets through, because a part of the limit is spread over all replicas, or because an
    image in it is taken for a long text. One replica at most has more than half of the limit; there it may have all of
    the share, if nobody else has used any, and what it really used is counted at its end. Only what the client itself
    allowed the model to write must fit the limit."""
    limit = meter.limits.tokens_per_minute
    if limit is None or meter.tokens > 0 or meter.concurrent >= meter.share_concurrent:
        return False
    return _fair_output_tokens(worst_case) <= limit < 2 * meter.share_tokens and meter.share_tokens < tokens
