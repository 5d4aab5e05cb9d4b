"""G3: every vendor attempt is billed exactly once, whatever dies. Real Kafka, real processes, kill -9."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from billing_consumer.intents import SWEEP_GRACE_S
from deploy.local.kafka.process import KafkaHandle
from runtime.clickhouse import connect
from runtime.kafka.clients import make_admin, make_durable_producer, topic_name
from runtime.kafka.topics_admin import create_topics
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.spend import SPEND_COMMAND, UsageClock
from schemas.topics import Topic
from schemas.usage import USAGE
from tests.billing_consumer.clickhouse_server import ClickHouseProcess
from tests.billing_consumer.fleet import Consumer, Truth, check_books, lag, produce, read_topic, settled_sums
from tests.billing_consumer.kafka_server import kafka_process
from tests.billing_consumer.samples import START_MS, attempt_event, usage_record

pytestmark = pytest.mark.e2e

RECORDS = int(os.environ.get("BILLING_KILL_RECORDS", "20000"))
KILLS = int(os.environ.get("BILLING_KILL_KILLS", "20"))
DEADLINE_S = 120.0

_numbers = count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaHandle]:
    with kafka_process(tmp_path_factory.mktemp("kafka")) as handle:
        yield handle


@pytest.fixture
async def kafka(broker: KafkaHandle) -> KafkaSettings:
    settings = KafkaSettings(
        bootstrap=broker.bootstrap, topic_prefix=f"t{next(_numbers)}.", session_timeout_s=1.5, fetch_max_wait_ms=100
    )
    await create_topics(make_admin(settings), settings, lambda _line: None)
    return settings


async def until_done(kafka: KafkaSettings, consumers: list[Consumer]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while await lag(kafka):
        assert time.monotonic() < until_s, "the consumer does not catch up:\n" + consumers[0].log()[-3000:]
        assert all(consumer.poll() is None for consumer in consumers), consumers[0].log()[-3000:]
        await asyncio.sleep(0.1)


async def test_kill_9_at_any_moment_counts_everything_once(
    kafka: KafkaSettings, database: ClickHouseSettings, tmp_path: Path
) -> None:
    started_s = time.monotonic()
    rng, truth = random.Random(20), Truth()
    consumer = Consumer(kafka, database, tmp_path / "consumer.log")
    consumer.start()
    # Records come all the time, so that a batch that is read anew instead of replayed has other bounds.
    producing = asyncio.get_running_loop().create_task(produce(kafka, truth, RECORDS, rng, per_s=RECORDS / (2 * KILLS)))
    moments = random.Random(21)
    for _ in range(KILLS):
        await consumer.until_ready()
        # It has just joined, with the records of two seconds before it: the kill falls anywhere in its first cycles.
        await asyncio.sleep(moments.uniform(0, 1))
        consumer.kill()
        consumer.start()
    await producing
    await until_done(kafka, [consumer])
    await check_books(database, kafka, truth)
    assert consumer.terminate() == 0
    replays = consumer.log().count("replaying planned batches")
    print(f"{truth.records} records, {KILLS} kills, {replays} replays: {time.monotonic() - started_s:.0f} s")
    assert replays > 0, "no kill fell between a plan and its end: the test proves nothing"


async def test_three_consumers_come_and_go_and_share_the_partitions(
    kafka: KafkaSettings, database: ClickHouseSettings, tmp_path: Path
) -> None:
    rng, truth = random.Random(3), Truth()
    consumers = [Consumer(kafka, database, tmp_path / f"consumer{n}.log") for n in range(3)]
    for consumer in consumers:
        consumer.start()
        await produce(kafka, truth, 1500, rng)
    for n in (0, 1, 2, 0):
        await produce(kafka, truth, 700, rng)
        if rng.random() < 0.5:
            consumers[n].kill()
        else:
            await consumers[n].until_ready()
            assert consumers[n].terminate() == 0, consumers[n].log()[-3000:]
        await produce(kafka, truth, 700, rng)
        consumers[n].start()
    await until_done(kafka, consumers)
    await check_books(database, kafka, truth)
    for consumer in consumers:
        await consumer.until_ready()
        assert consumer.terminate() == 0, consumer.log()[-3000:]


async def test_clickhouse_may_go_away_and_come_back(
    kafka: KafkaSettings, database: ClickHouseSettings, clickhouse: ClickHouseProcess, tmp_path: Path
) -> None:
    rng, truth = random.Random(4), Truth()
    consumer = Consumer(kafka, database, tmp_path / "consumer.log")
    consumer.start()
    await consumer.until_ready()
    for _ in range(2):
        await produce(kafka, truth, 2000, rng)
        clickhouse.kill()
        try:
            await produce(kafka, truth, 500, rng)
            await consumer.until(lambda not_ready: "clickhouse" in not_ready, "ClickHouse is missed")
        finally:
            clickhouse.start()
    await until_done(kafka, [consumer])
    await check_books(database, kafka, truth)
    memberships = [line for line in consumer.log().splitlines() if "partitions assigned" in line]
    for topic in (Topic.USAGE, Topic.SPEND_COMMANDS):
        joined = [line for line in memberships if f'"{topic_name(kafka, topic)}"' in line]
        assert len(joined) == 1, f"it lost its membership of {topic} while ClickHouse was away"
    assert consumer.terminate() == 0


async def test_kafka_may_go_away_and_come_back(
    kafka: KafkaSettings, database: ClickHouseSettings, broker: KafkaHandle, tmp_path: Path
) -> None:
    rng, truth = random.Random(5), Truth()
    consumer = Consumer(kafka, database, tmp_path / "consumer.log")
    consumer.start()
    await consumer.until_ready()
    for _ in range(2):
        await produce(kafka, truth, 2000, rng)
        broker.kill()
        broker.start()
    await produce(kafka, truth, 500, rng)
    await until_done(kafka, [consumer])
    await check_books(database, kafka, truth)
    assert consumer.terminate() == 0


async def test_an_unreadable_record_is_put_aside_and_the_rest_goes_on(
    kafka: KafkaSettings, database: ClickHouseSettings, tmp_path: Path
) -> None:
    truth = Truth()
    consumer = Consumer(kafka, database, tmp_path / "consumer.log")
    consumer.start()
    producer = make_durable_producer(kafka)
    await producer.start()
    await producer.send_and_wait(topic_name(kafka, Topic.USAGE), b"{not a record", b"prj_1")
    await producer.stop()
    await produce(kafka, truth, 300, random.Random(6))
    await until_done(kafka, [consumer])
    await check_books(database, kafka, truth)
    assert consumer.log().count("unreadable usage record") == 1
    assert consumer.terminate() == 0


async def test_a_call_of_which_only_the_intent_is_left_is_billed(
    kafka: KafkaSettings, database: ClickHouseSettings, tmp_path: Path
) -> None:
    """Its worker and its ingress are gone. The consumer dies too, more than once, while it finds that out."""
    consumer = Consumer(kafka, database, tmp_path / "consumer.log")
    consumer.start()
    producer = make_durable_producer(kafka)
    await producer.start()
    now_ms = time.time_ns() // 1_000_000
    for name, reported in (("req_lost", False), ("req_told", True)):
        told = usage_record(
            name,
            attempts=(attempt_event(name, cost_pico_usd=3 * 10**12),),
            accepted_at_ms=START_MS,
            leases=("1|b@d|l",),
        )
        intent = msgspec.structs.replace(told, origin="intent", deadline_ms=now_ms + 1000)
        for record in (intent, told) if reported else (intent,):
            await producer.send_and_wait(topic_name(kafka, Topic.USAGE), USAGE.encode(record), b"prj_1")
    await producer.stop()
    client = await connect(database)
    until_s = time.monotonic() + DEADLINE_S
    kills = 0
    while True:
        rows = (
            await client.query("SELECT request_id, origin, toString(cost_usd) FROM attempts ORDER BY 1")
        ).result_rows
        if len(rows) == 2 and not await lag(kafka):
            break
        assert time.monotonic() < until_s, consumer.log()[-3000:]
        if kills < 3 and len(rows) == 1:
            await consumer.until_ready()
            consumer.kill()
            consumer.start()
            kills += 1
        await asyncio.sleep(0.2)
    await client.close()
    assert [tuple(row) for row in rows] == [("req_lost", "audit", "3"), ("req_told", "worker", "3")]
    # The clocks go on past both, now that nothing is unreported.
    while not await swept_past(kafka, now_ms + 1000 + round(SWEEP_GRACE_S * 1000)):
        assert time.monotonic() < until_s, consumer.log()[-3000:]
        await asyncio.sleep(0.2)
    sums = await settled_sums(kafka)
    assert sums.by_lease == {("b@d", "l"): 6 * 10**12}
    assert consumer.terminate() == 0, consumer.log()[-3000:]


async def swept_past(kafka: KafkaSettings, at_ms: int) -> bool:
    """Whether every authority has been told, by every partition of usage, that all intents due by then are settled."""
    for records in (await read_topic(kafka, Topic.SPEND_COMMANDS)).values():
        clocks: dict[int, UsageClock] = {}
        for record in records:
            assert record.value is not None
            command = SPEND_COMMAND.decode(record.value).command
            if isinstance(command, UsageClock):
                clocks[command.usage_partition] = command
        if not clocks or len(clocks) < next(iter(clocks.values())).partitions:
            return False
        if min(clock.swept_through_ms for clock in clocks.values()) <= at_ms:
            return False
    return True
