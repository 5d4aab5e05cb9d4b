"""G3: every vendor attempt is billed exactly once, whatever dies. Real Kafka, real processes, kill -9."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from billing_consumer.settings import ClickHouseSettings
from deploy.local.kafka.process import KafkaHandle
from runtime.kafka.clients import make_admin, make_durable_producer, topic_name
from runtime.kafka.topics_admin import create_topics
from runtime.shared_settings import KafkaSettings
from schemas.topics import Topic
from tests.billing_consumer.clickhouse_server import ClickHouseProcess
from tests.billing_consumer.fleet import Consumer, Truth, check_books, lag, produce
from tests.billing_consumer.kafka_server import kafka_process

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
    assert consumer.log().count("partitions assigned") == 1, "it lost its membership while ClickHouse was away"
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
