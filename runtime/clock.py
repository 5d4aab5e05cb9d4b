"""The one place where the program looks at the time, so that a test can move it by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Unix milliseconds: for records, deadlines between processes, logs."""

    def monotonic_s(self) -> float:
        """Seconds that never go back: for durations and timeouts within a process."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
