"""How far each partition of `usage` that this process owns has been worked off. Pure.

What is said here stays true when the partition is lost: a batch that was finished is in ClickHouse and settled, whoever
owns the partition. So what is sent from it needs no fence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

CLOCK_SLACK_S = 5.0
"""How far the clocks of two hosts may be apart (NTP keeps them far closer)."""


@dataclass(slots=True)
class Progress:
    """end: what comes before this offset is in ClickHouse and settled. settled_through_ms: so is all that Kafka had by
    then; 0 while this owner knows of no such time. `asked`: (when, the partition's end then), not reached yet."""

    end: int
    settled_through_ms: int = 0
    asked: tuple[int, int] | None = None


class UsageProgress:
    def __init__(self) -> None:
        self._partitions: dict[int, Progress] = {}

    def take(self, next_offsets: Mapping[int, int]) -> None:
        """The partitions that are owned, and where each goes on. One that was owned already keeps its times."""
        kept = self._partitions
        self._partitions = {}
        for partition, next_offset in next_offsets.items():
            known = kept.get(partition)
            if known is not None and known.end <= next_offset:
                known.end = next_offset
                self._partitions[partition] = known
            else:
                self._partitions[partition] = Progress(next_offset)

    def let_go(self) -> None:
        self._partitions = {}

    def finished(self, partition: int, end: int, kafka_time_ms: int) -> None:
        """A batch that ends there is in ClickHouse, settled and committed. kafka_time_ms: Kafka's own time of its last
        record, or 0."""
        progress = self._partitions.get(partition)
        if progress is None:
            return
        progress.end = max(progress.end, end)
        # Others of the same millisecond may come after it.
        progress.settled_through_ms = max(progress.settled_through_ms, kafka_time_ms - 1)

    def to_ask(self) -> set[int]:
        """The partitions whose end it would be good to know: where the last one that was told has been reached."""
        return {partition for partition, progress in self._partitions.items() if progress.asked is None}

    def told(self, asked_at_ms: int, ends: Mapping[int, int]) -> None:
        """Where the partitions ended, by an answer to a question from `asked_at_ms`, our time."""
        for partition, end in ends.items():
            progress = self._partitions.get(partition)
            if progress is not None and progress.asked is None:
                progress.asked = (asked_at_ms, end)

    def now(self) -> dict[int, Progress]:
        """A copy of what is known of each owned partition. Its times never go back while it is owned."""
        for progress in self._partitions.values():
            if progress.asked is not None and progress.end >= progress.asked[1]:
                settled_ms = progress.asked[0] - round(CLOCK_SLACK_S * 1000)
                progress.settled_through_ms = max(progress.settled_through_ms, settled_ms)
                progress.asked = None
        return {partition: replace(progress) for partition, progress in self._partitions.items()}
