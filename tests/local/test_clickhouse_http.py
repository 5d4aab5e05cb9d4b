"""The local ClickHouse server as its clients see it: a real process, real clickhouse-connect, plain HTTP."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
import signal
import subprocess
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
import pytest
from backports import zstd
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from lz4.frame import LZ4FrameDecompressor

from tests.local.clickhouse_process import (
    ACCOUNT,
    DEADLINE_S,
    NO_FIELDS,
    PASSWORD,
    REPOSITORY,
    Server,
    command,
    start,
    stop,
    wait_for,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("clickhouse") / "data")
    yield running
    assert stop(running, signal.SIGTERM) == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    connected = server.client(autogenerate_session_id=False)
    yield connected
    connected.close()


@pytest.fixture
def table() -> str:
    return f"t_{uuid.uuid4().hex}"


COLUMNS = {
    "text": "String",
    "kind": "LowCardinality(String)",
    "big": "UInt64",
    "small": "UInt32",
    "sign": "Int8",
    "at": "DateTime64(3, 'UTC')",
    "cost": "Decimal(38, 12)",
    "ok": "Bool",
    "maybe": "Nullable(UInt32)",
    "tags": "Array(String)",
    "labels": "Map(String, String)",
}
MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999000, tzinfo=UTC)
ROWS: list[Sequence[object]] = [
    ("", "a", 0, 0, -128, MOMENT, Decimal("0.000000000001"), False, None, [], {}),
    (
        "line\n\nafter an empty one\t'quoted' \\ \N{SNOWMAN}",
        "b",
        2**64 - 1,
        2**32 - 1,
        127,
        datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC),
        Decimal("99999999999999999999999999.999999999999"),
        True,
        7,
        ["x", "", "\n\n"],
        {"project": "p\n\n1", "": "empty key"},
    ),
    ("z", "a", 10, 1, 0, MOMENT, Decimal("-12345.678901234567"), True, 0, ["y"], {"k": "v"}),
]


def create(client: Client, table: str) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    client.command(f"CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY text")


def test_says_where_it_listens(server: Server) -> None:
    assert server.ready_line == f"clickhouse ready on http://127.0.0.1:{server.port}"
    assert server.ask("", method="GET")[2] == b"Ok.\n"


@pytest.mark.parametrize("compress", [False, "gzip", "zstd", "lz4"])
def test_every_type_round_trips_exactly(server: Server, table: str, compress: bool | str) -> None:
    client = server.client(compress=compress, tz_mode="aware")
    create(client, table)
    client.insert(table, ROWS, column_names=list(COLUMNS))
    result = client.query(f"SELECT * FROM {table} ORDER BY text")
    assert [tuple(row) for row in result.result_rows] == [
        tuple(row) for row in sorted(ROWS, key=lambda row: str(row[0]))
    ]
    assert client.query(f"SELECT sum(cost) FROM {table}").first_row == (
        Decimal("99999999999999999999987654.321098765433"),
    )
    client.close()


async def test_every_type_round_trips_exactly_async(server: Server, client: Client, table: str) -> None:
    create(client, table)
    async with await server.async_client(tz_mode="aware") as asynchronous:
        summary = await asynchronous.insert(table, ROWS, column_names=list(COLUMNS))
        assert summary.written_rows == len(ROWS)
        result = await asynchronous.query(f"SELECT * FROM {table} WHERE big = {{big:UInt64}}", parameters={"big": 10})
        assert [tuple(row) for row in result.result_rows] == [ROWS[2]]


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        ("gzip", gzip.decompress),
        ("zstd", zstd.decompress),
        ("deflate", zlib.decompress),
        ("lz4", lambda body: LZ4FrameDecompressor().decompress(body)),
        ("br", None),
    ],
)
def test_replies_are_compressed_on_request(
    server: Server, encoding: str, decode: Callable[[bytes], bytes] | None
) -> None:
    headers_sent = {**ACCOUNT, "Accept-Encoding": encoding}
    sql = "SELECT number FROM numbers(1000)"
    _, headers, body = server.ask(sql, {"enable_http_compression": "1"}, headers=headers_sent)
    assert headers.get("Content-Encoding") == (encoding if decode else None)
    plain = decode(body) if decode else body
    assert plain.split() == [str(number).encode() for number in range(1000)]
    _, headers, _ = server.ask(sql, headers=headers_sent)
    assert "Content-Encoding" not in headers


def test_a_replayed_batch_counts_once_in_source_and_views(client: Client, table: str) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 100"
    money, states = "k String, cost Decimal(38, 12)", "k String, n AggregateFunction(count)"
    summed = f"SELECT k, sum(cost) AS cost FROM {table} GROUP BY k"
    counted = f"SELECT k, countState() AS n FROM {table} GROUP BY k"
    for ddl in (
        f"CREATE TABLE {table} ({money}) ENGINE = MergeTree ORDER BY k {window}",
        f"CREATE TABLE {table}_sum ({money}) ENGINE = SummingMergeTree ORDER BY k {window}",
        f"CREATE TABLE {table}_n ({states}) ENGINE = AggregatingMergeTree ORDER BY k {window}",
        f"CREATE MATERIALIZED VIEW {table}_mv1 TO {table}_sum AS {summed}",
        f"CREATE MATERIALIZED VIEW {table}_mv2 TO {table}_n AS {counted}",
    ):
        client.command(ddl)
    rows = [(f"k{number % 7}", Decimal("0.000000000001")) for number in range(1000)]

    def totals() -> list[object]:
        return [
            client.command(f"SELECT count() FROM {table}"),
            Decimal(str(client.command(f"SELECT sum(cost) FROM {table}_sum"))),
            client.command(f"SELECT countMerge(n) FROM {table}_n"),
        ]

    for _ in range(3):
        client.insert(table, rows, settings={"insert_deduplication_token": "usage:0:0:999"})
    assert totals() == [1000, Decimal("0.000000001000"), 1000]
    client.insert(table, rows, settings={"insert_deduplication_token": "usage:0:1000:1999"})
    assert totals() == [2000, Decimal("0.000000002000"), 2000]


def test_errors_carry_clickhouse_codes(server: Server, client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as missing:
        client.query(f"SELECT * FROM {table}")
    assert (missing.value.code, missing.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(DatabaseError) as misspelt:
        client.command("SELEC 1")
    assert misspelt.value.code == 62
    status, headers, body = server.ask("SELECT 1", {"not_a_setting": "1"})
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "115")
    assert b"UNKNOWN_SETTING" in body
    status, headers, _ = server.ask("SELECT 1; SELECT 2")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "62")


def test_only_the_account_gets_in(server: Server) -> None:
    with pytest.raises(DatabaseError) as refused:
        clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="tester", password="wrong")
    assert refused.value.code == 516
    assert server.ask("SELECT 1", headers={})[0] == 403
    assert server.ask("SELECT 1", headers={"Authorization": "Basic not base64"})[0] == 403
    assert server.ask("SELECT 1", {"user": "tester", "password": "wrong"}, headers={})[0] == 403
    assert server.ask("SELECT 1", {"user": "tester", "password": PASSWORD}, headers={})[0] == 200


def test_settings_of_one_call_do_not_reach_the_next(server: Server) -> None:
    asked = "SELECT getSetting('max_threads'), getSetting('max_block_size'), currentDatabase()"
    before = server.value(asked).split()
    assert server.value(asked, {"max_threads": "3", "database": "system"}).split()[::2] == ["3", "system"]
    assert server.value(asked).split() == before
    session = {"session_id": uuid.uuid4().hex}
    server.value("SET max_threads = 5", session)
    for_one_call = {"max_threads": "3", "max_block_size": "77", "database": "system"}
    assert server.value(asked, session | for_one_call).split() == ["3", "77", "system"]
    assert server.value(asked, session).split() == ["5", *before[1:]]
    server.value("USE system", session)
    assert server.value("SELECT currentDatabase()", session) == "system"


def test_a_session_keeps_its_temporary_table_to_itself(server: Server) -> None:
    first, second = server.client(), server.client()  # each makes a session of its own
    first.command("CREATE TEMPORARY TABLE mine (n UInt8)")
    first.insert("mine", [[1], [2]], column_names=["n"])
    assert first.query("SELECT sum(n) FROM mine").first_row == (3,)
    with pytest.raises(DatabaseError) as missing:
        second.query("SELECT * FROM mine")
    assert missing.value.code == 60
    first.close()
    second.close()


def test_an_idle_session_is_forgotten(server: Server) -> None:
    # Asking for a session renews it, so each of these is asked for once.
    names = [uuid.uuid4().hex for _ in range(100)]
    for name in names:
        server.value("SELECT 1", {"session_id": name, "session_timeout": "1"})
    assert server.ask("SELECT 1", {"session_id": names.pop(), "session_check": "1"})[0] == 200

    def gone() -> bool:
        status, headers, _ = server.ask("SELECT 1", {"session_id": names.pop(), "session_check": "1"})
        return status != 200 and headers["X-ClickHouse-Exception-Code"] == "372"

    wait_for(gone)


async def test_thirty_queries_at_once_and_a_ping_meanwhile(server: Server) -> None:
    async with await server.async_client() as client:
        slow = asyncio.create_task(client.query("SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1"))
        results = await asyncio.gather(
            *(client.query("SELECT {n:UInt32}, sleep(0.01)", parameters={"n": number}) for number in range(30))
        )
        assert [result.result_rows[0][0] for result in results] == list(range(30))
        assert await client.ping()
        assert not slow.done(), "nothing ran beside the long statement"
        await client.command("KILL QUERY WHERE query LIKE '%sleepEachRow(1)%' AND query_id != queryID() SYNC")
        with pytest.raises(DatabaseError) as cancelled:
            await slow
        assert cancelled.value.code == 394


def test_inline_data_is_kept_past_an_empty_line(server: Server, client: Client, table: str) -> None:
    client.command(f"CREATE TABLE {table} (n UInt32, s String) ENGINE = MergeTree ORDER BY n")
    count = f"SELECT count(), sum(n), countIf(s = 'a\\n\\nb') FROM {table}"
    server.value(f'INSERT INTO {table} FORMAT JSONEachRow\n{{"n": 1}}\n\n{{"n": 2, "s": "a\\n\\nb"}}\n\n\n{{"n": 3}}')
    assert server.value(count) == "3\t6\t1"
    client.command(f"INSERT INTO {table} (n, s) FORMAT CSV", data='4,"a\n\nb"\n5,c\n')
    assert server.value(count) == "5\t15\t2"
    server.value(f"INSERT INTO {table} VALUES (6, 'a\n\nb'),\n\n(7, 'd');")
    assert server.value(count) == "7\t28\t3"
    server.value(f"TRUNCATE TABLE {table}")
    # 2570 is 0x0A0A: the row holds the very bytes of an empty line.
    numbers = b"".join(number.to_bytes(4, "little") for number in range(20000))
    server.ask(numbers, {"query": f"INSERT INTO {table} (n) FORMAT RowBinary"})
    assert server.value(count) == f"20000\t{sum(range(20000))}\t0"


def test_a_refused_insert_leaves_nothing(server: Server, client: Client, table: str) -> None:
    client.command(f"CREATE TABLE {table} (n UInt32) ENGINE = MergeTree ORDER BY n")
    good = b"".join(b"%d\n" % number for number in range(5000))
    insert = {"query": f"INSERT INTO {table} FORMAT CSV"}
    assert server.ask(good + b"not a number\n", insert)[0] == 400
    cut = gzip.compress(good)[:-8]
    assert server.ask(cut, insert, headers={**ACCOUNT, "Content-Encoding": "gzip"})[0] == 400
    assert server.value(f"SELECT count() FROM {table}") == "0"


def test_a_get_changes_nothing(server: Server, client: Client, table: str) -> None:
    client.command(f"CREATE TABLE {table} (n UInt32) ENGINE = MergeTree ORDER BY n")
    for session in (NO_FIELDS, {"session_id": uuid.uuid4().hex}):
        _, headers, _ = server.ask(f"DROP TABLE {table}", session, method="GET")
        assert headers["X-ClickHouse-Exception-Code"] == "164"
        status, _, body = server.ask(f"SELECT count() FROM {table}", session, method="GET")
        assert (status, body) == (200, b"0\n")


def test_external_data_and_summary(server: Server, client: Client) -> None:
    numbers = ExternalData(file_name="ext.csv", data=b'1,"a\n\nb"\n2,c\n', fmt="CSV", structure="n UInt8, s String")
    result = client.query("SELECT sum(n), max(s) FROM ext", external_data=numbers)
    assert result.first_row == (3, "c")
    typed = ExternalData(file_name="ext", data=b"1.5\t2\n", types=["Decimal(9, 2)", "UInt8"])
    assert client.query("SELECT _1 + _2 FROM ext", external_data=typed).first_row == (Decimal("3.5"),)
    _, headers, _ = server.ask("SELECT number FROM numbers(10)")
    assert json.loads(headers["X-ClickHouse-Summary"])["read_rows"] == "10"


def test_acknowledged_rows_outlive_kill_9_and_one_process_owns_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "data"
    first = start(path)
    first.value("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
    acknowledged: list[int] = []

    def insert_until_killed() -> None:
        for batch in range(10_000):
            rows = b"".join(b"%d\n" % number for number in range(batch * 100, batch * 100 + 100))
            try:
                status, _, _ = first.ask(rows, {"query": "INSERT INTO kept FORMAT CSV"})
            except (OSError, http.client.HTTPException):
                return
            if status == 200:
                acknowledged.append(batch)

    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert_until_killed)
        second = subprocess.run(command(path), cwd=REPOSITORY, capture_output=True, text=True, timeout=DEADLINE_S)
        wait_for(lambda: len(acknowledged) >= 20)
        stop(first, signal.SIGKILL)
        inserting.result()
    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert f"is already open in another process (pid {first.process.pid})" in line

    restarted = start(path)
    expected = sum(100 * batch + offset for batch in acknowledged for offset in range(100))
    found = f"SELECT count(), sum(n) FROM kept WHERE n < {100 * len(acknowledged)}"
    assert restarted.value(found) == f"{100 * len(acknowledged)}\t{expected}"

    with ThreadPoolExecutor(1) as pool:  # and SIGTERM lets a running statement finish
        running = pool.submit(restarted.value, "SELECT sleep(2) FORMAT TSV")
        wait_for(lambda: "sleep(2) FORMAT" in restarted.value("SELECT query FROM system.processes"))
        os.kill(restarted.process.pid, signal.SIGTERM)
        assert running.result() == "0"
    assert stop(restarted, signal.SIGTERM) == 0


def test_timestamps_are_utc(server: Server) -> None:
    assert server.value("SELECT timezone()") == "UTC"
    now = datetime.fromisoformat(server.value("SELECT now64(3)")).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - now).total_seconds()) < DEADLINE_S
