"""`tollhouse corrections` with a real Kafka and a real ClickHouse behind it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from prometheus_client import CollectorRegistry

from billing_consumer.batch_bounds import Bounds
from billing_consumer.batch_writer import Batch, BatchWriter
from billing_consumer.clickhouse_store import ClickHouseStore
from billing_consumer.settlement import settlements_of
from reconciliation.clickhouse import Tables, windows
from runtime.kafka.clients import make_durable_producer, topic_name
from runtime.metrics import Metrics
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.budgets import day_of
from schemas.topics import TOPICS, Topic
from schemas.usage import USAGE, Origin, UsageRecord
from tests.billing_consumer.conftest import clickhouse, client, database, empty_database
from tests.billing_consumer.fleet import read_topic
from tests.billing_consumer.histories import NoDeadLetters
from tests.billing_consumer.samples import START_MS, attempt_event, usage_record
from tests.billing_consumer.settled import SettledSums
from tests.runtime.kafka_topics import create_topic
from tollhouse import corrections as command

__all__ = ["clickhouse", "client", "database", "empty_database"]

DAY_MS = 86_400_000
ROLLUPS = (
    "spend_by_key",
    "spend_by_project",
    "spend_by_model_hour",
    "spend_by_scope WHERE startsWith(scope, 'organization:')",
)
PARTITION = 5
"""Not where the project's key leads."""


def told(name: str, origin: Origin, cost_pico_usd: int) -> UsageRecord:
    return usage_record(
        name,
        attempts=(attempt_event(name, cost_pico_usd=cost_pico_usd),),
        origin=origin,
        accepted_at_ms=START_MS - 40 * DAY_MS,
        leases=("1|bud@2026-08-01|l",),
    )


class Fleet:
    """A billing consumer by hand: all that is new in the topic is one batch of each partition."""

    def __init__(self, kafka: KafkaSettings, database: ClickHouseSettings) -> None:
        self.kafka = kafka
        self.store = ClickHouseStore(database)
        self.sums = SettledSums()
        self._done: dict[int, int] = {}

    async def report(self, *records: UsageRecord) -> None:
        producer = make_durable_producer(self.kafka)
        await producer.start()
        for record in records:
            await producer.send_and_wait(
                topic_name(self.kafka, Topic.USAGE), USAGE.encode(record), b"prj_1", partition=PARTITION
            )
        await producer.stop()

    async def work_off(self) -> int:
        """How many records there were."""
        writer = BatchWriter(self.store, NoDeadLetters(), Metrics(CollectorRegistry()))
        count = 0
        for partition, records in (await read_topic(self.kafka, Topic.USAGE)).items():
            first = self._done.get(partition, 0)
            new = [record for record in records if record.offset >= first]
            if not new:
                continue
            bounds = Bounds("usage", partition, first, new[-1].offset + 1, START_MS)
            read = await writer.read(Batch(bounds, new, replayed=False))
            written = await writer.write(read, (await writer.find_unusual([read])).get(partition, set()))
            for authority, settlements in settlements_of(bounds, written.attempts).items():
                self.sums.add(authority, settlements)
            self._done[partition] = bounds.end
            count += len(new)
        return count


@pytest.fixture
async def fleet(kafka_settings: KafkaSettings, database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    await create_topic(kafka_settings, topic_name(kafka_settings, Topic.USAGE), TOPICS[Topic.USAGE].partitions)
    for name, value in (
        ("KAFKA_BOOTSTRAP", kafka_settings.bootstrap),
        ("KAFKA_TOPIC_PREFIX", kafka_settings.topic_prefix),
        ("CLICKHOUSE_URL", database.url),
        ("CLICKHOUSE_DATABASE", database.database),
    ):
        monkeypatch.setenv(f"TOLLHOUSE_{name}", value)
    return Fleet(kafka_settings, database)


async def correct(path: Path, text: str, *options: str) -> int:
    def run() -> int:
        path.write_text(text)
        return command.run([str(path), *options])

    return await asyncio.to_thread(run)


async def test_a_correction_supersedes_in_every_account(
    fleet: Fleet, client: AsyncClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bill.csv"
    await fleet.report(told("req_a", "worker", 10**12), told("req_b", "ingress", 3 * 10**12))
    assert await fleet.work_off() == 2
    good = "attempt_id,cost_usd\nreq_a.0.1,1.5\nreq_b.0.1,0.250000000001\n"

    assert await correct(file, good + "req_c.0.1,1\n") == 2
    assert "line 4: req_c.0.1: there is no such attempt" in capsys.readouterr().err
    assert await correct(file, good, "--dry-run") == 0
    assert capsys.readouterr().out.endswith("Nothing was sent.\n")
    assert await fleet.work_off() == 0

    assert await correct(file, good) == 0
    assert capsys.readouterr().out == (
        "line 2: req_a.0.1: 1 → 1.5 USD (+0.5)\n"
        "line 3: req_b.0.1: 3 → 0.250000000001 USD (-2.749999999999)\n"
        "2 corrections: 4 → 1.750000000001 USD (-2.249999999999)\n"
    )
    assert await fleet.work_off() == 2
    # The worker of the second was only slow; the vendor's bill has the last word all the same.
    await fleet.report(told("req_b", "worker", 7 * 10**12))
    await fleet.work_off()

    async def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in (await client.query(query)).result_rows]

    total = Decimal("1.750000000001")
    assert await rows("SELECT sum(sign), sum(sign * cost_usd) FROM attempts") == [(2, total)]
    for rollup in ROLLUPS:
        assert await rows(f"SELECT sum(attempts), sum(cost_usd) FROM {rollup}") == [(2, total)], rollup
    day = day_of(START_MS - 40 * DAY_MS).isoformat()
    assert fleet.sums.by_scope["organization:org_1", day] == 1_750_000_000_001
    assert {of_day for _, of_day in fleet.sums.by_scope} == {day}
    assert fleet.sums.by_lease == {("bud@2026-08-01", "l"): 4 * 10**12}
    assert await rows("SELECT attempt_id, origin, sign, toString(cost_usd) FROM attempts ORDER BY ALL") == [
        ("req_a.0.1", "correction", 1, "1.5"),
        ("req_a.0.1", "worker", -1, "1"),
        ("req_a.0.1", "worker", 1, "1"),
        ("req_b.0.1", "correction", 1, "0.250000000001"),
        ("req_b.0.1", "ingress", -1, "3"),
        ("req_b.0.1", "ingress", 1, "3"),
    ]
    assert await rows("SELECT DISTINCT origin FROM attempts_final") == [("correction",)]
    (window,) = windows(date.fromisoformat(day), date.fromisoformat(day) + timedelta(days=1), datetime.now(UTC))
    assert await Tables(client).odd_attempts(window) == (2, [])

    assert await correct(file, good) == 0, "the same file again changes nothing"
    assert capsys.readouterr().out.count("left out") == 2
    assert await correct(file, "attempt_id,cost_usd\nreq_a.0.1,1.6\n") == 2
    assert "was corrected already" in capsys.readouterr().err
    assert await fleet.work_off() == 0
    await fleet.store.close()


async def test_what_a_younger_topic_could_not_supersede_is_refused(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fleet.report(told("req_a", "worker", 10**12))
    # As if the topic had once been longer.
    fleet._done[PARTITION] = 0
    writer = BatchWriter(fleet.store, NoDeadLetters(), Metrics(CollectorRegistry()))
    (record,) = (await read_topic(fleet.kafka, Topic.USAGE))[PARTITION]
    record.offset = 900
    await writer.write(await writer.read(Batch(Bounds("usage", PARTITION, 900, 901, START_MS), [record], False)), set())
    assert await correct(tmp_path / "bill.csv", "attempt_id,cost_usd\nreq_a.0.1,2\n") == 2
    assert "made anew" in capsys.readouterr().err
    await fleet.store.close()


async def test_servers_that_are_away_are_named(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await fleet.report(told("req_a", "worker", 10**12))
    await fleet.work_off()
    await fleet.store.close()
    file, text = tmp_path / "bill.csv", "attempt_id,cost_usd\nreq_a.0.1,2\n"
    monkeypatch.setenv("TOLLHOUSE_KAFKA_TOPIC_PREFIX", "nobody.")
    assert await correct(file, text) == 1
    assert "run 'tollhouse topics'" in capsys.readouterr().err
    monkeypatch.setenv("TOLLHOUSE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert await correct(file, text) == 1
    assert "Kafka at 127.0.0.1:1" in capsys.readouterr().err
    monkeypatch.setenv("TOLLHOUSE_CLICKHOUSE_URL", "http://127.0.0.1:1")
    assert await correct(file, text) == 1
    assert "ClickHouse at http://127.0.0.1:1" in capsys.readouterr().err


def test_everything_that_is_wrong_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL"):
        monkeypatch.delenv(f"TOLLHOUSE_{name}", raising=False)
    file = tmp_path / "bill.csv"
    file.write_text("attempt_id,cost_usd\na,x\nb,\n")
    assert command.run([str(file)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert all(line.startswith("corrections: ") for line in said)
    wanted = ("line 2: cost_usd 'x'", "line 3: neither", "TOLLHOUSE_KAFKA_BOOTSTRAP", "TOLLHOUSE_CLICKHOUSE_URL")
    assert [sum(place in line for line in said) for place in wanted] == [1, 1, 1, 1]
    assert command.run([str(tmp_path / "none.csv")]) == 2
    file.write_bytes(b"attempt_id\n\xff\xfe")
    assert command.run([str(file)]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err
