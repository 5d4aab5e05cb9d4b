"""An ingress's end of the reply channel: a real WebSocket server that accepts claims, or refuses them, as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from runtime.frame_socket import FrameSocket
from runtime.lifecycle import Supervisor
from schemas.failures import Failure
from schemas.frames import (
    CLAIM_DECODER,
    END_DECODER,
    FAILURE_DECODER,
    HEAD_DECODER,
    SETTLED_DECODER,
    Claim,
    End,
    FrameType,
    Head,
    RefusalReason,
    Refuse,
    Settled,
    accept_payload,
    encode_payload,
    frame,
)
from tests.fakes.waiting import until


@dataclass
class RingIngress:
    """`answers`: what the next claims get, accepted when there is none left; "silence" leaves one open.
    `frozen`: connections read nothing after their next message, not even that the other end closes.
    `settlements`: what each SETTLED said.
    `story`: the names of the frames that came, in order; DATA frames in a row count once."""

    url: str = ""
    held_body: bytes = b""
    window_bytes: int = 2**20
    answers: list[RefusalReason | Literal["accept", "silence"]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    errors: list[Failure] = field(default_factory=list)
    data: bytes = b""
    settlements: list[Settled] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    frozen: bool = False
    sockets: list[FrameSocket] = field(default_factory=list)

    def on_frame(self, socket: FrameSocket, frame_type: FrameType, stream_id: int, payload: bytes) -> None:
        if frame_type is not FrameType.DATA or self.story[-1:] != ["DATA"]:
            self.story.append(frame_type.name)
        if frame_type is FrameType.CLAIM:
            self._on_claim(socket, stream_id, CLAIM_DECODER.decode(payload))
        elif frame_type is FrameType.HEAD:
            self.heads.append(HEAD_DECODER.decode(payload))
        elif frame_type is FrameType.DATA:
            self.data += payload
        elif frame_type is FrameType.END:
            self.ends.append(END_DECODER.decode(payload))
        elif frame_type is FrameType.ERROR:
            self.errors.append(FAILURE_DECODER.decode(payload))
        elif frame_type is FrameType.SETTLED:
            self.settlements.append(SETTLED_DECODER.decode(payload))

    @property
    def settled(self) -> int:
        return len(self.settlements)

    def _on_claim(self, socket: FrameSocket, stream_id: int, claim: Claim) -> None:
        self.claims.append(claim)
        answer = self.answers.pop(0) if self.answers else "accept"
        if answer == "accept":
            first = claim.claim_no == 0
            payload = accept_payload(self.window_bytes if first else 0, self.held_body if first else b"")
            socket.send(frame(FrameType.ACCEPT, stream_id, payload))
        elif answer != "silence":
            socket.send(frame(FrameType.REFUSE, stream_id, encode_payload(Refuse(reason=answer))))

    def cancel(self, stream_id: int, failure: Failure) -> None:
        self.send(FrameType.CANCEL, stream_id, encode_payload(failure))

    def send(self, frame_type: FrameType, stream_id: int, payload: bytes) -> None:
        self.sockets[-1].send(frame(frame_type, stream_id, payload))

    async def drop(self) -> None:
        """All connections end, as when the replica dies."""
        for socket in list(self.sockets):
            await socket.close()

    async def over(self, requests: int = 1) -> None:
        await until(lambda: self.settled == requests)


@asynccontextmanager
async def ring_ingress() -> AsyncIterator[RingIngress]:
    ingress, supervisor = RingIngress(), Supervisor()

    async def connect(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(timeout=0.5, compress=False, max_msg_size=0)
        await response.prepare(request)
        socket = FrameSocket(response)
        supervisor.spawn(socket.run_writer(), "test ingress writes")
        ingress.sockets.append(socket)
        async for frames in socket.frames():
            for frame_type, stream_id, payload in frames:
                ingress.on_frame(socket, frame_type, stream_id, payload)
            while ingress.frozen:  # noqa: ASYNC110 - only a test ends it
                await asyncio.sleep(0.005)
        ingress.sockets.remove(socket)
        return response

    app = web.Application()
    app.router.add_get("/reply", connect)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ingress.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/reply"
    try:
        yield ingress
    finally:
        ingress.frozen = False
        await ingress.drop()
        await runner.cleanup()
        await supervisor.cancel_all()
