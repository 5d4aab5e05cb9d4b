"""The local ClickHouse server's pure parts: reading statements, requests and bodies, and sessions over moved time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.clickhouse.errors import ClickHouseError
from deploy.local.clickhouse.formats import decode_body, encode_reply
from deploy.local.clickhouse.requests import Call, HttpRequest, parse_call
from deploy.local.clickhouse.sessions import SessionRequest, Sessions
from deploy.local.clickhouse.statement import has_second_statement, split_insert, verb


def parse(body: bytes = b"", **fields: str) -> Call:
    return parse_call(HttpRequest("POST", fields, {}, body, {}))


@pytest.mark.parametrize(
    ("prefix", "head", "name"),
    [
        (b"INSERT INTO t FORMAT CSV\n", b"INSERT INTO t", "CSV"),
        (
            b"insert into db.values (`format`, a) format RowBinary\r\n",
            b"insert into db.values (`format`, a)",
            "RowBinary",
        ),
        (b"-- FORMAT x\n/* ; */ INSERT INTO t FORMAT TSV \n", b"-- FORMAT x\n/* ; */ INSERT INTO t", "TSV"),
        (b"INSERT INTO t SETTINGS a='x FORMAT y' FORMAT JSON\n", b"INSERT INTO t SETTINGS a='x FORMAT y'", "JSON"),
        (b"INSERT INTO t FORMAT CSV SETTINGS a=1, b='c'\n", b"INSERT INTO t SETTINGS a=1, b='c'", "CSV"),
        (b"INSERT INTO FUNCTION f('SELECT', x) FORMAT CSV;\n", b"INSERT INTO FUNCTION f('SELECT', x)", "CSV"),
    ],
)
@given(data=st.binary())
def test_inline_data_begins_after_the_format_and_is_untouched(
    prefix: bytes, head: bytes, name: str, data: bytes
) -> None:
    insert = split_insert(prefix + data)
    assert insert is not None
    assert (insert.head, insert.format, insert.data) == (head, name, data)


@given(data=st.binary())
def test_a_body_after_an_insert_in_the_url_is_data_from_its_first_byte(data: bytes) -> None:
    for query in ("INSERT INTO t FORMAT RowBinary", "INSERT INTO t FORMAT RowBinary\n"):
        insert = parse(data, query=query).insert
        assert insert is not None
        assert insert.data == data


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t VALUES ('FORMAT CSV')",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t (a) FROM INFILE 'x' FORMAT CSV",
        b"SELECT 1 FORMAT CSV",
    ],
)
def test_statements_without_inline_data_stay_whole(sql: bytes) -> None:
    assert split_insert(sql) is None
    assert parse(sql).sql == sql


def test_what_chdb_would_get_wrong_is_refused() -> None:
    with pytest.raises(ClickHouseError) as refused:
        parse(b"INSERT INTO t SELECT a FROM input('a Int8') FORMAT CSV\n1\n\n2\n")
    assert (refused.value.code, refused.value.http_status) == (48, 501)
    with pytest.raises(ClickHouseError) as framed:
        parse(b"...", query="INSERT INTO t FORMAT Native", decompress="1")
    assert framed.value.code == 48
    with pytest.raises(ClickHouseError) as python_only:
        parse(b"SELECT 1", default_format="DataFrame")
    assert python_only.value.code == 73


def test_reading_of_statements() -> None:
    assert verb(b" /* a */ -- b\n ((select 1))") == "SELECT"
    assert not has_second_statement(b"SELECT ';' ; -- end\n")
    assert has_second_statement(b"SELECT 1; DROP TABLE t")
    call = parse(b"SELECT {x:UInt8}", param_x="1", max_threads="2", wait_end_of_query="1", readonly="1", database="d")
    assert (call.params, call.settings, call.readonly, call.database) == ({"x": "1"}, {"max_threads": "2"}, "1", "d")
    for name in ("a b", "x=1, y", ""):
        with pytest.raises(ClickHouseError) as unknown:
            parse(b"SELECT 1", **{name: "1"})
        assert unknown.value.code == 115


def test_external_types_become_numbered_columns() -> None:
    request = HttpRequest(
        "POST", {"query": "SELECT 1", "e_types": "Decimal(9, 2),Map(String, UInt8)"}, {}, b"", {"e": b""}
    )
    (table,) = parse_call(request).external_tables
    assert table.structure == "_1 Decimal(9, 2), _2 Map(String, UInt8)"
    assert parse_call(request).settings == {}


@given(parts=st.lists(st.binary(min_size=1), min_size=1, max_size=3))
@pytest.mark.parametrize("encoding", ["zstd", "lz4", "gzip"])
def test_a_body_of_several_frames_is_read_whole(encoding: str, parts: list[bytes]) -> None:
    frames = [encode_reply(part, encoding) for part in parts]
    assert decode_body(b"".join(frames), encoding) == b"".join(parts)


@given(plain=st.binary(min_size=1), cut=st.integers(1, 4))
@pytest.mark.parametrize("encoding", ["zstd", "lz4", "gzip", "deflate"])
def test_a_cut_body_is_refused(encoding: str, plain: bytes, cut: int) -> None:
    assert decode_body(encode_reply(plain, encoding), encoding) == plain
    with pytest.raises(ClickHouseError) as refused:
        decode_body(encode_reply(plain, encoding)[:-cut], encoding)
    assert refused.value.code == 271


class FakeHandle:
    def close(self) -> None: ...


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_sessions_expire_when_idle_and_never_while_in_use() -> None:
    clock = Clock()
    sessions: Sessions[FakeHandle] = Sessions(clock)
    wanted = SessionRequest("s", timeout_s=60, must_exist=False)
    handle = FakeHandle()
    with sessions.lease(wanted) as session:
        session.handle = handle
        clock.now_s += 3600
        assert sessions.take_expired() == []
        with pytest.raises(ClickHouseError) as locked, sessions.lease(wanted):
            pass
        assert locked.value.code == 373
    clock.now_s += 59
    with sessions.lease(wanted) as session:
        assert session.handle is handle
    clock.now_s += 60
    with pytest.raises(ClickHouseError) as missing, sessions.lease(SessionRequest("s", 60, must_exist=True)):
        pass
    assert missing.value.code == 372
    with sessions.lease(wanted) as session:
        assert session.handle is None, "a forgotten session came back with its old state"
    assert sessions.take_expired() == [handle]
    assert sessions.take_expired() == []
