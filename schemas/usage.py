"""What happened and what it cost: one `AttemptEvent` per vendor call, one `RequestEvent` per finished request.

Both travel in a `UsageRecord`, so that a request that succeeds at its first route costs one Kafka record, not two.

Several may report on one attempt: the worker that made the call, when that went silent the ingress that saw its claim,
and when both did the billing consumer's audit. The worker's word wins (`billing_consumer.resolve`).
"""

from typing import Literal

import msgspec

from schemas.codec import RecordCodec
from schemas.envelope import Attribution, Surface

Origin = Literal["worker", "ingress", "intent", "audit", "correction"]
"""intent: written by a worker before a call that a lease pays for, at the call's upper bound. It counts for nothing by
itself; if by its deadline nobody has reported on the attempt (its worker and its ingress have both died), the billing
consumer reports it with the origin "audit". correction: what the vendor's own bill said later, by `tollhouse
corrections`, of an attempt that was reported on."""

AttemptOutcome = Literal["completed", "failed", "cancelled", "interrupted", "worker_lost"]
"""completed: the vendor's answer came whole. failed: it refused or broke before the first byte. interrupted: it broke
after it. cancelled: the client went away and the call was closed. worker_lost: told by others than its worker, at
the upper bound."""


class TokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one attempt. `cached_input` and `cache_write` are parts of `input`, `reasoning` is one of `output`.

    `cache_write_1h` is the part of `cache_write` that was written to a cache of an hour, which costs more.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0


class AttemptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One call to one vendor route. Times are unix ms, durations ms; `status` is the vendor's HTTP status, if any.

    `estimated` says that the vendor gave no usage figures, so `tokens` and `cost_pico_usd` are upper bounds.
    `price_id` names the dated price that `cost_pico_usd` was computed with; empty in a correction whose cost is the
    vendor's own figure.
    """

    attempt_id: str
    attempt_no: int
    delivery: int
    worker_id: str
    provider: str
    model: str
    vendor: str
    vendor_model: str
    started_at_ms: int
    ended_at_ms: int
    outcome: AttemptOutcome
    tokens: TokenCounts
    cost_pico_usd: int
    estimated: bool
    price_id: str
    first_byte_ms: int | None = None
    status: int | None = None
    failure: str | None = None
    vendor_request_id: str | None = None


class RequestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is over. `status` is the HTTP status that the client got (499: it had gone away).

    `queue_ms`, `first_byte_ms` and `total_ms` count from acceptance at the ingress: to the worker's hands, to the
    first byte for the client, to the end.
    """

    delivery: int
    accepted_at_ms: int
    finished_at_ms: int
    status: int
    attempts: int
    queue_ms: int
    total_ms: int
    first_byte_ms: int | None = None
    failure: str | None = None
    model: str | None = None
    vendor: str | None = None


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a `usage` record; its key is the project, so that one partition tells a project's story in order.

    `repeat` says that the same facts may already be in the topic (the producer could not learn whether its first try
    arrived), so the billing consumer must look before it counts.

    `accepted_at_ms`, when the ingress accepted the request, decides the budget period that all of its cost falls in (0
    in records from before budgets had periods: then each attempt's start does). `leases` are the envelope's.
    `deadline_ms` is the request's, in an intent only.
    """

    request_id: str
    origin: Origin
    attribution: Attribution
    surface: Surface
    streaming: bool
    requested_model: str
    attempts: tuple[AttemptEvent, ...] = ()
    request: RequestEvent | None = None
    repeat: bool = False
    accepted_at_ms: int = 0
    deadline_ms: int = 0
    leases: tuple[str, ...] = ()
    v: int = 1


USAGE = RecordCodec(UsageRecord, major=1)
