"""`tollhouse reconcile` with a real Kafka and a real ClickHouse behind it."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from reconciliation.ledgers import read_ledgers
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, topic_name
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.fencing import MARKER_KEY, STAMP_HEADER, Stamp, encode_stamp
from schemas.spend import LEDGER, LedgerState, spend_partition
from schemas.topics import TOPICS, Topic
from tests.reconciliation.account import clean_ledgers, write_account
from tests.runtime.kafka_topics import create_topic
from tollhouse import reconcile as command

RANGE = ("--from", "2026-11-09", "--to", "2026-11-13")


async def write_ledgers(
    settings: KafkaSettings, records: list[tuple[str, LedgerState | None]], term: int, number: int = 0
) -> None:
    """As one authority over every partition: by term, and numbered. A state of None retires the ledger."""
    producer = make_durable_producer(settings)
    await producer.start()
    topic = topic_name(settings, Topic.SPEND)
    try:
        counted = dict.fromkeys(range(TOPICS[Topic.SPEND].partitions), number)
        if number == 0:
            for partition in counted:
                headers = [(STAMP_HEADER, encode_stamp(Stamp(term, f"w{term}", 0)))]
                await producer.send_and_wait(topic, b"{}", MARKER_KEY.encode(), partition, headers=headers)
        for scope, state in records:
            partition = spend_partition(scope)
            counted[partition] += 1
            headers = [(STAMP_HEADER, encode_stamp(Stamp(term, f"w{term}", counted[partition])))]
            key = state.ledger_id if state is not None else clean_ledgers()[0].ledger_id
            value = LEDGER.encode(state) if state is not None else None
            await producer.send_and_wait(topic, value, key.encode(), partition, headers=headers)
    finally:
        await producer.stop()


def stated(ledgers: list[LedgerState]) -> list[tuple[str, LedgerState | None]]:
    return [(ledger.scope, ledger) for ledger in ledgers]


@pytest.fixture
async def spend_topic(kafka_settings: KafkaSettings) -> KafkaSettings:
    name = topic_name(kafka_settings, Topic.SPEND)
    await create_topic(kafka_settings, name, TOPICS[Topic.SPEND].partitions)
    return kafka_settings


@pytest.fixture
def environment(spend_topic: KafkaSettings, database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("KAFKA_BOOTSTRAP", spend_topic.bootstrap),
        ("KAFKA_TOPIC_PREFIX", spend_topic.topic_prefix),
        ("CLICKHOUSE_URL", database.url),
        ("CLICKHOUSE_DATABASE", database.database),
    ):
        monkeypatch.setenv(f"TOLLHOUSE_{name}", value)
    monkeypatch.setattr(command, "PAUSE_S", 0.0)


async def test_ledgers_are_read_as_the_authority_last_said(spend_topic: KafkaSettings) -> None:
    """Neither a deposed writer's word counts, nor what was retired."""
    first, second, *_ = clean_ledgers()
    old = msgspec.structs.replace(second, spent_pico_usd=1)
    await write_ledgers(spend_topic, stated([first, old]), term=1)
    await write_ledgers(spend_topic, stated([second]), term=2)
    late = msgspec.structs.replace(second, spent_pico_usd=2)
    await write_ledgers(spend_topic, stated([late]), term=1, number=5)
    clock = SystemClock()
    assert {one.ledger_id: one for one in await read_ledgers(spend_topic, clock)} == {
        one.ledger_id: one for one in (first, second)
    }
    await write_ledgers(spend_topic, [(first.scope, None)], term=3)
    assert [one.ledger_id for one in await read_ledgers(spend_topic, clock)] == [second.ledger_id]


async def test_an_account_that_adds_up_ends_with_0_and_one_that_does_not_with_1(
    environment: None,
    spend_topic: KafkaSettings,
    client: AsyncClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await write_account(client)
    without_leases = [msgspec.structs.replace(ledger, leases=()) for ledger in clean_ledgers()]
    await write_ledgers(spend_topic, stated(without_leases), term=1)
    # The one request without a row is of "now"; the machine's clock may be anywhere.
    asked = ("--from", "2026-11-09", "--to", "2026-11-12", "--settle-s", "0")
    assert await asyncio.to_thread(command.run, list(asked)) == 0
    out = capsys.readouterr().out
    assert out.endswith("The account adds up: no difference.\n")
    assert "7 ledgers" in out

    bill = tmp_path / "bill.csv"
    bill.write_text("\ufeffvendor,day,cost_usd\r\nv1,2026-11-10,0.506\r\n")
    wrong = msgspec.structs.replace(without_leases[0], spent_pico_usd=1)
    await write_ledgers(spend_topic, stated([wrong]), term=2)
    assert await asyncio.to_thread(command.run, [*asked, "--vendor-statement", str(bill)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ledgers")
    assert lines[1].split()[:4] == ["statement", "v1", "2026-11-10", "cost_usd"]
    assert lines[1].endswith("difference -0.001")
    assert lines[-1] == "2 differences."
    tolerant = [*asked, "--vendor-statement", str(bill), "--tolerance-usd", "0.001"]
    assert await asyncio.to_thread(command.run, tolerant) == 1
    assert capsys.readouterr().out.endswith("1 difference.\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TOLLHOUSE_CLICKHOUSE_URL": "http://127.0.0.1:1"}, "ClickHouse at http://127.0.0.1:1"),
        ({"TOLLHOUSE_CLICKHOUSE_DATABASE": "nowhere"}, "ClickHouse at"),
        ({"TOLLHOUSE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, "Kafka at 127.0.0.1:1"),
        ({"TOLLHOUSE_KAFKA_TOPIC_PREFIX": "nobody."}, "run 'tollhouse topics'"),
        ({"TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS": "soon"}, "TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS"),
    ],
)
async def test_what_cannot_be_read_ends_with_2_and_a_line(
    environment: None,
    client: AsyncClient,
    change: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    assert await asyncio.to_thread(command.run, list(RANGE)) == 2
    assert said in capsys.readouterr().err


def test_wrong_input_ends_with_2_and_every_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLHOUSE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("TOLLHOUSE_CLICKHOUSE_URL", "http://127.0.0.1:1")
    bill = tmp_path / "bill.csv"
    bill.write_text("vendor,day,cost_usd\nv1,2026-11-31,1\nv1,2026-11-30,x\n")
    assert command.run(["--from", "2026-11-09", "--to", "2026-11-09", "--vendor-statement", str(bill)]) == 2
    said = capsys.readouterr().err
    assert "--to must be after --from" in said
    assert "line 2: day" in said
    assert "line 3: cost_usd" in said
    assert command.run([*RANGE, "--vendor-statement", str(tmp_path / "none.csv")]) == 2
    bill.write_bytes(b"vendor,day,cost_usd\n\xff\xfe")
    assert command.run([*RANGE, "--vendor-statement", str(bill)]) == 2
    wrong: tuple[tuple[str, ...], ...] = (
        ("--from", "2026-11-09"),
        ("--from", "monday", "--to", "2026-11-10"),
        (*RANGE, "--settle-s", "-1"),
        (*RANGE, "--tolerance-usd", "-1"),
        (*RANGE, "--tolerance-usd", "nan"),
    )
    for arguments in wrong:
        with pytest.raises(SystemExit) as ended:
            command.run(list(arguments))
        code: Any = ended.value.code
        assert code == 2
