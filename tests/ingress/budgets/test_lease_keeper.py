"""The voice: when it speaks, that it speaks for many at once, and what it says last."""

import asyncio
from collections.abc import Callable

from ingress.budgets.lease_hold import Waiter
from ingress.budgets.lease_keeper import LeaseKeeper
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from schemas.spend import SPEND_COMMAND, LeaseReports, spend_partition
from schemas.topics import Topic
from tests.ingress.budgets.world import NOON_MS, HandClock, World, budget

NAMES = [f"k{number}" for number in range(200)]
SCOPES = [f"api_key:{name}" for name in NAMES]


class Kafka:
    """Takes a record whenever `is_there` is set."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()
        self.is_there.set()
        self.taken: list[tuple[int, LeaseReports]] = []

    async def deliver(
        self, topic: Topic, key: str, encode: Callable[[bool], bytes | None], *, partition: int | None = None
    ) -> None:
        assert topic is Topic.SPEND_COMMANDS
        assert key == ""
        assert partition is not None
        await self.is_there.wait()
        value = encode(False)
        assert value is not None
        command = SPEND_COMMAND.decode(value).command
        assert isinstance(command, LeaseReports)
        self.taken.append((partition, command))


class _RealSeconds(HandClock):
    def monotonic_s(self) -> float:
        return SystemClock().monotonic_s()


class Office:
    def __init__(self) -> None:
        self.world = World(*(budget(1000, "api_key", name) for name in NAMES), clock=_RealSeconds())
        self.kafka = Kafka()
        self.supervisor = Supervisor()
        self.keeper = LeaseKeeper(self.world.book, self.kafka, self.world.clock, self.supervisor)

    def ask(self, *scopes: str) -> None:
        now_s = self.world.clock.monotonic_s()
        for charge in self.world.book.hard_charges(scopes, NOON_MS):
            charge.account.wait(Waiter(lambda: None), 10, now_s)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for is in another's hands
                await asyncio.sleep(0.001)

    def reports(self) -> int:
        return sum(len(command.reports) for _, command in self.kafka.taken)


async def test_a_first_need_is_sent_to_its_scopes_partition() -> None:
    office = Office()
    await office.keeper.start()
    office.ask(SCOPES[0])
    await office.until(lambda: bool(office.kafka.taken))
    partition, command = office.kafka.taken[0]
    assert partition == spend_partition(SCOPES[0])
    assert (command.holder, command.ttl_ms, command.longest_request_ms) == ("i1", 15_000, 60_000)
    await office.supervisor.cancel_all()


async def test_many_needs_share_records() -> None:
    office = Office()
    await office.keeper.start()
    office.ask(*SCOPES)
    await office.until(lambda: office.reports() >= len(SCOPES))
    assert len(office.kafka.taken) <= office.world.book.partitions
    await office.supervisor.cancel_all()


async def test_while_kafka_is_away_nothing_queues_up() -> None:
    office = Office()
    office.kafka.is_there.clear()
    await office.keeper.start()
    for scope in SCOPES:
        office.ask(scope)
        await asyncio.sleep(0)
    office.kafka.is_there.set()
    await office.until(lambda: office.reports() >= len(SCOPES))
    assert len(office.kafka.taken) <= 2 * office.world.book.partitions
    await office.supervisor.cancel_all()


async def test_at_the_end_it_gives_back_what_nobody_holds() -> None:
    office = Office()
    await office.keeper.start()
    waiter = Waiter(lambda: None)
    charges = office.world.book.hard_charges(tuple(SCOPES[:2]), NOON_MS)
    for charge in charges:
        charge.account.wait(waiter, 10, office.world.clock.monotonic_s())
    await office.until(lambda: office.reports() >= 2)
    for partition, command in office.kafka.taken:
        office.world.command(partition, command)
    office.world.answer()
    holds = [charge.account.hold(10, office.world.clock.monotonic_s(), waiter) for charge in charges]
    assert holds[0] is not None
    for charge in charges:
        charge.account.leave(waiter, office.world.clock.monotonic_s())
    charges[0].account.settle(holds[0], 7, office.world.clock.monotonic_s())
    before = len(office.kafka.taken)
    await office.keeper.stop(Deadline(office.world.clock, 5))
    last = {report.ledger_id: report for _, said in office.kafka.taken[before:] for report in said.reports}
    assert last["b-api_key-k0@2026-11-22"].closing
    assert last["b-api_key-k0@2026-11-22"].used_pico_usd == 7
    assert not last["b-api_key-k1@2026-11-22"].closing
    assert last["b-api_key-k1@2026-11-22"].want_pico_usd == 10
    await office.supervisor.cancel_all()


async def test_stopping_does_not_wait_for_a_kafka_that_is_away() -> None:
    office = Office()
    office.kafka.is_there.clear()
    await office.keeper.start()
    office.ask(SCOPES[0])
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await office.keeper.stop(Deadline(office.world.clock, 0.1))
    await office.supervisor.cancel_all()
