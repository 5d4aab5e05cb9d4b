"""A WebSocket that carries frames, the same at both ends of the reply channel.

Frames handed over within one turn of the event loop leave in one message: under load one system call carries many
chunks of many streams.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from aiohttp import ClientWebSocketResponse, WSMsgType, web

from schemas.frames import FrameReader, FrameType

HEARTBEAT_S = 5.0
"""A peer that is silent for this long and does not answer a ping is taken for dead (a crashed machine sends no FIN)."""

MAX_MESSAGE_BYTES = 80 * 1024 * 1024

# A socket that has sent so many messages within so short a time is busy: then frames wait a moment for company, because
# each message costs both ends a system call. A quiet socket sends at once.
BUSY_MESSAGES = 4
BUSY_WITHIN_S = 0.004
PACK_S = 0.001

# One message is not made longer than this, so that a cancel never waits behind many megabytes.
_PACK_BYTES = 1024 * 1024


class FrameSocket:
    """`send` never blocks: what it may hold is bounded by the streams' credits. `run_writer` must be running."""

    def __init__(self, socket: ClientWebSocketResponse | web.WebSocketResponse) -> None:
        self._socket = socket
        self._out: list[bytes] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    def send(self, frame: bytes) -> None:
        """After the socket has closed, frames are dropped: whoever cares watches for the closing."""
        if not self.closed:
            self._out.append(frame)
            self._wake.set()
            self._idle.clear()

    async def run_writer(self) -> None:
        """Returns when the connection is gone."""
        loop = asyncio.get_running_loop()
        sent_at_s: deque[float] = deque([0.0] * BUSY_MESSAGES, maxlen=BUSY_MESSAGES)
        try:
            while True:
                await self._wake.wait()
                if loop.time() - sent_at_s[0] < BUSY_WITHIN_S:
                    await asyncio.sleep(PACK_S)
                self._wake.clear()
                sent_at_s.append(loop.time())
                while self._out:
                    await self._socket.send_bytes(self._take())
                self._idle.set()
        except ConnectionError:
            self.closed = True
        finally:
            self._idle.set()

    def _take(self) -> bytes:
        out = self._out
        size = 0
        for index, frame in enumerate(out):
            size += len(frame)
            if size >= _PACK_BYTES:
                message = b"".join(out[: index + 1])
                self._out = out[index + 1 :]
                return message
        self._out = []
        return out[0] if len(out) == 1 else b"".join(out)

    async def flushed(self) -> None:
        """Returns when everything handed over has been written to the connection."""
        await self._idle.wait()

    async def frames(self) -> AsyncIterator[list[tuple[FrameType, int, bytes]]]:
        """Yields the frames of each message; ends when the connection does. Raises FrameError on garbage."""
        reader = FrameReader()
        try:
            while True:
                message = await self._socket.receive()
                if message.type is not WSMsgType.BINARY:
                    return
                yield list(reader.feed(message.data))
        finally:
            self.closed = True

    async def close(self) -> None:
        self.closed = True
        await self._socket.close()
