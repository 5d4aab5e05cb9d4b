"""The ingress's end of the reply channel: workers connect here and frames are handed to the exchanges."""

import asyncio

import structlog
from aiohttp import web

from ingress.exchanges import Exchanges
from ingress.settings import ReplySettings
from runtime.frame_socket import HEARTBEAT_S, MAX_MESSAGE_BYTES, FrameSocket
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics
from schemas.frames import (
    CLAIM_DECODER,
    END_DECODER,
    FAILURE_DECODER,
    HEAD_DECODER,
    SETTLED_DECODER,
    FrameError,
    FrameType,
    read_payload,
)

log = structlog.get_logger(__name__)

PATH = "/reply"

CLOSE_TIMEOUT_S = 1.0
"""How long a worker may take to answer the closing of its channel; aiohttp's own ten seconds are for each of them."""


class ReplyServer:
    def __init__(self, settings: ReplySettings, exchanges: Exchanges, supervisor: Supervisor, metrics: Metrics) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._connected = metrics.gauge("tollhouse_ingress_reply_channels")
        self._exchanges = exchanges
        self._runner: web.AppRunner | None = None
        self._sockets: set[FrameSocket] = set()
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(PATH, self._connect)
        # A worker that goes away ends its loop by itself; cancelling the handler would cut its last frames off.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = self._settings.advertised_url or f"ws://{host}:{port}{PATH}"

    async def stop(self, deadline: Deadline) -> None:
        """By now the exchanges are through, so nothing of value is in the sockets."""
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))
        if self._runner is not None:
            await self._runner.cleanup()

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S, heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MAX_MESSAGE_BYTES
        )
        await response.prepare(request)
        socket = FrameSocket(response)
        writer = self._supervisor.spawn(socket.run_writer(), "reply channel writer")
        self._sockets.add(socket)
        self._connected.inc()
        try:
            async for frames in socket.frames():
                for frame_type, stream_id, payload in frames:
                    self._dispatch(socket, frame_type, stream_id, payload)
        except FrameError as error:
            log.error("a worker sent what is not a frame, closing its channel", error=str(error))
        finally:
            self._sockets.discard(socket)
            self._connected.dec()
            self._exchanges.lost(socket)
            await finish(writer, 0)
            await response.close()
        return response

    def _dispatch(self, socket: FrameSocket, frame_type: FrameType, stream_id: int, payload: bytes) -> None:
        exchanges = self._exchanges
        if frame_type is FrameType.DATA:
            exchanges.data(socket, stream_id, payload)
        elif frame_type is FrameType.CLAIM:
            exchanges.claim(socket, stream_id, read_payload(CLAIM_DECODER, payload))
        elif frame_type is FrameType.HEAD:
            exchanges.head(socket, stream_id, read_payload(HEAD_DECODER, payload))
        elif frame_type is FrameType.END:
            exchanges.end(socket, stream_id, read_payload(END_DECODER, payload))
        elif frame_type is FrameType.SETTLED:
            exchanges.settled(socket, stream_id, read_payload(SETTLED_DECODER, payload))
        elif frame_type is FrameType.ABANDONED:
            exchanges.abandoned(socket, stream_id)
        elif frame_type is FrameType.ERROR:
            exchanges.error(socket, stream_id, read_payload(FAILURE_DECODER, payload))
        else:
            raise FrameError(f"{frame_type.name} is not a worker's frame")
