"""Budgets at work: what is asked of a budget's authority (`spend.commands`), and what it says (`spend`).

A *ledger* is a budget's account for one period. Its authority is the billing consumer that owns the partition of the
ledger's scope, on both topics. A *lease* is an amount that one ingress may commit:

    spent + what is outstanding on leases ≤ limit              (G4)

Commands say how things are, never what to add, and carry what tells a repetition: a report's `seq`, a settlement's
bounds, a clock that only goes forward. So a command that comes twice, or late, changes nothing.
"""

import zlib
from typing import Literal, NamedTuple

import msgspec

from schemas.budgets import Enforcement
from schemas.codec import RecordCodec
from schemas.topics import TOPICS, Topic

# Commands.


class LeaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingress has of a lease, and what it would like. Amounts are totals over the lease's life, in pico-USD.

    seq: rises with every report on this lease, from 1; only the first, or one before anything was used, can open it.
    used: spent by requests that are over, plus held by those that are not; the grant cannot be taken back below it.
    need: the grant without which requests are waiting (≥ used). want: the grant that would also do for the near future
    (≥ need); less than what was granted means that the ingress gives the rest back. From the moment of sending, it does
    not use more than `want`. closing: nothing is held any more and nothing will be; `used` is the last word, and all
    usage of it is in Kafka.
    """

    ledger_id: str
    lease_id: str
    seq: int
    used_pico_usd: int
    need_pico_usd: int
    want_pico_usd: int
    closing: bool = False


class LeaseReports(msgspec.Struct, frozen=True, kw_only=True, tag="lease_reports"):
    """All that one ingress has to say to one partition at one moment. `holder`: this life of this ingress. Its leases
    are dead when it says nothing for `ttl_ms`; a request under one may take `longest_request_ms`."""

    holder: str
    ttl_ms: int
    longest_request_ms: int
    reports: tuple[LeaseReport, ...]


class ScopeDelta(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch changed in the cost of a scope (`schemas.budgets.scope_key`) on one UTC day of acceptance."""

    scope: str
    day: str
    delta_pico_usd: int


class LeaseDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The part of it that a lease pays for."""

    ledger_id: str
    lease_id: str
    delta_pico_usd: int


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of usage that is in ClickHouse: [first, end) of a partition of `usage`. Batches of a partition follow
    one another without gaps, so a settlement whose `end` a ledger has seen is a repetition."""

    usage_partition: int
    first: int
    end: int
    scopes: tuple[ScopeDelta, ...]
    leases: tuple[LeaseDelta, ...]


class Settlements(msgspec.Struct, frozen=True, kw_only=True, tag="settlements"):
    batches: tuple[Settlement, ...]


class UsageClock(msgspec.Struct, frozen=True, kw_only=True, tag="usage_clock"):
    """How far a partition of `usage` has been worked off; it goes to every partition of `spend.commands`, after the
    settlements that it speaks of. `partitions`: how many `usage` has.

    end: every batch that ends at or before this offset is in ClickHouse and settled. settled_through_ms: so is all
    usage that was in Kafka by then. swept_through_ms: and every intent that was due by then has been reported on.
    """

    usage_partition: int
    partitions: int
    end: int
    settled_through_ms: int
    swept_through_ms: int


SpendCommand = LeaseReports | Settlements | UsageClock


class SpendCommandRecord(msgspec.Struct, frozen=True, kw_only=True):
    command: SpendCommand
    v: int = 1


SPEND_COMMAND = RecordCodec(SpendCommandRecord, major=1)


# The authority's word.

LeasePhase = Literal["open", "closing", "dead"]
"""dead: its ingress has gone silent; what it did not settle is kept back until all of its requests must be over."""


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """granted, settled, used: totals in pico-USD; `used` is the last reported. seq: of the last report that counted.
    outstanding: what may still be spent under it. ended_at_ms: when it was closed or found dead."""

    lease_id: str
    holder: str
    seq: int
    granted_pico_usd: int
    used_pico_usd: int
    settled_pico_usd: int
    phase: LeasePhase = "open"
    ended_at_ms: int = 0
    longest_request_ms: int = 0
    ttl_ms: int = 0

    @property
    def outstanding_pico_usd(self) -> int:
        bound = self.used_pico_usd if self.phase == "closing" else self.granted_pico_usd
        return max(0, bound - self.settled_pico_usd)


class AlertDue(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold was crossed, and the webhook has not taken it yet. `alert_id` names it for good."""

    alert_id: str
    percent: int
    spent_pico_usd: int
    limit_pico_usd: int
    crossed_at_ms: int


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger as its authority last wrote it: everything that the next authority needs. Days are ISO dates;
    `period_end` is the first day after the period. through: by partition of `usage`, up to which offset batches are in
    `spent`. short: somebody's need could not be met, so everybody should give back what lies idle."""

    ledger_id: str
    budget_id: str
    scope: str
    enforcement: Enforcement
    period_start: str
    period_end: str
    limit_pico_usd: int
    spent_pico_usd: int
    through: dict[int, int]
    leases: tuple[LeaseState, ...] = ()
    short: bool = False
    alerted_percent: int = 0
    alerts_due: tuple[AlertDue, ...] = ()
    as_of_ms: int = 0
    v: int = 1

    @property
    def outstanding_pico_usd(self) -> int:
        return sum(lease.outstanding_pico_usd for lease in self.leases)


LEDGER = RecordCodec(LedgerState, major=1)


# Where things are, and how they are named.


def spend_partition(scope: str) -> int:
    """The partition, of both topics, of a scope (`schemas.budgets.scope_key`): hence its authority."""
    return zlib.crc32(scope.encode()) % TOPICS[Topic.SPEND].partitions


class LeaseRef(NamedTuple):
    """A lease as requests and usage events name it. The partition is in it so that a usage event finds the authority
    without knowing the budget."""

    partition: int
    ledger_id: str
    lease_id: str

    def __str__(self) -> str:
        return f"{self.partition}|{self.ledger_id}|{self.lease_id}"


def lease_ref(text: str) -> LeaseRef:
    """Raises ValueError."""
    partition, ledger, lease = text.split("|")
    return LeaseRef(int(partition), ledger, lease)
