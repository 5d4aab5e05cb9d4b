"""The ledger: every call that reached the simulator, its tokens and its exact cost.

Rules of billing, which a test may rely on:
- `cost_usd` of an entry is always its tokens times the prices; there is no other term.
- The prompt is charged when generation begins (after `ttft_ms`); a call that failed or was left before that
  has no tokens and costs nothing.
- `prompt_tokens` contains `cached_tokens` and both figures of cache writes, whatever the wire's own fields contain.
- A call that was hung up on, or broken, is charged for the tokens generated up to then.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal, TypedDict

import msgspec

from deploy.local.vendors.prices import ModelPrice, usd_text

Outcome = Literal["in_progress", "completed", "error", "hung_up", "broken"]

DEFAULT_MAX_ENTRIES = 2_000_000
NO_MODEL = "(none)"


class CallRow(TypedDict):
    """One entry as served by GET /ledger; times are unix seconds, `cost_usd` an exact decimal string."""

    call: int
    vendor: str
    model: str | None
    request_id_header: str | None
    idempotency_key: str | None
    received_at: float
    stream: bool | None
    status: int | None
    outcome: Outcome
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    usage_sent: bool
    cost_usd: str
    hung_up_after_s: float | None
    ended_at: float | None


# gc=False keeps millions of entries out of the collector's walks, whose pauses would show in latency figures.
# It is safe because an entry only refers to strings, numbers and a frozen price: it can be in no cycle.
class Call(msgspec.Struct, gc=False, kw_only=True):
    """One call. `model` and `stream` are None while (or if) the body could not be read."""

    number: int
    vendor: str
    attempt_id: str | None
    idempotency_key: str | None
    received_at: float
    model: str | None = None
    price: ModelPrice | None = None
    stream: bool | None = None
    status: int | None = None
    outcome: Outcome = "in_progress"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    usage_sent: bool = False
    ended_at: float | None = None

    def cost_atto_usd(self) -> int:
        if self.price is None:
            return 0
        return self.price.cost_atto_usd(
            self.prompt_tokens,
            self.cached_tokens,
            self.completion_tokens,
            self.reasoning_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
        )

    def row(self) -> CallRow:
        hung_up = self.outcome == "hung_up" and self.ended_at is not None
        return CallRow(
            call=self.number,
            vendor=self.vendor,
            model=self.model,
            request_id_header=self.attempt_id,
            idempotency_key=self.idempotency_key,
            received_at=self.received_at,
            stream=self.stream,
            status=self.status,
            outcome=self.outcome,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            reasoning_tokens=self.reasoning_tokens,
            cache_write_tokens=self.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens,
            usage_sent=self.usage_sent,
            cost_usd=usd_text(self.cost_atto_usd()),
            hung_up_after_s=self.ended_at - self.received_at if hung_up and self.ended_at else None,
            ended_at=self.ended_at,
        )


class Totals(msgspec.Struct):
    """Exact sums; they keep counting when old entries are evicted."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cost_atto_usd: int = 0

    def add_call(self, call: Call) -> None:
        self.calls += 1
        # Refused calls are the commonest under load tests of faults, and have nothing to add.
        if call.prompt_tokens or call.completion_tokens:
            self.prompt_tokens += call.prompt_tokens
            self.cached_tokens += call.cached_tokens
            self.completion_tokens += call.completion_tokens
            self.reasoning_tokens += call.reasoning_tokens
            self.cache_write_tokens += call.cache_write_tokens
            self.cache_write_1h_tokens += call.cache_write_1h_tokens
            self.cost_atto_usd += call.cost_atto_usd()

    def add(self, other: "Totals") -> None:
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.completion_tokens += other.completion_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.cache_write_1h_tokens += other.cache_write_1h_tokens
        self.cost_atto_usd += other.cost_atto_usd

    def row(self) -> dict[str, int | str]:
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "cache_write_1h_tokens": self.cache_write_1h_tokens,
            "cost_usd": usd_text(self.cost_atto_usd),
        }


class Ledger:
    """Entries in the order in which calls arrived; the oldest are evicted beyond `max_entries`."""

    def __init__(self, clock: Callable[[], float], max_entries: int = DEFAULT_MAX_ENTRIES) -> None:
        """`clock` gives unix seconds."""
        self._clock = clock
        self._entries: deque[Call] = deque(maxlen=max_entries)
        self._last_number = 0
        self._open: dict[int, Call] = {}
        self._closed: dict[tuple[str, str | None, Outcome], Totals] = {}
        self._counted = 0

    def open(self, vendor: str, attempt_id: str | None, idempotency_key: str | None) -> Call:
        self._last_number = number = self._last_number + 1
        call = Call(
            number=number,
            vendor=vendor,
            attempt_id=attempt_id,
            idempotency_key=idempotency_key,
            received_at=self._clock(),
        )
        self._entries.append(call)
        self._open[number] = call
        self._counted += 1
        return call

    def close(self, call: Call, outcome: Outcome, status: int | None) -> None:
        """The first close stands: what a caller does after the end of its call changes nothing."""
        if call.ended_at is not None:
            return
        call.ended_at = self._clock()
        call.outcome = outcome
        call.status = status
        # A call begun before clear() is no longer counted.
        if self._open.pop(call.number, None) is None:
            return
        key = (call.vendor, call.model, outcome)
        totals = self._closed.get(key)
        if totals is None:
            totals = self._closed[key] = Totals()
        totals.add_call(call)

    def clear(self) -> int:
        """Forgets entries and totals; numbers go on rising, so that a reader's `since` stays valid."""
        counted = self._counted
        self._entries.clear()
        self._open.clear()
        self._closed.clear()
        self._counted = 0
        return counted

    def rows(self, since: int, attempt_id: str | None, model: str | None, limit: int) -> tuple[list[CallRow], int]:
        """Entries with a number above `since`, and the number to pass as the next `since`.

        An entry handed out as in_progress is not handed out again by `since`.
        """
        skipped = max(0, since + 1 - self._entries[0].number) if self._entries else 0
        found: list[CallRow] = []
        next_since = since
        for call in islice(self._entries, skipped, None):
            if len(found) == limit:
                break
            next_since = call.number
            if attempt_id is not None and call.attempt_id != attempt_id:
                continue
            if model is not None and call.model != model:
                continue
            found.append(call.row())
        return found, next_since

    def summary(self) -> dict[str, object]:
        """Totals over all calls since the start or the last clear, calls in progress with their tokens so far."""
        everything = Totals()
        by_vendor: dict[str, Totals] = {}
        by_model: dict[str, Totals] = {}
        by_outcome: dict[str, Totals] = {}
        for (vendor, model, outcome), totals in [*self._closed.items(), *_single_calls(self._open.values())]:
            everything.add(totals)
            by_vendor.setdefault(vendor, Totals()).add(totals)
            by_model.setdefault(NO_MODEL if model is None else model, Totals()).add(totals)
            by_outcome.setdefault(outcome, Totals()).add(totals)
        return {
            **everything.row(),
            "entries_kept": len(self._entries),
            "last_call": self._last_number,
            "by_vendor": _rows(by_vendor),
            "by_model": _rows(by_model),
            "by_outcome": _rows(by_outcome),
        }


def _single_calls(calls: Iterable[Call]) -> Iterable[tuple[tuple[str, str | None, Outcome], Totals]]:
    for call in calls:
        totals = Totals()
        totals.add_call(call)
        yield (call.vendor, call.model, call.outcome), totals


def _rows(groups: dict[str, Totals]) -> dict[str, dict[str, int | str]]:
    return {name: groups[name].row() for name in sorted(groups)}
