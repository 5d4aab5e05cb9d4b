"""A worker's end of the reply channel, moved by hand: real WebSocket, real frames, no vendor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from runtime.frame_socket import FrameSocket
from runtime.lifecycle import Supervisor
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure
from schemas.frames import (
    FAILURE_DECODER,
    REFUSE_DECODER,
    Claim,
    End,
    FrameType,
    Head,
    Settled,
    encode_payload,
    frame,
    read_accept,
    read_credit,
)
from tests.fakes.envelopes import if_lost
from tests.fakes.waiting import until


class RingWorker:
    """`credit`: bytes that may still be sent, by stream. `cancels`: what the ingress cancelled, and why."""

    def __init__(self, socket: FrameSocket) -> None:
        self._socket = socket
        self.credit: dict[int, int] = {}
        self.bodies: dict[int, bytes] = {}
        self.accepted: dict[int, int] = {}
        self.refusals: dict[int, list[str]] = {}
        self.cancels: dict[int, Failure] = {}

    async def read(self) -> None:
        async for frames in self._socket.frames():
            for frame_type, stream_id, payload in frames:
                self._on_frame(frame_type, stream_id, payload)

    def _on_frame(self, frame_type: FrameType, stream_id: int, payload: bytes) -> None:
        if frame_type is FrameType.ACCEPT:
            credit, body = read_accept(payload)
            self.credit[stream_id] = self.credit.get(stream_id, 0) + credit
            self.bodies[stream_id] = self.bodies.get(stream_id, b"") + body
            self.accepted[stream_id] = self.accepted.get(stream_id, 0) + 1
        elif frame_type is FrameType.CREDIT:
            self.credit[stream_id] += read_credit(payload)
        elif frame_type is FrameType.REFUSE:
            self.refusals.setdefault(stream_id, []).append(REFUSE_DECODER.decode(payload).reason)
        elif frame_type is FrameType.CANCEL:
            self.cancels[stream_id] = FAILURE_DECODER.decode(payload)

    def send(self, frame_type: FrameType, stream_id: int, payload: bytes = b"") -> None:
        self._socket.send(frame(frame_type, stream_id, payload))

    def send_claim(self, sent: RequestEnvelope, claim_no: int = 0) -> None:
        claim = Claim(
            token=sent.token,
            delivery=sent.delivery,
            claim_no=claim_no,
            worker_id="w",
            if_lost=if_lost(claim_no, delivery=sent.delivery, request_id=sent.request_id),
        )
        self.send(FrameType.CLAIM, sent.stream_id, encode_payload(claim))

    async def claim(self, sent: RequestEnvelope, claim_no: int = 0) -> None:
        """Returns once it is accepted."""
        before = self.accepted.get(sent.stream_id, 0)
        self.send_claim(sent, claim_no)
        await until(lambda: self.accepted.get(sent.stream_id, 0) > before)

    def head(self, sent: RequestEnvelope) -> None:
        content_type = "text/event-stream; charset=utf-8" if sent.streaming else "application/json"
        head = Head(
            status=200,
            content_type=content_type,
            model="m",
            vendor="v",
            attempts=1,
            capped_tokens=sent.gateway_cap_tokens,
        )
        self.send(FrameType.HEAD, sent.stream_id, encode_payload(head))

    def data(self, sent: RequestEnvelope, data: bytes) -> None:
        self.credit[sent.stream_id] -= len(data)
        self.send(FrameType.DATA, sent.stream_id, data)

    def end(self, sent: RequestEnvelope) -> None:
        self.send(FrameType.END, sent.stream_id, encode_payload(End(cost_pico_usd=1, estimated=False)))
        self.settled(sent)

    def error(self, sent: RequestEnvelope, failure: Failure) -> None:
        self.send(FrameType.ERROR, sent.stream_id, encode_payload(failure))
        self.settled(sent)

    def settled(self, sent: RequestEnvelope, cost_pico_usd: int = 1) -> None:
        settled = Settled(cost_pico_usd=cost_pico_usd, input_tokens=3, output_tokens=4)
        self.send(FrameType.SETTLED, sent.stream_id, encode_payload(settled))

    async def answer(self, sent: RequestEnvelope, data: bytes) -> None:
        """Serves the request whole."""
        await self.claim(sent)
        self.head(sent)
        self.data(sent, data)
        self.end(sent)

    async def die(self) -> None:
        """The connection ends; what was sent before still arrives."""
        await self._socket.flushed()
        await self._socket.close()


@asynccontextmanager
async def ring_worker(url: str) -> AsyncIterator[RingWorker]:
    supervisor = Supervisor()
    async with aiohttp.ClientSession() as session:
        socket = FrameSocket(await session.ws_connect(url, compress=0, max_msg_size=0))
        worker = RingWorker(socket)
        supervisor.spawn(socket.run_writer(), "test worker writes")
        supervisor.spawn(worker.read(), "test worker reads")
        try:
            yield worker
        finally:
            await socket.close()
            await supervisor.cancel_all()
