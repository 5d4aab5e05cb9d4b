"""What a written batch changed in the cost of every scope and lease: settlements for the budgets' authorities. Pure.

A settlement is computed from the rows that were written, cancellations too, and from nothing else: not from the
budgets that there are, not from the time. So a batch that is replayed settles the same, and an authority knows it
again by its bounds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from billing_consumer.batch_bounds import Bounds
from billing_consumer.tables import ATTEMPTS, Row
from schemas.budgets import day_of, scopes_of
from schemas.money import usd_to_pico
from schemas.spend import (
    SPEND_COMMAND,
    LeaseDelta,
    LeaseRef,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommandRecord,
    lease_ref,
    spend_partition,
)
from schemas.topics import TOPICS, Topic

MAX_PIECE_BYTES = 200_000
"""A batch that says more than this to one authority is settled in pieces. It must stay as it is: a batch that one
version has settled in one way, and the next replays in another, would count in part twice."""

MAX_RECORD_BYTES = 800_000
"""Below what a Kafka record may have, with room for what is around it."""

_ORGANIZATION, _PROJECT, _ATTEMPT, _ORIGIN, _KEY, _CUSTOMER, _TAGS, _ACCEPTED_AT, _COST, _LEASES, _SIGN, _OFFSET = (
    ATTEMPTS.index(name)
    for name in (
        "organization_id",
        "project_id",
        "attempt_id",
        "origin",
        "api_key_id",
        "customer_id",
        "tags",
        "accepted_at",
        "cost_usd",
        "leases",
        "sign",
        "kafka_offset",
    )
)


def settlements_of(bounds: Bounds, rows: Sequence[Row]) -> dict[int, list[Settlement]]:
    """By partition of `spend.commands`, what the batch means there, in the order of its offsets. `rows`: those of
    `attempts` that were written for the batch."""
    by_offset: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_offset[row[_OFFSET]].append(row)
    found: dict[int, list[Settlement]] = defaultdict(list)
    if by_offset:
        _add_pieces(bounds.partition, bounds.first, bounds.end, sorted(by_offset.items()), found)
    return dict(found)


def command_records(pieces: Iterable[dict[int, list[Settlement]]]) -> dict[int, list[bytes]]:
    """By partition of `spend.commands`, the records to send there one after the other: all batches of a cycle in one,
    unless that is too much for Kafka."""
    collected: dict[int, list[Settlement]] = defaultdict(list)
    for of_batch in pieces:
        for partition, settlements in of_batch.items():
            collected[partition] += settlements
    return {partition: [_encode(group) for group in _groups(some)] for partition, some in sorted(collected.items())}


def _add_pieces(
    usage_partition: int,
    first: int,
    end: int,
    by_offset: Sequence[tuple[int, list[Row]]],
    found: dict[int, list[Settlement]],
) -> None:
    pieces = _settle(usage_partition, first, end, by_offset)
    if len(by_offset) > 1 and any(len(_encode([piece])) > MAX_PIECE_BYTES for piece in pieces.values()):
        # Cut between two offsets, for all authorities alike: a ledger skips whole pieces by their end.
        middle = len(by_offset) // 2
        cut = by_offset[middle][0]
        _add_pieces(usage_partition, first, cut, by_offset[:middle], found)
        _add_pieces(usage_partition, cut, end, by_offset[middle:], found)
        return
    for partition, piece in pieces.items():
        found[partition].append(piece)


def _settle(
    usage_partition: int, first: int, end: int, by_offset: Iterable[tuple[int, list[Row]]]
) -> dict[int, Settlement]:
    scopes: dict[int, dict[tuple[str, date], int]] = defaultdict(lambda: defaultdict(int))
    leases: dict[int, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for _, rows in by_offset:
        corrected = _corrected(rows)
        for row in rows:
            cost_pico_usd = row[_SIGN] * usd_to_pico(row[_COST])
            day = day_of(row[_ACCEPTED_AT])
            of_row = scopes_of(row[_ORGANIZATION], row[_PROJECT], row[_KEY], row[_CUSTOMER] or None, row[_TAGS])
            # Two tags may spell one scope ("a=b": "c" and "a": "b=c"); the attempt was still made once.
            for scope in dict.fromkeys(of_row):
                scopes[spend_partition(scope)][scope, day] += cost_pico_usd
            if row[_ATTEMPT] in corrected:
                continue
            for ref in dict.fromkeys(_lease_refs(row[_LEASES])):
                leases[ref.partition][ref.ledger_id, ref.lease_id] += cost_pico_usd
    return {
        partition: Settlement(
            usage_partition=usage_partition,
            first=first,
            end=end,
            scopes=tuple(
                ScopeDelta(scope=scope, day=day.isoformat(), delta_pico_usd=delta)
                for (scope, day), delta in sorted(scopes[partition].items())
            ),
            leases=tuple(
                LeaseDelta(ledger_id=ledger_id, lease_id=lease_id, delta_pico_usd=delta)
                for (ledger_id, lease_id), delta in sorted(leases[partition].items())
            ),
        )
        for partition in sorted(scopes.keys() | leases.keys())
    }


def _corrected(rows: Iterable[Row]) -> frozenset[str]:
    """The attempts of which one record corrects what was settled. Their leases stay settled as they are: an ingress
    knows nothing of the correction, and goes on with what its lease has left by the cost that it was told. Settled
    anew, the lease would have less outstanding by as much as `spent` rises, and the correction would take nothing off
    what may be granted.
    """
    taken_back = {row[_ATTEMPT] for row in rows if row[_SIGN] < 0}
    return frozenset(row[_ATTEMPT] for row in rows if row[_ORIGIN] == "correction" and row[_ATTEMPT] in taken_back)


def _lease_refs(texts: Iterable[str]) -> Iterable[LeaseRef]:
    for text in texts:
        try:
            ref = lease_ref(text)
        except ValueError:
            # Not ours to judge: it is an id that nobody has. The cost is in its scopes all the same.
            continue
        if 0 <= ref.partition < TOPICS[Topic.SPEND_COMMANDS].partitions:
            yield ref


def _groups(settlements: Iterable[Settlement]) -> Iterable[list[Settlement]]:
    group: list[Settlement] = []
    size = 0
    for settlement in settlements:
        more = len(_encode([settlement]))
        if group and size + more > MAX_RECORD_BYTES:
            yield group
            group, size = [], 0
        group.append(settlement)
        size += more
    if group:
        yield group


def _encode(settlements: Sequence[Settlement]) -> bytes:
    return SPEND_COMMAND.encode(SpendCommandRecord(command=Settlements(batches=tuple(settlements))))
