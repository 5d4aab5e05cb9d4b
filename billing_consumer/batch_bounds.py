"""A batch's bounds, and how they are kept in Kafka before anything is written. Pure.

The plan of a batch is a commit of its *first* offset, with its end in the commit's metadata: "I am at `first`, and what
I do next is exactly [first, end)". Whoever owns the partition next reads it and does exactly that.
"""

from dataclasses import dataclass
from typing import NamedTuple

_PREFIX = "tollhouse-batch/1 end="


class UnreadablePlan(Exception):
    """The commit's metadata is not ours. To go on past it could count a batch twice, so the process must stop."""


def encode_plan(end: int) -> str:
    return f"{_PREFIX}{end}"


def decode_plan(first: int, metadata: str) -> int | None:
    """The planned end, or None if no batch was planned. Raises UnreadablePlan."""
    if not metadata:
        return None
    digits = metadata.removeprefix(_PREFIX)
    if digits == metadata or not (digits.isascii() and digits.isdigit()) or int(digits) <= first:
        raise UnreadablePlan(
            f"the commit at offset {first} carries {metadata[:80]!r}, which this version cannot read. "
            "Run the version that wrote it until the group has no lag, then this one."
        )
    return int(digits)


@dataclass(frozen=True, slots=True)
class Bounds:
    """[first, end) of one partition. These are offsets, not counts: a topic may have gaps.

    `stamp_ms`: the first record's Kafka timestamp.
    """

    topic: str
    partition: int
    first: int
    end: int
    stamp_ms: int

    def token(self, table: str) -> str:
        """ClickHouse's deduplication token of the batch's insert into a table.

        The stamp is there for a topic that was made anew (a broker that keeps nothing on disk, restored from nothing):
        its offsets start again, and without it the first new batches would be taken for the first old ones and dropped.
        """
        return f"{self.topic}:{self.partition}:{self.first}:{self.end - 1}:{self.stamp_ms}:{table}"


class Span(NamedTuple):
    """Which earlier unusual reports a batch wants to know of: of its partition, from before `first`, with request ids
    from `low` to `high`."""

    partition: int
    first: int
    low: str
    high: str
