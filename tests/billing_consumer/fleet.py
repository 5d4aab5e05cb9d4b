"""Billing consumers as processes of their own, and the usage that they are given. For tests with a real Kafka."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from billing_consumer.batch_bounds import decode_plan
from billing_consumer.clickhouse_client import connect
from billing_consumer.service import GROUP
from billing_consumer.settings import ClickHouseSettings
from runtime.kafka.clients import make_admin, make_durable_producer, make_reader, topic_name
from runtime.shared_settings import KafkaSettings
from schemas.money import pico_to_usd
from schemas.spend import SPEND
from schemas.topics import Topic
from schemas.usage import USAGE
from tests.billing_consumer.clickhouse_server import DEADLINE_S, REPOSITORY, wait_until
from tests.billing_consumer.samples import START_MS, attempt_event, request_event, usage_record

ROLLUPS = ("spend_by_key", "spend_by_project", "spend_by_model_hour")


class Consumer:
    """`python -m billing_consumer`, which may be killed at any moment and started again."""

    def __init__(self, kafka: KafkaSettings, clickhouse: ClickHouseSettings, log_path: Path) -> None:
        self._environ = os.environ | {
            "TOLLHOUSE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TOLLHOUSE_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
            "TOLLHOUSE_KAFKA_SESSION_TIMEOUT_S": str(kafka.session_timeout_s),
            "TOLLHOUSE_CLICKHOUSE_URL": clickhouse.url,
            "TOLLHOUSE_CLICKHOUSE_DATABASE": clickhouse.database,
            "TOLLHOUSE_BILLING_BATCH_WAIT_S": "0.05",
            "TOLLHOUSE_BILLING_MAX_BATCH_RECORDS": "1500",
            "TOLLHOUSE_PROBE_PORT_FILE": str(log_path.with_suffix(".port")),
        }
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._log_path.with_suffix(".port").unlink(missing_ok=True)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "billing_consumer"], cwd=REPOSITORY, env=self._environ, stdout=log, stderr=log
            )

    async def until(self, condition: Callable[[Mapping[str, str]], bool], what: str) -> None:
        """Waits until what /readyz calls not ready is as wanted."""
        until_s = time.monotonic() + DEADLINE_S
        async with ClientSession() as session:
            while time.monotonic() < until_s:
                assert self.poll() is None, self.log()[-3000:]
                with contextlib.suppress(ClientError, FileNotFoundError):
                    url = self._log_path.with_suffix(".port").read_text().strip()
                    async with session.get(f"{url}/readyz") as answer:
                        if condition(msgspec.json.decode(await answer.read())["not_ready"]):
                            return
                await asyncio.sleep(0.05)
        raise AssertionError(f"never: {what}\n{self.log()[-3000:]}")

    async def until_ready(self) -> None:
        await self.until(lambda not_ready: not not_ready, "ready")

    def poll(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """The exit code of an orderly stop."""
        assert self._process is not None
        self._process.terminate()
        wait_until(lambda: self.poll() is not None, "the consumer ends after SIGTERM")
        return self._process.wait()

    def log(self) -> str:
        return self._log_path.read_text()


@dataclass
class Truth:
    """What must be in ClickHouse in the end."""

    records: int = 0
    cost_pico_usd: int = 0
    by_key: dict[str, int] = field(default_factory=dict)

    @property
    def cost_usd(self) -> Decimal:
        return pico_to_usd(self.cost_pico_usd)


async def produce(
    kafka: KafkaSettings, truth: Truth, count: int, rng: random.Random, *, per_s: float = float("inf")
) -> None:
    """Ordinary usage of 40 projects, spread over the partitions by their keys."""
    started_s, before = time.monotonic(), truth.records
    producer: AIOKafkaProducer = make_durable_producer(kafka)
    await producer.start()
    try:
        for _ in range(count):
            number = truth.records
            project = rng.randrange(40)
            cost_pico_usd = rng.randrange(10**13)
            request_id = f"req_{number:012x}"
            key = f"key_{project}"
            record = usage_record(
                request_id,
                attempts=(
                    attempt_event(request_id, cost_pico_usd=cost_pico_usd, started_at_ms=START_MS + 1000 * number),
                ),
                request=request_event(),
                project_id=f"prj_{project}",
                api_key_id=key,
            )
            await producer.send(topic_name(kafka, Topic.USAGE), USAGE.encode(record), f"prj_{project}".encode())
            truth.records += 1
            truth.cost_pico_usd += cost_pico_usd
            truth.by_key[key] = truth.by_key.get(key, 0) + cost_pico_usd
            ahead_s = (truth.records - before) / per_s - (time.monotonic() - started_s)
            if ahead_s > 0.02:
                await asyncio.sleep(ahead_s)
        await producer.flush()
    finally:
        await producer.stop()


async def lag(kafka: KafkaSettings) -> int:
    """Records that are not finished: after the committed offsets, and in batches that are only planned."""
    topic = topic_name(kafka, Topic.USAGE)
    admin, reader = make_admin(kafka), make_reader(kafka)
    await admin.start()
    await reader.start()
    try:
        await reader._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
        ends: Mapping[TopicPartition, int] = await reader.end_offsets(partitions)
        committed = await admin.list_consumer_group_offsets(kafka.topic_prefix + GROUP, partitions=partitions)
        behind = 0
        for partition in partitions:
            place = committed[partition]
            behind += ends[partition] - max(0, place.offset)
            behind += decode_plan(place.offset, place.metadata) is not None
        return behind
    finally:
        await reader.stop()
        await admin.close()


async def spend_states(kafka: KafkaSettings) -> AsyncIterator[tuple[str, int]]:
    """(key, total) of each record on the spend topic, in order."""
    topic = topic_name(kafka, Topic.SPEND)
    reader = make_reader(kafka)
    await reader.start()
    try:
        await reader._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            while await reader.position(partition) < ends[partition]:
                for record in (await reader.getmany(partition, timeout_ms=200)).get(partition, []):
                    assert record.key is not None
                    assert record.value is not None
                    yield record.key.decode(), SPEND.decode(record.value).spent_pico_usd
    finally:
        await reader.stop()


async def check_books(clickhouse: ClickHouseSettings, kafka: KafkaSettings, truth: Truth) -> None:
    """Base tables, every rollup and what was published say the same, to the last pico-dollar."""
    client = await connect(clickhouse)
    try:

        async def row(query: str) -> tuple[object, ...]:
            return tuple((await client.query(query)).result_rows[0])

        counted = await row("SELECT count(), uniqExact(attempt_id), sum(sign), sum(sign * cost_usd) FROM attempts")
        assert counted == (truth.records, truth.records, truth.records, truth.cost_usd)
        assert await row("SELECT count(), uniqExact(request_id) FROM requests") == (truth.records, truth.records)
        for rollup in ROLLUPS:
            total = await row(f"SELECT sum(attempts), sum(cost_usd) FROM {rollup}")
            assert total == (truth.records, truth.cost_usd), rollup
    finally:
        await client.close()
    published = {key: total async for key, total in spend_states(kafka)}
    of_keys = {key.removeprefix("api_key:"): total for key, total in published.items() if key.startswith("api_key:")}
    assert of_keys == truth.by_key
