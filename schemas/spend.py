"""What a budget scope has spent, as the billing consumer publishes it and every ingress enforces it.

The value is the total so far, never a difference: a reader that sees a record twice, or misses one, is still right
after the next.
"""

from typing import Literal

import msgspec

from schemas.codec import RecordCodec

Scope = Literal["api_key", "project"]


class SpendState(msgspec.Struct, frozen=True, kw_only=True):
    """`as_of_ms`: unix ms when the total was read from ClickHouse."""

    scope: Scope
    scope_id: str
    spent_pico_usd: int
    as_of_ms: int
    v: int = 1


def spend_key(scope: Scope, scope_id: str) -> str:
    """The Kafka key: compaction keeps the last total of each."""
    return f"{scope}:{scope_id}"


SPEND = RecordCodec(SpendState, major=1)
