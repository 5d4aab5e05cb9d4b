"""Calls that were about to be made with a lease's money, and what is said of one that nobody reported on. Pure.

An intent counts for nothing by itself (`schemas.usage.Origin`). It is kept in a table of its own until its request must
be over and reported: its worker writes usage before or at the deadline, its ingress when it misses the worker.
"""

from typing import NamedTuple

import msgspec

from billing_consumer.tables import Row
from schemas.codec import UndecodableRecord
from schemas.usage import USAGE, AttemptEvent, UsageRecord

SWEEP_GRACE_S = 5.0
"""From a request's deadline to the moment from which nobody's report is waited for any more. One that comes later all
the same takes the place of ours."""


class SweepWindow(NamedTuple):
    """The intents of a partition that were due from `from_ms` to before `to_ms`, unix ms. end: the partition is settled
    up to this offset."""

    partition: int
    from_ms: int
    to_ms: int
    end: int


class Unreported(NamedTuple):
    """An intent on whose attempt nobody has reported. `record`: as it was kept."""

    partition: int
    attempt_id: str
    project_id: str
    record: str


def intent_row(record: UsageRecord, event: AttemptEvent, partition: int, offset: int) -> Row:
    """A row of `tables.INTENTS`. The record is kept whole, with this attempt only."""
    # Without a deadline (no writer of ours leaves it out) the call is taken for over as soon as it starts: that may
    # bill too early, which the worker's report then mends; never too little.
    over_at_ms = max(record.deadline_ms, event.started_at_ms)
    kept = msgspec.structs.replace(record, attempts=(event,), request=None)
    return (
        partition,
        record.request_id,
        event.attempt_id,
        record.attribution.project_id,
        over_at_ms + round(SWEEP_GRACE_S * 1000),
        USAGE.encode(kept).decode(),
        offset,
    )


def audit_record(kept: str) -> UsageRecord | None:
    """The report on an attempt that nobody else reported on: it was made, and cost all that it could.

    None for what is no intent of this version's: nothing can be said from it.
    """
    try:
        intent = USAGE.decode(kept.encode())
    except UndecodableRecord:
        return None
    attempts = tuple(msgspec.structs.replace(event, outcome="worker_lost", estimated=True) for event in intent.attempts)
    return msgspec.structs.replace(intent, origin="audit", attempts=attempts, deadline_ms=0, repeat=False)
