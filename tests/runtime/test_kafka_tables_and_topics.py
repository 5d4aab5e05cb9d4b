"""Creating topics, tables read from compacted topics, and dead letters, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from runtime.clock import SystemClock
from runtime.kafka.clients import make_admin, make_durable_producer, make_reader, topic_name
from runtime.kafka.dead_letters import DeadLetterFlood, DeadLetterLimit, DeadLetters
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.log_reader import TopicMissing
from runtime.kafka.table_reader import TableReader
from runtime.kafka.topics_admin import create_topics
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.dead_letter import DEAD_LETTER, DeadLetter
from schemas.spend import LEDGER, LedgerState
from schemas.topics import TOPICS, Topic
from tests.fakes.clock import HandClock
from tests.runtime.kafka_topics import admin_of, create_topic, produce, read_all, until_known
from tests.runtime.waiting import until


async def config_of(settings: KafkaSettings, topic: str) -> dict[str, str]:
    async with admin_of(settings) as admin:
        answers: Any = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (resource,) = answers[0].resources
    return {entry[0]: entry[1] for entry in resource[4]}


async def test_topics_are_created_as_specified_and_a_second_time_left_alone(kafka_settings: KafkaSettings) -> None:
    names = {topic: topic_name(kafka_settings, topic) for topic in Topic}
    said: list[str] = []
    # One is there already, with settings of its own, as an operator may have made it.
    await create_topic(kafka_settings, names[Topic.USAGE], partitions=2, retention_ms="123456")

    await create_topics(make_admin(kafka_settings), kafka_settings, said.append)
    made = {names[topic] for topic in Topic if topic is not Topic.USAGE}
    assert set(said) == {f"topic {name}: created" for name in made} | {f"topic {names[Topic.USAGE]}: exists"}
    partitions = {names[topic]: spec.partitions for topic, spec in TOPICS.items()}
    await until_known(kafka_settings, partitions | {names[Topic.USAGE]: 2})
    for topic, spec in TOPICS.items():
        config = await config_of(kafka_settings, names[topic])
        if topic is not Topic.USAGE:
            assert {name: config[name] for name in spec.config()} == spec.config()
    assert (await config_of(kafka_settings, names[Topic.USAGE]))["retention.ms"] == "123456"

    said.clear()
    await create_topics(make_admin(kafka_settings), kafka_settings, said.append)
    assert set(said) == {f"topic {name}: exists" for name in names.values()}


async def test_a_topic_that_kafka_refuses_is_an_error_and_not_a_success(kafka_settings: KafkaSettings) -> None:
    """aiokafka raises nothing of itself: the refusal is in its answer."""
    impossible = KafkaSettings(
        bootstrap=kafka_settings.bootstrap, topic_prefix=kafka_settings.topic_prefix, replication=3
    )
    said: list[str] = []
    with pytest.raises(KafkaError, match="topic"):
        await create_topics(make_admin(impossible), impossible, said.append)
    assert not any("created" in line for line in said)


def state(ledger_id: str, spent_pico_usd: int) -> tuple[bytes, bytes]:
    record = LedgerState(
        ledger_id=ledger_id,
        budget_id="b",
        scope="project:p",
        enforcement="hard",
        period_start="2026-11-01",
        period_end="2026-12-01",
        limit_pico_usd=1,
        spent_pico_usd=spent_pico_usd,
        through={},
    )
    return ledger_id.encode(), LEDGER.encode(record)


@asynccontextmanager
async def reading(
    settings: KafkaSettings, table: dict[str, int], clock: HandClock
) -> AsyncIterator[tuple[TableReader, Supervisor]]:
    def apply(value: bytes) -> None:
        record = LEDGER.decode(value)
        table[record.ledger_id] = record.spent_pico_usd

    supervisor = Supervisor()
    reader = TableReader(lambda: make_reader(settings), topic_name(settings, Topic.SPEND), apply, clock, supervisor)
    assert reader.age_s() == float("inf")
    await reader.start()
    try:
        yield reader, supervisor
    finally:
        await reader.stop(Deadline(SystemClock(), 5))
    assert not supervisor.failed.is_set()


async def test_a_table_is_whole_at_the_start_and_then_follows(kafka_settings: KafkaSettings) -> None:
    topic = topic_name(kafka_settings, Topic.SPEND)
    await create_topic(kafka_settings, topic, partitions=3, cleanup_policy="compact")
    written = [
        (number % 3, *state(f"prj_{number % 30}", number))
        for number in range(1500)  # more than one fetch
    ]
    await produce(kafka_settings, topic, written)
    table: dict[str, int] = {}
    async with reading(kafka_settings, table, HandClock()) as (reader, _):
        # The last of each key, at once and not in time.
        assert table == {f"prj_{number % 30}": number for number in range(1470, 1500)}
        assert reader.age_s() == 0
        await produce(kafka_settings, topic, [(1, *state("prj_1", 9001)), (2, *state("k", 7))])
        await until(lambda: table.get("prj_1") == 9001 and table.get("k") == 7, "later records")


async def test_an_empty_table_is_whole(kafka_settings: KafkaSettings) -> None:
    await create_topic(kafka_settings, topic_name(kafka_settings, Topic.SPEND), partitions=2)
    table: dict[str, int] = {}
    async with reading(kafka_settings, table, HandClock()) as (reader, _):
        assert (table, reader.age_s()) == ({}, 0)


async def test_unreadable_records_and_tombstones_do_not_stop_a_table(kafka_settings: KafkaSettings) -> None:
    topic = topic_name(kafka_settings, Topic.SPEND)
    await create_topic(kafka_settings, topic)
    key, value = state("prj_1", 5)
    later_major = value.replace(b'"v":1', b'"v":2')
    await produce(
        kafka_settings, topic, [(0, b"x", b"\xffnot json"), (0, key, later_major), (0, b"y", None), (0, key, value)]
    )
    table: dict[str, int] = {}
    with capture_logs() as logs:
        async with reading(kafka_settings, table, HandClock()):
            assert table == {"prj_1": 5}
    unreadable = [(entry["offset"], entry["log_level"]) for entry in logs if "unreadable" in entry["event"]]
    assert unreadable == [(0, "error"), (1, "error")]


async def test_a_missing_topic_is_told_with_what_to_do(kafka_settings: KafkaSettings) -> None:
    supervisor = Supervisor()
    reader = TableReader(
        lambda: make_reader(kafka_settings),
        topic_name(kafka_settings, Topic.SPEND),
        list[bytes]().append,
        HandClock(),
        supervisor,
    )
    with pytest.raises(TopicMissing, match="run 'tollhouse topics'"):
        async with asyncio.timeout(20):
            await reader.start()
    await reader.stop(Deadline(SystemClock(), 1))


async def test_a_dead_letter_is_safe_when_put_returns_and_a_flood_puts_nothing(kafka_settings: KafkaSettings) -> None:
    topic = topic_name(kafka_settings, Topic.DEAD_LETTER)
    await create_topic(kafka_settings, topic)
    metrics, clock = Metrics(CollectorRegistry()), HandClock()
    producer = DurableProducer(lambda: make_durable_producer(kafka_settings), kafka_settings.topic_prefix, metrics)
    await producer.start()
    try:
        letters = DeadLetters(producer, clock, metrics, DeadLetterLimit(clock, max_in_window=2))
        reason = "UsageRecord: JSON is malformed"
        await letters.put("usage", 3, 17, reason, b"\xff\x00")
        await letters.put("requests", 0, 4, reason)
        with pytest.raises(DeadLetterFlood):
            await letters.put("usage", 3, 18, reason, b"third")
    finally:
        await producer.stop(Deadline(SystemClock(), 5))
    found = [(key, DEAD_LETTER.decode(value or b"")) for key, value in await read_all(kafka_settings, topic)]
    at_ms = clock.now_ms()
    usage = DeadLetter(
        source_topic="usage", source_partition=3, source_offset=17, reason=reason, at_ms=at_ms, value=b"\xff\x00"
    )
    request = DeadLetter(source_topic="requests", source_partition=0, source_offset=4, reason=reason, at_ms=at_ms)
    assert found == [(b"usage", usage), (b"requests", request)]
    counted = metrics.registry.get_sample_value("tollhouse_kafka_dead_letters_total", {"topic": "usage"})
    assert counted == 1
