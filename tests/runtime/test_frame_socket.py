"""The reply channel's socket, between two real aiohttp ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from runtime import frame_socket
from runtime.frame_socket import MAX_MESSAGE_BYTES, FrameSocket
from runtime.lifecycle import Supervisor
from schemas.frames import FrameError, FrameReader, FrameType, frame
from tests.runtime.waiting import until


@dataclass
class Ends:
    """`here` is ours; `there` is the other end's bare WebSocket, so that a test sees each message."""

    here: FrameSocket
    there: web.WebSocketResponse
    supervisor: Supervisor
    writer: "asyncio.Task[None]"


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    arrived: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        arrived.set_result(socket)
        await over.wait()
        return socket

    app = web.Application()
    app.router.add_get("/reply", accept)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    supervisor = Supervisor()
    async with aiohttp.ClientSession() as session:
        websocket = await session.ws_connect(f"ws://{host}:{port}/reply", compress=0, max_msg_size=MAX_MESSAGE_BYTES)
        here = FrameSocket(websocket)
        yield Ends(here, await arrived, supervisor, supervisor.spawn(here.run_writer(), "writer"))
        over.set()
        await supervisor.cancel_all()
        await websocket.close()
    await runner.cleanup()
    assert not supervisor.failed.is_set()


async def receive(ends: Ends) -> list[tuple[FrameType, int, bytes]]:
    async with asyncio.timeout(10):
        return list(FrameReader().feed(await ends.there.receive_bytes()))


async def test_frames_of_one_turn_of_the_loop_leave_in_one_message(ends: Ends) -> None:
    """Under load one system call carries many chunks; without it each would cost its own."""
    sent = [(FrameType.DATA, number, b"chunk %d" % number) for number in range(50)]
    for each in sent:
        ends.here.send(frame(*each))
    assert await receive(ends) == sent


async def test_frames_of_later_turns_follow_in_order(ends: Ends) -> None:
    sent = [(FrameType.DATA, 1, b"%d" % number) for number in range(200)]
    for each in sent:
        ends.here.send(frame(*each))
        await asyncio.sleep(0)
    received: list[tuple[FrameType, int, bytes]] = []
    while len(received) < len(sent):
        received += await receive(ends)
    assert received == sent


async def test_a_message_is_not_packed_without_bound(ends: Ends) -> None:
    """A cancel must never wait behind many megabytes."""
    payload = bytes(300_000)
    for number in range(20):
        ends.here.send(frame(FrameType.DATA, number, payload))
    ends.here.send(frame(FrameType.END, 99))
    received: list[int] = []
    messages = 0
    while len(received) < 21:
        frames = await receive(ends)
        size = sum(len(each[2]) + 13 for each in frames)
        assert size < frame_socket._PACK_BYTES + len(payload) + 13
        received += [stream_id for _, stream_id, _ in frames]
        messages += 1
    assert received == [*range(20), 99]
    assert messages <= 7, "but as many frames as fit go together"


async def test_one_frame_larger_than_the_bound_goes_alone(ends: Ends) -> None:
    large = (FrameType.DATA, 1, bytes(3 * frame_socket._PACK_BYTES))
    ends.here.send(frame(*large))
    ends.here.send(frame(FrameType.END, 1))
    assert await receive(ends) == [large]
    assert await receive(ends) == [(FrameType.END, 1, b"")]


async def test_flushed_returns_when_all_is_written(ends: Ends) -> None:
    for number in range(30):
        ends.here.send(frame(FrameType.DATA, number, bytes(100_000)))
    async with asyncio.timeout(10):
        await ends.here.flushed()
    assert ends.here._out == []
    received = 0
    while received < 30:
        received += len(await receive(ends))


async def test_arriving_messages_come_as_their_frames_wherever_they_were_cut(ends: Ends) -> None:
    sent = [(FrameType.ACCEPT, 1, b"\0\0\0\1"), (FrameType.CANCEL, 2, b"{}"), (FrameType.CREDIT, 3, b"\0\0\0\2")]
    stream = b"".join(frame(*each) for each in sent)
    for start in range(0, len(stream), 10):
        await ends.there.send_bytes(stream[start : start + 10])
    closing = ends.supervisor.spawn(_close(ends.there), "other end closes")
    async with asyncio.timeout(10):
        batches = [batch async for batch in ends.here.frames()]
    assert [each for batch in batches for each in batch] == sent
    assert ends.here.closed
    await closing


async def test_garbage_raises_and_closes(ends: Ends) -> None:
    await ends.there.send_bytes(frame(FrameType.CREDIT, 1, b"\0\0\0\1") + b"\xff" * 13)
    with pytest.raises(FrameError):
        async for _ in ends.here.frames():
            pass
    assert ends.here.closed


async def test_text_ends_the_channel(ends: Ends) -> None:
    await ends.there.send_str("hello")
    assert [batch async for batch in ends.here.frames()] == []
    assert ends.here.closed


async def test_after_the_closing_frames_are_dropped_and_nobody_waits(ends: Ends) -> None:
    ends.supervisor.spawn(_answer_the_closing(ends.there), "other end")
    await ends.here.close()
    ends.here.send(frame(FrameType.DATA, 1, b"late"))
    async with asyncio.timeout(10):
        await ends.here.flushed()
    assert ends.here._out == []


async def test_a_connection_that_breaks_ends_writer_and_reader(ends: Ends) -> None:
    reading = ends.supervisor.spawn(_read_all(ends.here), "reader")
    request = ends.there._req
    assert request is not None
    assert request.transport is not None
    request.transport.abort()
    await until(reading.done, "the reader to see the end")
    assert ends.here.closed
    ends.here.closed = False  # as if the writer were first to learn of it
    ends.here.send(frame(FrameType.DATA, 1, b"into the void"))
    await until(ends.writer.done, "the writer to give up")
    assert ends.here.closed
    async with asyncio.timeout(10):
        await ends.here.flushed()


async def _close(socket: web.WebSocketResponse) -> None:
    await socket.close()


async def _answer_the_closing(socket: web.WebSocketResponse) -> None:
    await socket.receive()


async def _read_all(socket: FrameSocket) -> None:
    async for _ in socket.frames():
        pass


async def test_a_busy_socket_packs_more_and_loses_and_reorders_nothing(ends: Ends) -> None:
    # Given frames that come one by one, each in a turn of its own, faster than they could be worth a message each,
    count = 400
    for number in range(count):
        ends.here.send(frame(FrameType.DATA, number, b"x"))
        await asyncio.sleep(0)
    # then they arrive in order, in far fewer messages.
    arrived: list[int] = []
    messages = 0
    while len(arrived) < count:
        arrived += [stream_id for _, stream_id, _ in await receive(ends)]
        messages += 1
    assert arrived == list(range(count))
    assert messages < count / 4
