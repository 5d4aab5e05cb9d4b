"""The budget that most tests are about, and what `spend` says of it."""

from collections.abc import Callable

from schemas.spend import LeaseState, spend_partition
from tests.billing_consumer.authority.fleet import World
from tests.billing_consumer.authority.samples import USD, a_budget, reports

BUDGET = a_budget(limit_usd=100)
PARTITION = spend_partition(BUDGET.scope)


def lease(world: World, lease_id: str = "lease_1") -> LeaseState | None:
    state = world.state(BUDGET)
    return next((lease for lease in state.leases if lease.lease_id == lease_id), None) if state is not None else None


def granted_usd(world: World, lease_id: str = "lease_1") -> float:
    found = lease(world, lease_id)
    return 0 if found is None else found.granted_pico_usd / USD


def spent_usd(world: World) -> float:
    state = world.state(BUDGET)
    return -1 if state is None else state.spent_pico_usd / USD


def found_by(world: World, seq: int) -> Callable[[], bool]:
    """Whether the report has been answered, and with it all that was said before."""
    return lambda: (found := lease(world)) is not None and found.seq == seq


async def ask(world: World, seq: int, need_usd: int, lease_id: str = "lease_1", used_usd: int = 0) -> None:
    await world.say(PARTITION, reports(BUDGET, seq=seq, need_usd=need_usd, used_usd=used_usd, lease_id=lease_id))
