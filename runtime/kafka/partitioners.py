"""Which partition a record goes to.

`StickyPartitioner` spreads records without keys: a slice of time to each partition in turn, not each record to a
partition of its own.

Records of one moment then share a batch, which is what makes producing cheap under load; and over a few slices every
partition gets the same. (Kafka's Java client does the like since KIP-480.)
"""

from collections.abc import Sequence

from aiokafka.partitioner import DefaultPartitioner

from runtime.clock import Clock

SLICE_MS = 4
REMEMBERED_KEYS = 10_000


class RememberingPartitioner:
    """By key, as aiokafka's own does it, whose hash in pure Python would cost as much as the rest of a short record."""

    def __init__(self) -> None:
        self._by_key = DefaultPartitioner()
        self._known: dict[tuple[bytes, int], int] = {}

    def __call__(self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]) -> int:
        if key is None:
            partition: int = self._by_key(key, all_partitions, available)
            return partition
        place = (key, len(all_partitions))
        known = self._known.get(place)
        if known is None:
            if len(self._known) >= REMEMBERED_KEYS:
                self._known.clear()
            known = self._known[place] = self._by_key(key, all_partitions, available)
        return known


class StickyPartitioner:
    """An aiokafka partitioner. `start` differs from replica to replica, so that they do not all march in step."""

    def __init__(self, clock: Clock, start: int) -> None:
        self._clock = clock
        self._start = start
        self._by_key = DefaultPartitioner()

    def __call__(self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]) -> int:
        if key is not None:
            partition: int = self._by_key(key, all_partitions, available)
            return partition
        # A partition without a leader is passed over, as long as there is any with one.
        partitions = available or all_partitions
        return partitions[(self._start + self._clock.now_ms() // SLICE_MS) % len(partitions)]
