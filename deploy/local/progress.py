"""What a person at the terminal is told while the stack starts and stops: one line at a time, with the time passed."""

import sys
import time
from contextlib import suppress


class Progress:
    def __init__(self) -> None:
        self._since_s = time.monotonic()

    def restart(self) -> None:
        """Counts from now: stopping is timed for itself."""
        self._since_s = time.monotonic()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._since_s

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self.write(f"{self.elapsed_s():6.1f} s  {line}")

    def fail(self, text: str) -> None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)

    def write(self, text: str) -> None:
        # The terminal, or the pipe to `head`, may be gone; that must not take the stack down half-stopped.
        with suppress(OSError):
            print(text, flush=True)
