"""How a limit is best divided among replicas. Pure arithmetic on whole numbers; parts never add up to more than it.

What is computed here is only what a replica asks for. What it gets, and that all together never have more than the
limit, is decided by the log (`ingress.rates.shares`).
"""

from collections.abc import Sequence

FLOOR_PART = 10
"""A tenth of every limit is spread evenly, so that a replica without a client can serve the first at once."""

TURN_STEPS = 1024
# The golden ratio's part of TURN_STEPS: successive turns fall as far from earlier ones as they can.
_GOLDEN = 633


def even_part(limit: int, count: int, rank: int) -> int:
    """Of `count` parts that differ by one at most, the larger ones first, the one at `rank`.

    Adding a replica, at whatever rank, never makes the part of another larger: `Shares` relies on it.
    """
    return limit // count + (1 if rank < limit % count else 0)


def part_by_demand(limit: int, demands: Sequence[int], rank: int, turn: int) -> int:
    """Of the one at `rank`: a floor that each has, and of the rest a part in proportion to demand; an even part if
    there is no demand.

    Fractions of one are rounded so that the sum is the limit, and by `turn` now this way, now that: over many turns
    each has its exact proportion. So the single unit of a limit of 1, which cannot be divided, goes round among those
    who want it.
    """
    count = len(demands)
    floor = limit // (FLOOR_PART * count)
    rest = limit - floor * count
    before, own, total = sum(demands[:rank]), demands[rank], sum(demands)
    if total == 0:
        before, own, total = rank, 1, count
    offset = turn * _GOLDEN % TURN_STEPS
    scale = rest * TURN_STEPS
    return (
        floor
        + (scale * (before + own) // total + offset) // TURN_STEPS
        - (scale * before // total + offset) // TURN_STEPS
    )
