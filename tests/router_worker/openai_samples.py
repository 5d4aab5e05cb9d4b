"""Calls, chunks and streams in the shapes that vendors send, for the tests of the wire format."""

from typing import Any

import msgspec
import orjson

from router_worker.vendors.openai.chat import OpenAiChat
from router_worker.vendors.openai.stream import OpenAiStream
from router_worker.vendors.row import Quirks
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

BODY = b'{"model":"cat-1","messages":[{"role":"user","content":"hi"}]}'
USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
DONE = b"data: [DONE]\n\n"


def vendor(name: str = "openai") -> OpenAiChat:
    return OpenAiChat(BUILT_IN[name])


def quirks(name: str) -> Quirks:
    return BUILT_IN[name].quirks


def call(body: bytes = BODY, **changes: Any) -> VendorCall:
    base: dict[str, Any] = {
        "body": body,
        "model_id": "cat-1",
        "vendor_model": "vendor/one",
        "streaming": False,
        "api_key": "secret",
    }
    return VendorCall(**(base | changes))


def chunk(text: str | None = None, *, finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """One chunk as a vendor means it; `fields` are added at the top, and replace what is there."""
    delta = {} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "vendor/one-2026", "choices": [choice], **fields}


def event(payload: dict[str, Any] | bytes, *, end: bytes = b"\n") -> bytes:
    data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return b"data: " + data + end + end


def stream_bytes(*payloads: dict[str, Any] | bytes, end: bytes = b"\n") -> bytes:
    return b"".join(event(payload, end=end) for payload in payloads)


class Outcome(msgspec.Struct):
    """All that a caller can see of a stream that is over."""

    client: bytes
    tokens: TokenCounts | None
    failure: Failure | None
    complete: bool
    chunks: int
    output_bytes: int
    finish_reason: str | None
    vendor_request_id: str | None

    @property
    def failed_as(self) -> FailureKind | None:
        return None if self.failure is None else self.failure.kind


def run(parser: OpenAiStream, *pieces: bytes) -> Outcome:
    client = b"".join(parser.feed(piece) for piece in pieces) + parser.finish()
    assert parser.ended
    assert parser.complete == (parser.failure is None)
    return Outcome(
        client,
        parser.tokens,
        parser.failure,
        parser.complete,
        parser.chunks,
        parser.output_bytes,
        parser.finish_reason,
        parser.vendor_request_id,
    )


def payloads(client: bytes) -> list[Any]:
    """The events that a client would read, parsed; `[DONE]` as that string."""
    blocks = client.split(b"\n\n")
    assert blocks.pop() == b""
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    return ["[DONE]" if block[6:] == b"[DONE]" else orjson.loads(block[6:]) for block in blocks]
