"""One vendor call with nothing around it: a caller, and the client's end of the line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from router_worker.call_result import CallResult
from router_worker.settings import WorkSettings
from router_worker.stream import Stream
from router_worker.usable_vendor import UsableVendor
from router_worker.vendor_caller import VendorCaller
from router_worker.vendors.vendor import VendorCall, VendorRequest
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from schemas.failures import Failure, FailureKind
from schemas.frames import FrameReader, FrameType, Head, accept_payload

HEAD = Head(status=200, content_type="x", model="m", vendor="v", attempts=1)
GONE = Failure(kind=FailureKind.CLIENT_GONE)
PLENTY = 2**31


class Line:
    """A stream to a client, with its frames in a list."""

    def __init__(self, credit_bytes: int = PLENTY) -> None:
        self.frames: list[tuple[FrameType, bytes]] = []
        self.stream = Stream(self, 1)
        self.stream.on_frame(FrameType.ACCEPT, accept_payload(credit_bytes))

    def send(self, frame: bytes) -> None:
        self.frames += [(frame_type, payload) for frame_type, _, payload in FrameReader().feed(frame)]

    def data(self) -> bytes:
        return b"".join(payload for frame_type, payload in self.frames if frame_type is FrameType.DATA)

    def types(self) -> set[FrameType]:
        return {frame_type for frame_type, _ in self.frames}


@asynccontextmanager
async def caller(**settings: Any) -> AsyncIterator[VendorCaller]:
    supervisor = Supervisor()
    made = VendorCaller(WorkSettings(**settings), SystemClock(), supervisor)
    await made.start()
    yield made
    await made.stop(Deadline(SystemClock(), 0))
    await supervisor.cancel_all()
    assert not supervisor.failed.is_set()


def ask(vendor_model: str, *, streaming: bool, text: str = "one two three", **fields: Any) -> VendorCall:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": streaming} | fields
    return VendorCall(
        body=msgspec.json.encode(body),
        model_id="m",
        vendor_model=vendor_model,
        streaming=streaming,
        api_key="k",
        attempt_id="a.0.0",
    )


async def call(
    vendor: UsableVendor, line: Line, vendor_model: str = "echo", *, streaming: bool = True, **settings: Any
) -> CallResult:
    async with caller(**settings) as made:
        asked = ask(vendor_model, streaming=streaming)
        async with asyncio.timeout(10):
            return await make(made, vendor, asked, line)


async def make(made: VendorCaller, vendor: UsableVendor, asked: VendorCall, line: Line) -> CallResult:
    way = vendor.ways["openai.chat"].vendor
    request = way.build_request(asked)
    assert isinstance(request, VendorRequest)
    return await made.call(way, vendor.base_url + request.url_path, asked, request, line.stream, lambda _: HEAD)


def kind(result: CallResult) -> FailureKind | None:
    return None if result.failure is None else result.failure.kind
