"""Usage records to reports with rows. Pure, and the hottest code of the service: one pass, no lookups by name.

A record that ClickHouse could not take (a negative count, a number that is too large) is refused here, one by one:
found at the insert, it would hold up its whole partition for ever.
"""

from typing import NamedTuple

from billing_consumer.intents import intent_row
from billing_consumer.resolve import Report, is_unusual, rank_of
from billing_consumer.tables import Row
from schemas.codec import UndecodableRecord
from schemas.money import pico_to_usd
from schemas.usage import USAGE, AttemptEvent, RequestEvent, UsageRecord

MAX_NUMBER = 2**32 - 1
MAX_COUNT = 2**53
MAX_TIME_MS = 4_102_444_800_000
"""The year 2100. A wrong clock must not make a partition of ClickHouse for each month of the far future."""
MAX_COST_PICO_USD = 10**24
"""10¹² USD for one attempt; 10¹⁴ such attempts still fit the sums' Decimal(38, 12)."""
MAX_STATUS = 999


class Said(NamedTuple):
    """What one Kafka record says: reports on attempts, and on the request if it tells of its end; or intents only."""

    attempts: list[Report]
    request: Report | None
    intents: list[Row]


def read_record(value: bytes, partition: int, offset: int) -> Said:
    """Raises UndecodableRecord, never anything else."""
    record = USAGE.decode(value)
    attempts = [_attempt(record, event, partition, offset) for event in record.attempts]
    if record.origin == "intent":
        if not 0 <= record.deadline_ms <= MAX_TIME_MS:
            raise UndecodableRecord("UsageRecord: the deadline of the intent is out of range")
        return Said([], None, [intent_row(record, event, partition, offset) for event in record.attempts])
    request = None if record.request is None else _request(record, record.request, partition, offset)
    return Said(attempts, request, [])


def _attempt(record: UsageRecord, event: AttemptEvent, partition: int, offset: int) -> Report:
    who = record.attribution
    tokens = event.tokens
    counts = (
        tokens.input,
        tokens.cached_input,
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.output,
        tokens.reasoning,
    )
    accepted_at_ms = record.accepted_at_ms or event.started_at_ms
    times_ms = (accepted_at_ms, event.started_at_ms, event.ended_at_ms)
    _check((event.attempt_no, event.delivery), event.status, counts, times_ms, "attempt")
    if not 0 <= event.cost_pico_usd <= MAX_COST_PICO_USD:
        raise UndecodableRecord("UsageRecord: the cost of an attempt is out of range")
    unusual = is_unusual(event.delivery, record.origin, record.repeat)
    row = (
        who.organization_id,
        who.project_id,
        record.request_id,
        event.attempt_id,
        event.attempt_no,
        event.delivery,
        record.origin,
        who.api_key_id,
        who.customer_id or "",
        who.tags,
        record.surface,
        record.streaming,
        record.requested_model,
        event.worker_id,
        event.provider,
        event.model,
        event.vendor,
        event.vendor_model,
        accepted_at_ms,
        event.started_at_ms,
        event.ended_at_ms,
        _duration(event.first_byte_ms),
        event.outcome,
        event.status,
        event.failure or "",
        event.vendor_request_id or "",
        *counts,
        pico_to_usd(event.cost_pico_usd),
        event.price_id,
        event.estimated,
        list(record.leases),
        unusual,
        1,
        partition,
        offset,
    )
    rank = rank_of(event.delivery, record.origin)
    return Report(event.attempt_id, who.project_id, record.request_id, rank, unusual, row)


def _request(record: UsageRecord, event: RequestEvent, partition: int, offset: int) -> Report:
    who = record.attribution
    _check((event.attempts, event.delivery), event.status, (), (event.accepted_at_ms, event.finished_at_ms), "request")
    unusual = is_unusual(event.delivery, record.origin, record.repeat)
    row = (
        who.organization_id,
        who.project_id,
        record.request_id,
        event.delivery,
        record.origin,
        who.api_key_id,
        who.customer_id or "",
        who.tags,
        record.surface,
        record.streaming,
        record.requested_model,
        event.accepted_at_ms,
        event.finished_at_ms,
        event.status,
        event.attempts,
        _duration(event.queue_ms),
        _duration(event.total_ms),
        _duration(event.first_byte_ms),
        event.failure or "",
        event.model or "",
        event.vendor or "",
        unusual,
        1,
        partition,
        offset,
    )
    rank = rank_of(event.delivery, record.origin)
    return Report(record.request_id, who.project_id, record.request_id, rank, unusual, row)


def _duration(duration_ms: int | None) -> int | None:
    """Between two machines' clocks a duration may come out below zero. That must not cost a bill."""
    return duration_ms if duration_ms is None else min(max(duration_ms, 0), MAX_COUNT)


def _check(
    numbers: tuple[int, int], status: int | None, counts: tuple[int, ...], times_ms: tuple[int, ...], what: str
) -> None:
    if min(numbers) < 0 or max(numbers) > MAX_NUMBER:
        raise UndecodableRecord(f"UsageRecord: a number of the {what} is out of range")
    if status is not None and not 0 <= status <= MAX_STATUS:
        raise UndecodableRecord(f"UsageRecord: the status of the {what} is out of range")
    if counts and (min(counts) < 0 or max(counts) > MAX_COUNT):
        raise UndecodableRecord(f"UsageRecord: a count of tokens of the {what} is out of range")
    if min(times_ms) < 0 or max(times_ms) > MAX_TIME_MS:
        raise UndecodableRecord(f"UsageRecord: a time of the {what} is out of range")
