"""How much of a lease to have ahead of need: enough that requests seldom wait, and little that lies idle. Pure."""

MIN_READING_MS = 500


class Demand:
    """Watches one account. Amounts are in pico-USD.

    A hold is many times what its request then costs, and comes back when that is over: so the peak of what was held at
    once is kept ready, and beside it what is spent in some seconds. Peaks are of this round and the one before. What is
    spent is added to `unread_spending`.
    """

    __slots__ = ("_since_s", "largest", "peak_held", "rate_per_s", "round_largest", "round_peak", "unread_spending")

    def __init__(self, now_s: float) -> None:
        self.largest = 0
        self.peak_held = 0
        self.rate_per_s = 0
        self.round_largest = 0
        self.round_peak = 0
        self.unread_spending = 0
        self._since_s = now_s

    def note_hold(self, amount: int, held: int) -> None:
        """`held`: all that is held now, this one included; 0 if it is only asked for."""
        if amount > self.round_largest:
            self.round_largest = amount
            self.largest = max(self.largest, amount)
        if held > self.round_peak:
            self.round_peak = held
            self.peak_held = max(self.peak_held, held)

    def measure(self, now_s: float) -> None:
        """Takes a reading of the rate, unless the last one is so fresh that it would be noise."""
        elapsed_ms = int((now_s - self._since_s) * 1000)
        if elapsed_ms < MIN_READING_MS:
            return
        rate = self.unread_spending * 1000 // elapsed_ms
        # Up at once, down by halves: too little makes requests wait, and too much is given back when somebody needs it.
        self.rate_per_s = max(rate, (self.rate_per_s + rate) // 2)
        self.unread_spending = 0
        self._since_s = now_s

    def next_round(self, held: int, *, is_quiet: bool) -> None:
        """`is_quiet`: nothing at all is held, under no lease."""
        # With nothing new but something still held, as much stays ready as a second call for that could take.
        if self.round_largest > 0 or is_quiet:
            self.largest, self.round_largest = self.round_largest, 0
        self.peak_held, self.round_peak = self.round_peak, held

    def ahead(self, held: int, lookahead_ms: int) -> int:
        """What to have beyond what is used now."""
        return max(0, self.peak_held - held) + self.rate_per_s * lookahead_ms // 1000 + 3 * self.largest
