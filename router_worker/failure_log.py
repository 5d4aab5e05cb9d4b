"""Tells operators of vendors that fail, without a line for each call while one is down."""

from typing import Any

import structlog

from runtime.clock import Clock
from schemas.failures import Failure

log = structlog.get_logger(__name__)

ONCE_IN_S = 10.0


class FailureLog:
    """At most one line in `ONCE_IN_S` for each vendor and kind of failure; it says how many were left out before it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, vendor: str, failure: Failure, **ids: Any) -> None:
        """`ids` must not hold content: they go into the log."""
        now_s = self._clock.monotonic_s()
        said_at_s, left_out = self._said.get((vendor, failure.kind), (-ONCE_IN_S, 0))
        if now_s - said_at_s < ONCE_IN_S:
            self._said[(vendor, failure.kind)] = (said_at_s, left_out + 1)
            return
        self._said[(vendor, failure.kind)] = (now_s, 0)
        say = getattr(log, failure.rule.log_level)
        say("vendor call failed", vendor=vendor, failure=failure.kind.value, left_out=left_out, **ids)
