"""Which report about an attempt or a request counts, when there are several. Pure.

Three may report on one attempt: the worker that made the call; when it went silent, the ingress with an upper bound;
when that was silent too, the billing consumer itself, from the intent (`sweep`). Later a correction may follow, from
the vendor's own bill (`tollhouse corrections`). A report may also be in the topic twice. Exactly one counts, whatever
the order: that of the highest rank, and of equal ones the first.

A row that is written is never changed. A better report is written together with a cancellation: the standing row again,
with sign -1 and the better one's place in Kafka. A report that is no better than the standing one is not written.

Looking up every id of every batch would cost more than the insert. Of two reports about one thing at most one is
*ordinary* (a worker's first word on the first delivery), so only these need to be looked up: what an unusual report is
about, and what an earlier unusual report was about. Both are few (`suspects`).

A lookup sees only rows from before the batch (lower offsets of the same partition). Those are all written, and never
change, so that a batch which is replayed computes the same rows and ClickHouse knows them again by their token.
"""

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from billing_consumer.tables import Row
from schemas.usage import Origin

Rank = tuple[int, int]

_CLOSENESS: dict[Origin, int] = {"intent": -1, "audit": 0, "ingress": 1, "worker": 2, "correction": 3}


class Report(NamedTuple):
    """One report about one thing. `id`: of the attempt or the request. `row` ends with sign, partition and offset."""

    id: str
    project_id: str
    request_id: str
    rank: Rank
    unusual: bool
    row: Row


class Standing(NamedTuple):
    """A row that is written, as it was read back."""

    rank: Rank
    row: Row


def rank_of(delivery: int, origin: Origin) -> Rank:
    """A later delivery of a request knows how it ended; within one, who made the call knows better than who watched,
    and who watched better than who only knows that the call was about to be made. Whoever is to pay the vendor's bill
    believes the vendor."""
    return (delivery, _CLOSENESS[origin])


def is_unusual(delivery: int, origin: Origin, repeat: bool) -> bool:
    """Whether there may be another report about the same thing that does not know of this one."""
    return delivery > 0 or repeat or origin != "worker"


def suspects(reports: Iterable[Report], unusual_before: Set[str]) -> set[tuple[str, str]]:
    """(project, request) of what may have a standing row. `unusual_before`: requests with an earlier unusual report."""
    return {(r.project_id, r.request_id) for r in reports if r.unusual or r.request_id in unusual_before}


def resolve(reports: Iterable[Report], standing: Mapping[str, Standing]) -> list[Row]:
    """The rows to write for one batch. `standing`: by id, what stood before the batch, at least of all suspects."""
    winners: dict[str, Report] = {}
    for report in reports:
        best = winners.get(report.id) or standing.get(report.id)
        if best is None or report.rank > best.rank:
            # Within the batch nothing is written yet, so a report that is beaten there leaves no trace.
            winners[report.id] = report
    rows: list[Row] = []
    for report in winners.values():
        beaten = standing.get(report.id)
        if beaten is not None:
            rows.append(cancellation(beaten.row, report.row))
        rows.append(report.row)
    return rows


def cancellation(beaten: Row, better: Row) -> Row:
    """Takes `beaten` out of every sum. It is known by the place in Kafka of what replaces it."""
    return (*beaten[:-3], -1, *better[-2:])


def standing_of(written: Iterable[tuple[str, Standing]]) -> dict[str, Standing]:
    """Of all rows with sign 1 ever written about each id, the one that stands.

    It is the one of the highest rank, because a row is only ever replaced by one that ranks higher; so cancellations
    need not be read.
    """
    best: dict[str, Standing] = {}
    for report_id, row in written:
        known = best.get(report_id)
        if known is None or row.rank > known.rank:
            best[report_id] = row
    return best
