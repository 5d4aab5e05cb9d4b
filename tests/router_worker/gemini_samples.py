"""Calls, chunks and streams in the shapes that Google sends, for the tests of Gemini's format."""

from typing import Any

import msgspec
import orjson

from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import StreamParser, VendorCall
from router_worker.vendors.wire import EventReader
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

ROW = VendorRow(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com/v1beta",
    api_key_env="GEMINI_API_KEY",
    wire="gemini",
    key_header="x-goog-api-key",
    key_prefix="",
)
VERTEX_ROW = VendorRow(
    name="vertex",
    base_url="https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1",
    api_key_env=None,
    wire="gemini_vertex",
    auth="google",
)
BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "toolUsePromptTokenCount": 5,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 155,
}
TOKENS = TokenCounts(input=105, cached_input=40, output=50, reasoning=30)
RUNNING = {"promptTokenCount": 100, "candidatesTokenCount": 1, "totalTokenCount": 101}


def call(body: bytes = BODY, **changes: Any) -> VendorCall:
    base: dict[str, Any] = {
        "body": body,
        "model_id": "cat-gemini",
        "vendor_model": "gemini-2.5-flash",
        "streaming": False,
        "api_key": "secret",
        "answer_id": "a1",
    }
    return VendorCall(**(base | changes))


def chunk(
    *parts: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    found = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash-001", "responseId": "r-1", **fields}
    return found if usage is None else {**found, "usageMetadata": usage}


def event(payload: dict[str, Any] | bytes, *, end: bytes = b"\r\n") -> bytes:
    data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return b"data: " + data + end + end


def stream_bytes(*payloads: dict[str, Any] | bytes, end: bytes = b"\r\n") -> bytes:
    return b"".join(event(payload, end=end) for payload in payloads)


def payloads(client: bytes) -> list[Any]:
    """The events that a client would read, parsed."""
    blocks = client.split(b"\n\n")
    assert blocks.pop() == b""
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    return [orjson.loads(block[6:]) for block in blocks]


class Outcome(msgspec.Struct):
    """All that a caller can see of a stream that is over."""

    out: Any
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


def run(parser: StreamParser, *pieces: bytes) -> Outcome:
    client = b"".join(parser.feed(piece) for piece in pieces) + parser.finish()
    return _outcome(parser, client)


def run_events(reader: EventReader, *pieces: bytes) -> Outcome:
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.finish()
    return _outcome(reader, events)


def _outcome(parser: StreamParser | EventReader, out: Any) -> Outcome:
    assert parser.ended
    assert parser.complete == (parser.failure is None)
    return Outcome(
        out,
        parser.tokens,
        parser.failure,
        parser.complete,
        parser.chunks,
        parser.output_bytes,
        parser.finish_reason,
        parser.vendor_request_id,
    )
