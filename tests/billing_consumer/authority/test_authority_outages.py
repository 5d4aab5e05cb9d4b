"""The authority while Kafka or ClickHouse is away, while members come and go, and after what is no command."""

import asyncio
from itertools import count

import pytest

from deploy.local.kafka.process import KafkaHandle
from runtime.kafka.clients import topic_name
from runtime.shared_settings import KafkaSettings
from schemas.spend import spend_partition
from schemas.topics import TOPICS, Topic
from tests.billing_consumer.authority.fleet import Authorities, World
from tests.billing_consumer.authority.samples import USD, a_budget, a_change, reports
from tests.billing_consumer.authority.views import PARTITION, ask, granted_usd
from tests.billing_consumer.clickhouse_server import ClickHouseProcess
from tests.runtime.kafka_topics import read_all

pytestmark = pytest.mark.e2e

ALL_PARTITIONS = range(TOPICS[Topic.SPEND].partitions)


async def test_an_unreadable_command_is_put_aside_and_the_next_is_heard(
    kafka: KafkaSettings, world: World, authorities: Authorities
) -> None:
    authority = authorities.start()
    await world.tell_clocks()
    await world.say_nonsense(PARTITION)
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", authority)
    assert len(await read_all(kafka, topic_name(kafka, Topic.DEAD_LETTER))) == 1


async def test_while_clickhouse_is_away_open_ledgers_go_on_and_new_ones_wait(
    world: World, authorities: Authorities, clickhouse: ClickHouseProcess
) -> None:
    authority = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", authority)
    other = next(
        budget
        for n in count()
        if spend_partition((budget := a_budget(f"bud_o{n}", scope_id=f"prj_o{n}")).scope) == PARTITION
    )
    clickhouse.kill()
    try:
        await world.configure(a_change("budget", other))
        await world.say(PARTITION, reports(other, seq=1, need_usd=20))
        await world.say(PARTITION, world.batch(other, 5 * USD))
        await ask(world, 2, 45)
        await world.until(lambda: granted_usd(world) == 45, "an open ledger's grant", authority)
        await world.until(lambda: "ledgers wait to be opened" in authority.log(), "the failed question", authority)
        assert world.state(other) is None, "no grant on a guess of what was spent"
        # The one who comes after must know of the other ledger's commands: their offsets are not committed yet.
        authority.kill()
        second = authorities.start()
        await ask(world, 3, 50)
        await world.until(lambda: granted_usd(world) == 50, "the second authority", second)
    finally:
        clickhouse.start()
    await world.tell_clocks()
    await world.until(lambda: world.state(other) is not None, "the other ledger", second)
    found = world.state(other)
    assert found is not None
    assert [lease.granted_pico_usd for lease in found.leases] == [20 * USD]


async def test_kafka_may_go_away_and_come_back(world: World, authorities: Authorities, broker: KafkaHandle) -> None:
    authority = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", authority)
    await asyncio.to_thread(broker.kill)
    saying = asyncio.get_running_loop().create_task(ask(world, 2, 50))
    await asyncio.sleep(0)
    await asyncio.to_thread(broker.start)
    await saying
    await world.until(lambda: granted_usd(world) == 50, "a grant after the outage", authority)
    assert authority.poll() is None
    assert await authority.terminate() == 0


async def test_two_share_the_partitions_and_hand_them_over_in_order(world: World, authorities: Authorities) -> None:
    budgets = [
        next(b for n in count() if spend_partition((b := a_budget(f"bud_{p}_{n}", scope_id=f"prj_{n}")).scope) == p)
        for p in ALL_PARTITIONS
    ]
    await world.configure(*(a_change("budget", budget) for budget in budgets))

    async def everybody_gets(seq: int, usd: int) -> None:
        for partition, budget in enumerate(budgets):
            await world.say(partition, reports(budget, seq=seq, need_usd=usd))

        def done() -> bool:
            states = [world.state(budget) for budget in budgets]
            return all(s is not None and s.leases[0].granted_pico_usd == usd * USD for s in states)

        await world.until(done, f"{usd} USD for everybody", *authorities.all)

    first = authorities.start()
    await world.tell_clocks()
    await everybody_gets(1, 10)
    second = authorities.start()
    await world.until(lambda: "budgets taken over" in second.log(), "the second has some", second)
    await everybody_gets(2, 20)
    assert await first.terminate() == 0
    await everybody_gets(3, 30)
    assert await second.terminate() == 0
