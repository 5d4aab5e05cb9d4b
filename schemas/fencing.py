"""One writer at a time for a partition of a compacted topic, decided by the log alone. Pure.

Every record carries a *stamp*: the writer's term and id. A new writer takes the term after the highest it has seen and
first writes a marker with it, then reads the partition up to that marker: from there on, whatever an earlier writer
still manages to append is void. Everybody who reads the partition, in order and from its beginning, comes to the same
judgement, so a writer that has lost its partition and does not know it can do no harm (G4).

The rule is one comparison: a record is valid if its stamp is not below the highest that came before it. Two writers
that take the same term are told apart by their ids, alike everywhere.

Compaction keeps the last record of a key, which may be a void one: then the valid one is gone. So whoever is the writer
repeats a key's state when it sees a void record of that key, and the topic keeps every record for long enough
(`TopicSpec.compaction_lag_ms`) for that, or for the next writer, to happen first.
"""

from typing import NamedTuple

STAMP_HEADER = "writer"
"""Name of the Kafka header with the stamp."""

MARKER_KEY = "!writer"
"""The key of markers; no record of a table has it."""


class Stamp(NamedTuple):
    """Compared by term, then by writer. `number` counts the writer's records in this term; it takes no part."""

    term: int
    writer_id: str
    number: int

    @property
    def rank(self) -> tuple[int, str]:
        return (self.term, self.writer_id)


def encode_stamp(stamp: Stamp) -> bytes:
    return f"{stamp.term}:{stamp.number}:{stamp.writer_id}".encode()


def decode_stamp(value: bytes) -> Stamp | None:
    """None for what is no stamp: such a record is void."""
    term, _, rest = value.partition(b":")
    number, _, writer_id = rest.partition(b":")
    if not (term.isdigit() and number.isdigit() and writer_id):
        return None
    try:
        return Stamp(int(term), writer_id.decode("ascii"), int(number))
    except UnicodeDecodeError:
        return None


class Fence:
    """The judge of one partition. Records must be shown to it in the log's order, from the beginning."""

    def __init__(self) -> None:
        self.highest: Stamp | None = None

    def admits(self, stamp: Stamp | None) -> bool:
        """Whether the record with this stamp is valid; remembers it if so."""
        if stamp is None or (self.highest is not None and stamp.rank < self.highest.rank):
            return False
        self.highest = stamp
        return True

    def next_term(self) -> int:
        return 1 if self.highest is None else self.highest.term + 1
