"""Ctrl-C and SIGTERM: they interrupt a start; later they are only noted, and a second one hurries.

SIGUSR1 asks the keeper to start again what has ended (for tests that kill processes and want them back).
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopAsked(BaseException):
    """Like KeyboardInterrupt: not an error, and not to be caught as one."""


class StopSignals:
    def __init__(self) -> None:
        self.asked = False
        self.hurry = False
        self.revive_asked = False
        self._interrupts = False
        self._held = False

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._revive)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within it, being asked to stop raises StopAsked wherever the program is."""
        self._interrupts = True
        try:
            if self.asked:
                raise StopAsked
            yield
        finally:
            self._interrupts = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Puts the interruption off: between starting a process and writing down its pid nothing may come."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.asked and self._interrupts:
            raise StopAsked

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.hurry = self.asked
        self.asked = True
        if self._interrupts and not self._held:
            self._interrupts = False
            raise StopAsked

    def _revive(self, _number: int, _frame: FrameType | None) -> None:
        self.revive_asked = True
