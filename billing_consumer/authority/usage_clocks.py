"""How far usage has been worked off, over all of its partitions. Pure."""

from schemas.spend import UsageClock


class UsageClocks:
    """As one partition of `spend.commands` has heard of it. Nothing here goes back, whatever comes late or twice."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._said_at: dict[int, int] = {}
        self._settled_ms: dict[int, int] = {}
        self._swept_ms: dict[int, int] = {}
        self._partitions = 0

    def hear(self, clock: UsageClock, offset: int) -> None:
        partition = clock.usage_partition
        self._partitions = max(self._partitions, clock.partitions)
        self._settled_ms[partition] = max(self._settled_ms.get(partition, 0), clock.settled_through_ms)
        self._swept_ms[partition] = max(self._swept_ms.get(partition, 0), clock.swept_through_ms)
        self.reached(partition, clock.end, offset)

    def reached(self, partition: int, end: int, offset: int) -> None:
        """All rows below `end` are in ClickHouse, says the command at `offset`. A settlement says so too, and has to be
        heeded: a clock may be older than the settlements before it, and what they charged would be in no opening that
        started from it."""
        if end >= self._ends.get(partition, 0):
            self._ends[partition] = end
            self._said_at[partition] = offset

    @property
    def said_since(self) -> int | None:
        """Who reads the commands from this offset on knows all `ends` that are known here."""
        return min(self._said_at.values(), default=None)

    @property
    def complete(self) -> bool:
        """Whether every partition has been heard of."""
        return self._partitions > 0 and len(self._settled_ms) >= self._partitions

    def ends(self) -> dict[int, int]:
        return dict(self._ends)

    @property
    def settled_ms(self) -> int:
        """All usage that was in Kafka by this time is settled, in every partition. 0: nobody knows."""
        return min(self._settled_ms.values()) if self.complete else 0

    @property
    def swept_ms(self) -> int:
        """Likewise for intents that were due by then."""
        return min(self._swept_ms.values()) if self.complete else 0

    @property
    def latest_ms(self) -> int:
        """It was at least this late on Kafka's clock when the last of these clocks was sent."""
        return max(self._settled_ms.values(), default=0)
