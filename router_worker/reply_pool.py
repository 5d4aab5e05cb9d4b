"""The worker's end of the reply channels: one WebSocket to each ingress replica that it has work for."""

import asyncio
from weakref import WeakValueDictionary

import aiohttp
import structlog

from router_worker.stream import Stream
from runtime.clock import Clock
from runtime.frame_socket import HEARTBEAT_S, MAX_MESSAGE_BYTES, FrameSocket
from runtime.lifecycle import Deadline, Supervisor, finish
from schemas.failures import Failure, FailureKind
from schemas.frames import FAILURE_DECODER, FrameError, FrameType, read_payload

log = structlog.get_logger(__name__)

CONNECT_TRIES = 3
CONNECT_TIMEOUT_S = 2.0
RETRY_DELAY_S = 0.3
FAILURE_HOLDS_S = 1.0


class IngressGone(Exception):
    """The replica that sent the request cannot be reached, so nobody waits for the answer."""


class ReplyChannel:
    """Requests of one ingress replica, by stream id."""

    def __init__(self, socket: FrameSocket) -> None:
        self._socket = socket
        self._streams: dict[int, Stream] = {}

    @property
    def closed(self) -> bool:
        """Also while it is being closed, which takes seconds if the other end hangs: a claim would wait for ever."""
        return self._socket.closed

    def stream(self, stream_id: int) -> Stream | None:
        """The stream that is open under this id."""
        return self._streams.get(stream_id)

    def open_stream(self, stream_id: int) -> Stream:
        stream = self._streams[stream_id] = Stream(self._socket, stream_id)
        return stream

    def close_stream(self, stream: Stream) -> None:
        self._streams.pop(stream.stream_id, None)

    async def run(self) -> None:
        """Hands frames to their streams until the connection ends; then every stream is interrupted."""
        try:
            async for frames in self._socket.frames():
                for frame_type, stream_id, payload in frames:
                    stream = self._streams.get(stream_id)
                    if stream is None:
                        continue  # it has ended meanwhile
                    if frame_type is FrameType.CANCEL:
                        stream.interrupt(read_payload(FAILURE_DECODER, payload))
                    else:
                        stream.on_frame(frame_type, payload)
        except FrameError as error:
            log.error("an ingress sent what is not a frame, closing its channel", error=str(error))
        finally:
            for stream in list(self._streams.values()):
                stream.interrupt(Failure(kind=FailureKind.INGRESS_LOST))
            await self._socket.close()

    async def close(self) -> None:
        await self._socket.flushed()
        await self._socket.close()


class ReplyPool:
    def __init__(self, clock: Clock, supervisor: Supervisor) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._session: aiohttp.ClientSession | None = None
        self._channels: dict[str, ReplyChannel] = {}
        # A lock lives as long as somebody dials or waits: replicas come and go, and each would else leave one behind.
        self._dialing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failed_at_s: dict[str, float] = {}

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()

    async def stop(self, deadline: Deadline) -> None:
        """What is still being served is handed back by this: the ingress sees the channel close (G1)."""
        await asyncio.gather(*(self._close(channel, deadline) for channel in list(self._channels.values())))
        if self._session is not None:
            await self._session.close()

    async def _close(self, channel: ReplyChannel, deadline: Deadline) -> None:
        try:
            await asyncio.wait_for(channel.close(), 1 + deadline.left_s())
        except TimeoutError:
            log.warning("an ingress does not read its last frames")

    async def channel(self, url: str) -> ReplyChannel:
        """Raises IngressGone."""
        channel = self._channels.get(url)
        if channel is not None and not channel.closed:
            return channel
        lock = self._dialing.get(url)
        if lock is None:
            lock = self._dialing[url] = asyncio.Lock()
        async with lock:
            channel = self._channels.get(url)
            if channel is None or channel.closed:
                channel = await self._connect(url)
            return channel

    async def _connect(self, url: str) -> ReplyChannel:
        # Many requests of a dead replica may still be in Kafka: they must not each wait for the same refusal.
        if self._clock.monotonic_s() - self._failed_at_s.get(url, -FAILURE_HOLDS_S) < FAILURE_HOLDS_S:
            raise IngressGone(url)
        try:
            websocket = await self._dial(url)
        except IngressGone:
            now_s = self._clock.monotonic_s()
            recent = {u: at_s for u, at_s in self._failed_at_s.items() if now_s - at_s < FAILURE_HOLDS_S}
            self._failed_at_s = recent | {url: now_s}
            raise
        socket = FrameSocket(websocket)
        channel = ReplyChannel(socket)
        self._channels[url] = channel
        self._supervisor.spawn(self._run(url, channel, socket), f"reply channel {url}")
        return channel

    async def _dial(self, url: str) -> aiohttp.ClientWebSocketResponse:
        assert self._session is not None, "channel before start"
        tries = 0
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await self._session.ws_connect(
                        url, heartbeat=HEARTBEAT_S, compress=0, max_msg_size=MAX_MESSAGE_BYTES
                    )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                tries += 1
                if tries == CONNECT_TRIES:
                    log.warning("an ingress cannot be reached", url=url, error=repr(error))
                    raise IngressGone(url) from error
            await asyncio.sleep(RETRY_DELAY_S)

    async def _run(self, url: str, channel: ReplyChannel, socket: FrameSocket) -> None:
        writer = self._supervisor.spawn(socket.run_writer(), f"reply channel writer {url}")
        try:
            await channel.run()
        finally:
            if self._channels.get(url) is channel:
                del self._channels[url]
            await finish(writer, 0)
