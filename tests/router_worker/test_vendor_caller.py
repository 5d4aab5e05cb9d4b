"""One vendor call over real sockets: what the client's stream gets, and what the result says of how it ended."""

import asyncio
import gzip
import socket

import msgspec
import pytest

from schemas.failures import Failure, FailureKind
from schemas.frames import FrameType, credit_payload
from tests.fakes.vendors import raw_vendor, simulator, usable
from tests.fakes.waiting import until
from tests.router_worker.vendor_line import GONE, PLENTY, Line, ask, call, caller, kind, make


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer(streaming: bool) -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, "echo:cached_tokens=2", streaming=streaming)
        [row] = vendors.calls()
    assert (result.outcome, result.failure, result.answered, result.status) == ("completed", None, True, 200)
    assert result.tokens is not None
    assert (result.tokens.input, result.tokens.cached_input, result.tokens.output) == (
        row["prompt_tokens"],
        row["cached_tokens"],
        row["completion_tokens"],
    )
    assert row["request_id_header"] == "a.0.0"
    assert result.vendor_request_id
    assert result.first_byte_ms is not None
    assert line.frames[0][0] is FrameType.HEAD
    assert line.types() == {FrameType.HEAD, FrameType.DATA}, "END and ERROR are the caller's"
    if streaming:
        assert line.data().endswith(b"data: [DONE]\n\n")
    else:
        answer = msgspec.json.decode(line.data())
        assert answer["choices"][0]["message"]["content"] == "one two three"
        assert answer["model"] == "m"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("vendor_model", "expected", "status"),
    [
        ("status:code=500", FailureKind.VENDOR_ERROR, 500),
        ("status:code=429:retry_after_s=3", FailureKind.VENDOR_RATE_LIMITED, 429),
        ("bad-key", FailureKind.VENDOR_REFUSED_KEY, 401),
        ("context-length", FailureKind.VENDOR_REFUSED_REQUEST, 400),
        ("garbage", FailureKind.VENDOR_GARBLED, 200),
    ],
)
async def test_refusals_leave_the_client_untouched(
    streaming: bool, vendor_model: str, expected: FailureKind, status: int
) -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, vendor_model, streaming=streaming)
    assert (kind(result), result.outcome, result.answered, result.status) == (expected, "failed", False, status)
    assert result.failure is not None
    assert result.failure.retry_after_s == (3 if status == 429 else None)
    assert line.frames == []


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_vendor_that_never_answers(streaming: bool) -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(
            vendors.vendor("v"), line, "never", streaming=streaming, first_byte_timeout_s=0.05, answer_timeout_s=0.05
        )
        await until(lambda: vendors.calls()[0]["outcome"] == "hung_up")
    assert (kind(result), result.outcome) == (FailureKind.VENDOR_FIRST_BYTE_TIMEOUT, "failed")
    assert result.began, "it may have worked"
    assert line.frames == []


async def test_the_first_byte_is_an_answers_and_not_its_headers() -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, "echo:ttft_ms=5000", first_byte_timeout_s=0.1)
    assert kind(result) is FailureKind.VENDOR_FIRST_BYTE_TIMEOUT
    assert line.frames == []


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_vendor_that_stalls(streaming: bool) -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(
            vendors.vendor("v"), line, "hang-after", streaming=streaming, stall_timeout_s=0.1, answer_timeout_s=0.1
        )
        await until(lambda: vendors.calls()[0]["outcome"] == "hung_up")
    assert kind(result) is FailureKind.VENDOR_STALLED
    assert result.began
    assert result.answered == streaming
    assert result.outcome == ("interrupted" if streaming else "failed")
    assert b"[DONE]" not in line.data()


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_vendor_that_breaks_off(streaming: bool) -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, "break-after", streaming=streaming)
    assert kind(result) is FailureKind.VENDOR_BROKE_OFF
    assert (result.answered, result.outcome) == (streaming, "interrupted" if streaming else "failed")
    assert (line.frames == []) == (not streaming)


async def test_steady_chunks_are_no_stall_however_long_they_take() -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, "echo:chunks=20:gap_ms=25", stall_timeout_s=0.2)
    assert (kind(result), result.outcome) == (None, "completed")


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = Line()
        result = await call(usable("v", f"http://127.0.0.1:{taken.getsockname()[1]}/v1"), line)
    assert (kind(result), result.began, result.outcome) == (FailureKind.VENDOR_UNREACHABLE, False, "failed")


async def test_nobody_accepts() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        line = Line()
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        result = await call(usable("v", url), line, connect_timeout_s=0.2)
        for filler in fillers:
            filler.close()
    assert (kind(result), result.began) == (FailureKind.VENDOR_CONNECT_TIMEOUT, False)


# Interruptions.


@pytest.mark.parametrize(
    ("vendor_model", "streaming"),
    [("never", True), ("never", False), ("echo:gap_ms=1000:chunks=9", False), ("echo:gap_ms=1000:chunks=9", True)],
)
async def test_an_interruption_hangs_up_on_the_vendor(vendor_model: str, streaming: bool) -> None:
    line = Line()
    async with simulator() as vendors, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(call(vendors.vendor("v"), line, vendor_model, streaming=streaming))
        await until(lambda: vendors.calls())
        if "gap" in vendor_model:
            await until(lambda: vendors.calls()[0]["prompt_tokens"])
        line.stream.interrupt(GONE)
        result = await calling
        await until(lambda: vendors.calls()[0]["outcome"] == "hung_up")
    assert (result.outcome, result.failure) == ("cancelled", GONE)
    assert result.began, "the vendor may charge for what it did until then"


async def test_an_interruption_before_the_call_makes_none() -> None:
    line = Line()
    line.stream.interrupt(GONE)
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line)
        assert vendors.calls() == []
    assert (result.outcome, result.began) == ("cancelled", False)


# Slow clients.


async def test_a_slow_client_stops_the_vendor_and_is_no_stall() -> None:
    line = Line(credit_bytes=10_000)
    async with simulator() as vendors, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(call(vendors.vendor("v"), line, "huge:kb=32768", stall_timeout_s=0.2))
        await until(lambda: len(line.data()) >= 10_000)
        for _ in range(3):
            before = len(line.data())
            await asyncio.sleep(0.15)  # longer in all than the stall timeout; nothing is waited for
            assert len(line.data()) == before
        assert vendors.calls()[0]["completion_tokens"] < 32768, "the vendor has run on into buffers"
        assert not calling.done()
        line.stream.on_frame(FrameType.CREDIT, credit_payload(PLENTY))
        result = await calling
    assert (kind(result), result.outcome) == (None, "completed")


async def test_what_a_slow_client_has_not_read_is_not_bounded_by_what_it_has() -> None:
    """It goes away while the vendor has run on into the buffers: only the cap says what may have been generated."""
    line = Line(credit_bytes=100)
    async with simulator() as vendors, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(call(vendors.vendor("v"), line, "huge:kb=32768:no_usage"))
        await until(lambda: line.data() and not line.stream.has_credit)
        line.stream.interrupt(GONE)
        result = await calling
    assert (result.outcome, result.began, result.tokens, result.output_bytes) == ("cancelled", True, None, None)


async def test_a_slow_client_of_a_plain_answer_is_no_stall() -> None:
    line = Line(credit_bytes=1)
    async with simulator() as vendors, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(
            call(vendors.vendor("v"), line, "huge:kb=1024", streaming=False, stall_timeout_s=0.2, answer_timeout_s=0.2)
        )
        await until(line.data)
        await asyncio.sleep(0.3)  # longer than every timeout; nothing is waited for
        assert not calling.done()
        line.stream.on_frame(FrameType.CREDIT, credit_payload(PLENTY))
        assert (await calling).outcome == "completed"


async def test_a_plain_answer_that_is_beyond_the_limit_once_unpacked() -> None:
    packed = gzip.compress(b" " * 4_000_000)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        await send(writer, head.encode() + packed)

    async with raw_vendor(answer) as vendor:
        result = await call(vendor, Line(), streaming=False, max_answer_bytes=100_000)
    assert result.failure is not None
    assert result.failure.message == "The vendor's answer is too large."


async def test_a_plain_answer_beyond_the_limit() -> None:
    line = Line()
    async with simulator() as vendors:
        result = await call(vendors.vendor("v"), line, "huge:kb=64", streaming=False, max_answer_bytes=10_000)
    assert kind(result) is FailureKind.VENDOR_GARBLED
    assert line.frames == []


# Vendors that break HTTP.

_ERROR = b'{"error": {"message": "No such field.", "param": "n", "code": "bad"}}'
_CHUNK = b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n'


async def send(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    """Each part arrives by itself."""
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.02)


async def test_an_error_that_comes_in_pieces_is_read_whole() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(_ERROR), _ERROR[:9], _ERROR[9:])

    async with raw_vendor(answer) as vendor:
        result = await call(vendor, Line())
    assert result.failure == Failure(
        kind=FailureKind.VENDOR_REFUSED_REQUEST, message="No such field.", param="n", code="bad", status=400
    )


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "answer_bytes",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
        b"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 100_000 + b"\r\n\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("in_two", [False, True])
async def test_whatever_a_vendor_sends_is_a_failure_and_no_exception(
    answer_bytes: bytes, streaming: bool, in_two: bool
) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, mark, rest = answer_bytes.partition(b"\r\n\r\n")
        await (send(writer, head + mark, rest) if in_two else send(writer, answer_bytes))

    line = Line()
    async with raw_vendor(answer) as vendor:
        # aiohttp tells nobody of a chunk size that it cannot read: only time does.
        result = await call(vendor, line, streaming=streaming, first_byte_timeout_s=0.3, answer_timeout_s=0.3)
    assert result.failure is not None
    assert result.outcome == "failed"
    assert result.failure.rule.advance, "another route may do better"
    assert line.frames == []


async def test_a_request_id_that_is_no_text_cannot_spoil_the_usage_record() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, b"HTTP/1.1 500 No\r\nX-Request-Id: \xff\xfe\r\nContent-Length: 0\r\n\r\n")

    async with raw_vendor(answer) as vendor:
        result = await call(vendor, Line())
    msgspec.json.encode(result.vendor_request_id)


async def test_after_the_end_mark_nothing_is_waited_for() -> None:
    """Some servers keep an answer open after its end; the client must not wait, nor be told that it broke."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + _CHUNK + b"data: [DONE]\n\n")
        await reader.read()
        closed.set()

    line = Line()
    async with raw_vendor(answer) as vendor:
        result = await call(vendor, line, stall_timeout_s=1.5)
        assert (kind(result), result.outcome) == (None, "completed")
        assert line.data().endswith(b"[DONE]\n\n")
        async with asyncio.timeout(5):
            await closed.wait()


async def test_one_connection_serves_many_calls() -> None:
    async with simulator() as vendors, caller() as made:
        vendor = vendors.vendor("v")
        for streaming in (True, False, True):
            await make(made, vendor, ask("echo", streaming=streaming), Line())
        assert made._session is not None
        assert made._session.connector is not None
        # aiohttp shows its pool in no other way.
        assert sum(map(len, made._session.connector._conns.values())) == 1
