"""A clock that a test moves by hand."""


class ManualClock:
    def __init__(self, now_ms: int = 1_763_800_000_000) -> None:
        self.passed_s = 0.0
        self._start_ms = now_ms

    def move(self, by_s: float) -> None:
        self.passed_s += by_s

    def now_ms(self) -> int:
        return self._start_ms + int(self.passed_s * 1000)

    def monotonic_s(self) -> float:
        return self.passed_s
