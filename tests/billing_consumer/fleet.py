"""Billing consumers as processes of their own, and the usage that they are given. For tests with a real Kafka."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from billing_consumer.batch_bounds import decode_plan
from billing_consumer.service import GROUP
from runtime.clickhouse import connect
from runtime.kafka.clients import make_admin, make_durable_producer, make_reader, topic_name
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.money import pico_to_usd, usd_to_pico
from schemas.spend import SPEND_COMMAND, Settlements, UsageClock
from schemas.topics import Topic
from schemas.usage import USAGE
from tests.billing_consumer.clickhouse_server import DEADLINE_S, REPOSITORY, wait_until
from tests.billing_consumer.samples import START_MS, attempt_event, request_event, usage_record
from tests.billing_consumer.settled import SettledSums

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
    by_lease: dict[tuple[str, str], int] = field(default_factory=dict)

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
                accepted_at_ms=START_MS + 60_000 * number,
                leases=(f"{project % 4}|bud_{project}@2026-09-01|lease_{project}",),
            )
            await producer.send(topic_name(kafka, Topic.USAGE), USAGE.encode(record), f"prj_{project}".encode())
            truth.records += 1
            truth.cost_pico_usd += cost_pico_usd
            truth.by_key[key] = truth.by_key.get(key, 0) + cost_pico_usd
            lease = (f"bud_{project}@2026-09-01", f"lease_{project}")
            truth.by_lease[lease] = truth.by_lease.get(lease, 0) + cost_pico_usd
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


async def read_topic(kafka: KafkaSettings, topic: Topic) -> dict[int, list[Any]]:
    """All that is in it now, by partition."""
    name = topic_name(kafka, topic)
    reader = make_reader(kafka)
    found: dict[int, list[Any]] = {}
    await reader.start()
    try:
        await reader._client.add_topic(name)
        partitions = [TopicPartition(name, number) for number in sorted(reader.partitions_for_topic(name) or ())]
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            records = found.setdefault(partition.partition, [])
            while await reader.position(partition) < ends[partition]:
                records += (await reader.getmany(partition, timeout_ms=200)).get(partition, [])
    finally:
        await reader.stop()
    return found


async def settled_sums(kafka: KafkaSettings) -> SettledSums:
    """What the authorities are told, added up. Fails where a usage clock says what is not so."""
    usage = await read_topic(kafka, Topic.USAGE)
    sums = SettledSums()
    for partition, records in (await read_topic(kafka, Topic.SPEND_COMMANDS)).items():
        # By partition of usage: how far a clock has promised that everything before it was settled.
        promised: dict[int, int] = {}
        for record in records:
            assert record.value is not None
            command = SPEND_COMMAND.decode(record.value).command
            if isinstance(command, Settlements):
                seen = dict(sums.through)
                sums.add(partition, command.batches)
                for batch in command.batches:
                    if batch.end > seen.get((partition, batch.usage_partition), 0):
                        assert batch.first >= promised.get(batch.usage_partition, 0), "settled after a clock had passed"
            elif isinstance(command, UsageClock):
                promised[command.usage_partition] = max(promised.get(command.usage_partition, 0), command.end)
                check_clock(command, usage)
    return sums


async def clocks_are_at_the_end(kafka: KafkaSettings) -> bool:
    """Whether every authority has been told that every partition of usage is worked off."""
    usage = await read_topic(kafka, Topic.USAGE)
    ends = {partition: records[-1].offset + 1 if records else 0 for partition, records in usage.items()}
    for records in (await read_topic(kafka, Topic.SPEND_COMMANDS)).values():
        reached = dict.fromkeys(usage, -1)
        for record in records:
            command = SPEND_COMMAND.decode(record.value).command
            if isinstance(command, UsageClock):
                reached[command.usage_partition] = max(reached[command.usage_partition], command.end)
        if reached != ends:
            return False
    return True


def check_clock(clock: UsageClock, usage: Mapping[int, Sequence[Any]]) -> None:
    """All that Kafka had by `settled_through_ms`, by its own time, is before `end`."""
    assert clock.partitions == len(usage)
    assert clock.swept_through_ms <= clock.settled_through_ms
    for record in usage[clock.usage_partition]:
        assert record.timestamp_type == 1, "the broker does not stamp usage"
        assert record.offset < clock.end or record.timestamp > clock.settled_through_ms


async def check_books(clickhouse: ClickHouseSettings, kafka: KafkaSettings, truth: Truth) -> None:
    """Base tables, every rollup and the settlements say the same, to the last pico-dollar."""
    until_s = time.monotonic() + DEADLINE_S
    while not await clocks_are_at_the_end(kafka):
        assert time.monotonic() < until_s, "the usage clocks stand still"
        await asyncio.sleep(0.1)
    sums = await settled_sums(kafka)
    client = await connect(clickhouse)
    try:

        async def row(query: str) -> tuple[object, ...]:
            return tuple((await client.query(query)).result_rows[0])

        counted = await row("SELECT count(), uniqExact(attempt_id), sum(sign), sum(sign * cost_usd) FROM attempts")
        assert counted == (truth.records, truth.records, truth.records, truth.cost_usd), counted
        assert await row("SELECT count(), uniqExact(request_id) FROM requests") == (truth.records, truth.records)
        for rollup in ROLLUPS:
            total = await row(f"SELECT sum(attempts), sum(cost_usd) FROM {rollup}")
            assert total == (truth.records, truth.cost_usd), rollup
        by_scope = await client.query(
            "SELECT scope, toString(day), sum(cost_usd) FROM spend_by_scope GROUP BY scope, day"
        )
        rollup_pico_usd = {(scope, day): usd_to_pico(cost) for scope, day, cost in by_scope.result_rows}
    finally:
        await client.close()
    assert sums.by_scope == rollup_pico_usd
    assert sums.by_lease == truth.by_lease
    of_keys: dict[str, int] = {}
    for (scope, _day), total_pico_usd in sums.by_scope.items():
        if scope.startswith("api_key:"):
            key = scope.removeprefix("api_key:")
            of_keys[key] = of_keys.get(key, 0) + total_pico_usd
    assert of_keys == truth.by_key
