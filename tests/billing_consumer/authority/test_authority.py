"""The authority in a real Kafka: what it says counts once, whoever is killed, frozen, or says it too late (G4)."""

import asyncio
import signal

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from clickhouse_connect.driver.asyncclient import AsyncClient
from msgspec.structs import replace

from billing_consumer.authority.wiring import GROUP
from billing_consumer.clickhouse_session import ClickHouseSession
from runtime.clock import SystemClock
from runtime.kafka.clients import make_reader, topic_name
from runtime.lifecycle import Deadline
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.fencing import STAMP_HEADER, Fence, Stamp, decode_stamp
from schemas.spend import LEDGER, LedgerState
from schemas.topics import TOPICS, Topic
from tests.billing_consumer.authority.fleet import Authorities, World
from tests.billing_consumer.authority.samples import USD, a_budget, a_change, a_webhook, ledger_of
from tests.billing_consumer.authority.test_opening import COLUMNS, a_row
from tests.billing_consumer.authority.test_webhooks import SECRET, verified
from tests.billing_consumer.authority.views import BUDGET, PARTITION, ask, found_by, granted_usd, lease, spent_usd
from tests.runtime.kafka_topics import committed, read_all
from tests.runtime.waiting import until_async

pytestmark = pytest.mark.e2e

ALL_PARTITIONS = range(TOPICS[Topic.SPEND].partitions)


async def test_a_lease_is_granted_settled_and_never_beyond_the_limit(world: World, authorities: Authorities) -> None:
    authority = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 60)
    await world.until(lambda: granted_usd(world) == 60, "a lease", authority)
    await ask(world, 1, 60, "lease_2")
    await world.until(lambda: granted_usd(world, "lease_2") == 40, "what is left", authority)
    assert (state := world.state(BUDGET)) is not None
    assert state.short
    settlement = world.batch(BUDGET, 10 * USD, lease_id="lease_1")
    for _ in range(3):
        await world.say(PARTITION, settlement)
    await world.say(PARTITION, world.batch(BUDGET, 7 * USD, usage_partition=1, lease_id="lease_2"))
    await world.until(lambda: spent_usd(world) == 17, "the settlements, each once", authority)
    assert (state := world.state(BUDGET)) is not None
    assert state.spent_pico_usd + state.outstanding_pico_usd == 100 * USD
    assert await authority.terminate() == 0


async def test_a_killed_authority_is_replaced_by_one_that_knows_all_its_grants(
    kafka: KafkaSettings, world: World, authorities: Authorities
) -> None:
    first = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", first)
    for turn in range(1, 5):
        for n in range(6):
            await world.say(PARTITION, world.batch(BUDGET, USD, usage_partition=n % 2, lease_id="lease_1"))
        # Somewhere between reading the commands and committing their offsets.
        await asyncio.sleep(0.15 * (turn - 1))
        authorities.all[-1].kill()
        authorities.start()
        await ask(world, turn + 1, 30)
        await world.until(found_by(world, turn + 1), "the next one's answer", *authorities.all)
        assert world.term(PARTITION) == turn + 1
        assert spent_usd(world) == 6 * turn, "all batches once, those that came twice too"
        assert granted_usd(world) == 30
    found = lease(world)
    assert found is not None
    assert found.settled_pico_usd == 24 * USD
    offsets = await committed(kafka, GROUP, topic_name(kafka, Topic.SPEND_COMMANDS))
    assert set(offsets) <= set(ALL_PARTITIONS)


async def judge(kafka: KafkaSettings) -> dict[str, LedgerState]:
    """The partition as somebody else reads it: from its beginning, with nothing but the rule of the fence."""
    reader: AIOKafkaConsumer = make_reader(kafka)
    await reader.start()
    fence, valid = Fence(), dict[str, LedgerState]()
    try:
        await reader._client.add_topic(topic_name(kafka, Topic.SPEND))
        partition = TopicPartition(topic_name(kafka, Topic.SPEND), PARTITION)
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        end = (await reader.end_offsets([partition]))[partition]
        while await reader.position(partition) < end:
            for record in (await reader.getmany(partition, timeout_ms=200)).get(partition, []):
                stamp = decode_stamp(dict(record.headers)[STAMP_HEADER])
                if fence.admits(stamp) and record.key != b"!writer":
                    assert record.key is not None
                    assert record.value is not None
                    valid[record.key.decode()] = LEDGER.decode(record.value)
    finally:
        await reader.stop()
    return valid


async def test_what_a_deposed_authority_still_writes_counts_for_nobody_and_is_written_over(
    kafka: KafkaSettings, world: World, authorities: Authorities
) -> None:
    first = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", first)
    stale = world.spend.highest(PARTITION)
    assert stale is not None
    first.kill()
    second = authorities.start()
    await ask(world, 2, 40)
    await world.until(lambda: granted_usd(world) == 40, "the second authority", second)

    truth = world.state(BUDGET)
    assert truth is not None
    robbery = replace(truth, leases=(replace(truth.leases[0], granted_pico_usd=99 * USD, seq=9),))
    await world.write_as(Stamp(stale.term, stale.writer_id, stale.number + 1), robbery)
    seen: list[set[str]] = []

    def is_mended() -> bool:
        seen.append(world.spend.void_keys(PARTITION))
        return any(seen) and not seen[-1]

    await world.until(is_mended, "the true state in the place of the void one", second)
    assert granted_usd(world) == 40
    assert (await judge(kafka))[ledger_of(BUDGET)].leases == truth.leases
    last = [
        value
        for key, value in await read_all(kafka, topic_name(kafka, Topic.SPEND))
        if key == ledger_of(BUDGET).encode()
    ]
    assert last[-1] is not None
    assert LEDGER.decode(last[-1]).leases == truth.leases, "compaction will keep the last one"


async def test_a_frozen_authority_that_wakes_up_does_no_harm_and_stays_out(
    world: World, authorities: Authorities
) -> None:
    first = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", first)
    first.send_signal(signal.SIGSTOP)
    second = authorities.start()
    await ask(world, 2, 50)
    await world.until(lambda: granted_usd(world) == 50, "the second authority", first, second)
    term = world.term(PARTITION)
    first.send_signal(signal.SIGCONT)
    await ask(world, 3, 60)
    await world.until(lambda: granted_usd(world) == 60, "a grant after it woke up", first, second)
    await world.say(PARTITION, world.batch(BUDGET, 5 * USD, lease_id="lease_1"))
    await world.until(lambda: spent_usd(world) == 5, "a settlement", first, second)
    # Both are members again, and each partition has been taken over at most a few times, not in a duel.
    await world.until(lambda: first.log().count("partitions assigned") >= 2, "the first joins again", first)
    await ask(world, 4, 70)
    await world.until(lambda: granted_usd(world) == 70, "a grant after that", first, second)
    assert world.term(PARTITION) <= term + 3
    assert first.poll() is None
    assert second.poll() is None


async def test_a_ledger_is_opened_with_what_its_scope_had_spent(
    world: World, authorities: Authorities, database: ClickHouseSettings
) -> None:
    """Usage from before there was a budget: from ClickHouse up to where settlements take over, and not twice."""
    session = ClickHouseSession(database)
    settlements = []
    for n in range(6):
        usage_partition, offset = n % 2, n // 2
        row = a_row(10**n * USD // 10**5, partition=usage_partition, offset=offset)
        await session.insert("attempts", COLUMNS, [row])
        settlements.append(world.batch(BUDGET, 10**n * USD // 10**5, usage_partition=usage_partition))
    await session.stop(Deadline(SystemClock(), 1))
    await world.tell_clocks()
    authority = authorities.start()
    await ask(world, 1, 30)
    await world.until(lambda: granted_usd(world) == 30, "a lease", authority)
    assert spent_usd(world) == 1.11111
    for late in settlements:
        await world.say(PARTITION, late)
    await world.say(PARTITION, world.batch(BUDGET, 5 * USD))
    await world.until(lambda: spent_usd(world) > 2, "the settlement of what is new", authority)
    assert spent_usd(world) == 6.11111


async def test_an_alert_outlives_the_authority_that_found_it_due(world: World, authorities: Authorities) -> None:
    app, taken, answers = web.Application(), list[tuple[bytes, dict[str, str]]](), [500, 500, 200]

    async def hook(request: web.Request) -> web.Response:
        taken.append((await request.read(), dict(request.headers)))
        return web.Response(status=answers[min(len(taken), len(answers)) - 1])

    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await world.configure(a_change("webhook", a_webhook("wh_1", url)))
    try:
        first = authorities.start({"HOOK_SECRET": SECRET})
        await world.tell_clocks()
        await ask(world, 1, 30)
        await world.until(lambda: granted_usd(world) == 30, "a lease", first)
        await world.say(PARTITION, world.batch(BUDGET, 60 * USD))
        await world.until(lambda: bool(taken), "the first try", first)
        first.kill()
        second = authorities.start({"HOOK_SECRET": SECRET})
        await world.until(lambda: len(taken) >= 3, "the third try", second)

        def is_done() -> bool:
            state = world.state(BUDGET)
            return state is not None and state.alerts_due == () and state.alerted_percent == 50

        await world.until(is_done, "the alert's end in the ledger", second)
        assert len({body for body, _ in taken}) == 1
        assert all(verified(body, headers) for body, headers in taken)
        assert await second.terminate() == 0
        assert len(taken) == 3
    finally:
        await runner.cleanup()


async def test_changes_of_the_configuration_reach_ledger_and_audit_log(
    world: World, authorities: Authorities, client: AsyncClient
) -> None:
    authority = authorities.start()
    await world.tell_clocks()
    await ask(world, 1, 150)
    await world.until(lambda: granted_usd(world) == 100, "all that there is", authority)
    await world.configure(a_change("budget", a_budget(limit_usd=130), version=2, action="updated"))
    await world.until(lambda: granted_usd(world) == 130, "the higher limit, without a new report", authority)

    async def audited() -> list[tuple[object, ...]]:
        rows = await client.query("SELECT entity_id, version, action FROM config_changes_final ORDER BY version")
        return [tuple(row) for row in rows.result_rows]

    async def is_audited() -> bool:
        return await audited() == [("bud_1", 1, "created"), ("bud_1", 2, "updated")]

    await until_async(is_audited, "the changes in the audit log")
