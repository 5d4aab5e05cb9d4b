"""Clients that hang up, read slowly or wait too long, and a replica that drains."""

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest

from runtime.clock import SystemClock
from runtime.lifecycle import Deadline
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from tests.fakes.ring_worker import ring_worker
from tests.fakes.waiting import until
from tests.ingress.http_stack import CHAT, SECRET, Stack, chat, ingress_stack

PIECE_BYTES = 16 * 1024
WINDOW_BYTES = 64 * 1024


async def post(stack: Stack, **fields: Any) -> tuple[int, bytes]:
    async with stack.client.post(CHAT, json=chat(**fields)) as response:
        return response.status, await response.read()


async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    async with ingress_stack(body_timeout_s=0.1) as stack:
        host, port = stack.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"body_timeout" in answer
        assert stack.kafka.requests() == []
        writer.close()


async def test_a_full_replica_refuses_before_it_reads_the_body() -> None:
    async with ingress_stack(max_open_requests=1) as stack, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(post(stack))
        await stack.request()
        host, port = stack.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode())  # and nothing of the body
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        first.cancel()


async def test_a_mistake_of_ours_inside_a_stream_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("ingress.surfaces.openai_chat.OpenAiChat.error_event", broken)
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(stack.client.post(CHAT, json=chat(stream=True)))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: one\n\n")
        response = await call
        assert await response.content.readany() == b"data: one\n\n"
        stack.worker.error(sent, Failure(kind=FailureKind.VENDOR_STALLED))
        # Not a second response within the first, nor an end that looks like a whole answer.
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_client_that_hangs_up_before_any_worker_had_its_request() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        call.cancel()
        await until(lambda: stack.exchanges.unsettled == 0)
        await until(lambda: stack.kafka.request_events())
        assert [(e.status, e.failure) for e in stack.kafka.request_events()] == [(499, "client_gone")]
        stack.worker.send_claim(sent)
        await until(lambda: stack.worker.refusals)
        assert stack.worker.refusals == {sent.stream_id: ["unknown"]}


async def test_a_client_that_hangs_up_while_its_worker_waits_for_the_vendor() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        call.cancel()
        await until(lambda: stack.worker.cancels)
        assert stack.worker.cancels[sent.stream_id].kind is FailureKind.CLIENT_GONE
        assert stack.exchanges.unsettled == 1
        stack.worker.settled(sent)
        await until(lambda: stack.exchanges.unsettled == 0)
        assert stack.kafka.usage() == [], "the worker has the figures"


async def test_a_client_that_hangs_up_in_the_middle_of_an_idle_stream() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(stack.client.post(CHAT, json=chat(stream=True)))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: 1\n\n")
        response = await call
        await response.content.readuntil(b"\n\n")
        response.close()
        await until(lambda: stack.worker.cancels)
        assert stack.worker.cancels[sent.stream_id].kind is FailureKind.CLIENT_GONE


async def slow_reader(stack: Stack) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    """A client that asks for a stream and reads nothing. It hangs up once its reader is dropped."""
    host, port = stack.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    body = json.dumps(chat(stream=True)).encode()
    writer.write(
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return writer, reader


async def fill(stack: Stack, sent: RequestEnvelope, limit_bytes: int) -> int:
    """Sends as long as there is credit; returns how much until there was none for a good while."""
    total = 0
    await stack.worker.claim(sent)
    stack.worker.head(sent)
    while total < limit_bytes:
        try:
            async with asyncio.timeout(0.3):
                while stack.worker.credit[sent.stream_id] <= 0:  # noqa: ASYNC110 - the credit comes from a socket
                    await asyncio.sleep(0.001)
        except TimeoutError:
            break
        stack.worker.data(sent, b"x" * PIECE_BYTES)
        total += PIECE_BYTES
    return total


async def test_a_slow_reader_holds_up_its_own_stream_and_no_other() -> None:
    async with ingress_stack(window_bytes=WINDOW_BYTES) as stack, asyncio.TaskGroup() as tasks:
        writer, _reader = await slow_reader(stack)
        slow = await stack.request()
        limit_bytes = 64 * 1024 * 1024
        sent_bytes = await fill(stack, slow, limit_bytes)
        assert sent_bytes < limit_bytes, "credit has no end"
        [exchange] = stack.opened
        held = sum(map(len, exchange.data))
        assert held <= WINDOW_BYTES + PIECE_BYTES, "the vendor is further ahead than the window"
        call = tasks.create_task(post(stack))
        await stack.worker.answer(await stack.request(1), b"whole")
        assert await call == (200, b"whole"), "on the same channel, while the other stands still"
        writer.close()
        await until(lambda: slow.stream_id in stack.worker.cancels)


async def test_a_stream_to_a_reader_that_reads_never_wants_for_credit() -> None:
    async with ingress_stack(window_bytes=WINDOW_BYTES) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, stream=True))
        sent = await stack.request()
        assert await fill(stack, sent, 32 * WINDOW_BYTES) == 32 * WINDOW_BYTES
        stack.worker.end(sent)
        assert await call == (200, b"x" * 32 * WINDOW_BYTES)


async def test_a_stream_to_a_reader_that_never_reads_ends_at_the_deadline() -> None:
    async with ingress_stack(window_bytes=WINDOW_BYTES, request_deadline_s=1.0) as stack:
        writer, _reader = await slow_reader(stack)
        sent = await stack.request()
        await fill(stack, sent, 64 * 1024 * 1024)
        await until(lambda: stack.worker.cancels)
        assert stack.worker.cancels[sent.stream_id].kind is FailureKind.DEADLINE_EXCEEDED
        writer.close()


# Deadlines.


async def test_a_request_that_no_worker_takes_in_time() -> None:
    async with ingress_stack(request_deadline_s=0.05) as stack:
        for streaming in (False, True):
            status, body = await post(stack, stream=streaming)
            assert status == 504
            assert json.loads(body)["error"]["code"] == "deadline_exceeded"
        await until(lambda: len(stack.kafka.request_events()) == 2)
        assert stack.exchanges.unsettled == 0


async def test_a_request_that_is_not_answered_in_time() -> None:
    async with ingress_stack(request_deadline_s=0.2) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        status, body = await call
        assert status == 504
        assert json.loads(body)["error"]["code"] == "deadline_exceeded"
        await until(lambda: stack.worker.cancels)
        assert stack.worker.cancels[sent.stream_id].kind is FailureKind.DEADLINE_EXCEEDED


async def test_a_stream_does_not_outlive_its_deadline_however_busy_it_is() -> None:
    async with ingress_stack(request_deadline_s=0.3) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, stream=True))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        async with asyncio.timeout(5):
            while not stack.worker.cancels:
                stack.worker.data(sent, b"data: 1\n\n")
                await asyncio.sleep(0.001)
        assert stack.worker.cancels[sent.stream_id].kind is FailureKind.DEADLINE_EXCEEDED
        status, body = await call
        assert status == 200
        assert body.startswith(b"data: 1\n\n")
        assert json.loads(body.split(b"\n\n")[-2].removeprefix(b"data: "))["error"]["code"] == "deadline_exceeded"


# Draining.


async def test_draining_finishes_what_is_in_flight() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        plain = tasks.create_task(post(stack))
        stream = tasks.create_task(post(stack, stream=True))
        first, second = await stack.request(0), await stack.request(1)
        await stack.worker.claim(second)
        stack.worker.head(second)
        stack.worker.data(second, b"data: 1\n\n")
        stopping = tasks.create_task(stack.stop(Deadline(SystemClock(), 10)))
        await until(lambda: _refuses_connections(stack.url))
        assert not stopping.done()
        await stack.worker.answer(first, b"whole")
        assert await plain == (200, b"whole")
        assert not stopping.done(), "a stream is still open"
        stack.worker.data(second, b"data: [DONE]\n\n")
        stack.worker.end(second)
        assert await stream == (200, b"data: 1\n\ndata: [DONE]\n\n")
        async with asyncio.timeout(5):
            await stopping


def _refuses_connections(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_draining_waits_for_the_usage_of_a_client_that_has_its_answer() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.error(sent, Failure(kind=FailureKind.VENDOR_ERROR))
        await call
        call = tasks.create_task(post(stack))
        sent = await stack.request(1)
        await stack.worker.claim(sent)
        call.cancel()
        await until(lambda: stack.worker.cancels)
        stopping = tasks.create_task(stack.stop(Deadline(SystemClock(), 10)))
        await until(lambda: _refuses_connections(stack.url))
        assert not stopping.done()
        stack.worker.settled(sent)
        async with asyncio.timeout(5):
            await stopping


async def test_draining_ends_at_its_deadline() -> None:
    async with ingress_stack() as stack:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(_may_break(stack))
            sent = await stack.request()
            await stack.worker.claim(sent)
            async with asyncio.timeout(4):
                await stack.stop(Deadline(SystemClock(), 0.05))
            await call
        await until(lambda: stack.worker.cancels)
        assert stack.exchanges.waiting_clients == 0


async def _may_break(stack: Stack) -> None:
    try:
        await post(stack)
    except aiohttp.ClientError:
        return
    raise AssertionError("an answer came from nowhere")


async def test_workers_that_hang_do_not_hold_up_the_end() -> None:
    async with ingress_stack() as stack, aiohttp.ClientSession() as session:
        hanging = [await session.ws_connect(stack.reply_url, autoping=False) for _ in range(5)]
        async with asyncio.timeout(4):
            await stack.replies.stop(Deadline(SystemClock(), 0))
        for socket_ in hanging:
            await socket_.close()


async def test_stopping_the_reply_server_hands_back_what_workers_had() -> None:
    async with ingress_stack() as stack, ring_worker(stack.reply_url) as other, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        await other.claim(await stack.request())
        await other.die()
        await stack.worker.answer(await stack.request(1), b"whole")
        assert await call == (200, b"whole")
