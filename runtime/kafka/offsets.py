"""Which offset of a partition may be committed, when records are settled out of order. Pure."""


class OffsetTracker:
    """Law: `committable` never passes a record that was started and is not settled, and never goes back.

    Offsets are started in rising order (as Kafka delivers them), with gaps allowed; they may settle in any order.
    """

    def __init__(self) -> None:
        # In rising order, because dicts keep insertion order.
        self._open: dict[int, bool] = {}
        self._next: int | None = None
        self._committed: int | None = None

    def start(self, offset: int) -> None:
        """Raises ValueError if offsets do not rise: that would make `committable` lie."""
        if self._next is not None and offset < self._next:
            raise ValueError(f"offset {offset} after {self._next - 1}")
        self._open[offset] = False
        self._next = offset + 1

    def settle(self, offset: int) -> None:
        if offset in self._open:
            self._open[offset] = True

    def committable(self) -> int | None:
        """The offset to commit (the first one that is not settled), or None when there is nothing new."""
        for offset in list(self._open):
            if not self._open[offset]:
                break
            del self._open[offset]
        position = next(iter(self._open), self._next)
        return None if position == self._committed else position

    def committed(self, position: int) -> None:
        """Kafka has taken `position`."""
        self._committed = position

    @property
    def unsettled(self) -> int:
        return sum(1 for settled in self._open.values() if not settled)
