"""The chat surface and the OpenAI wire joined: what went in comes out, plain as streamed, cut anywhere."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.request import ChatRequest
from router_worker.surfaces.openai_chat.chat import OpenAiChat
from router_worker.surfaces.surface import Reading
from router_worker.translate import Translated
from router_worker.vendors.openai.wire import OpenAiWire
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import ParsedResponse, StreamParser, VendorCall, VendorRequest
from schemas.failures import FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import USAGE, call, chunk, payloads, stream_bytes

JOINED = Translated(OpenAiChat(), OpenAiWire(BUILT_IN["openai"]), {})
BODY: dict[str, Any] = {
    "model": "cat-1",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x":1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "and?"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "required",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
    "max_completion_tokens": 9,
    "temperature": 0.5,
    "stop": ["x"],
}


def canonical_call(body: dict[str, Any], **changes: Any) -> VendorCall:
    data = orjson.dumps(body)
    reading = OpenAiChat().read(data)
    assert isinstance(reading, Reading)
    return call(data, canonical=reading.canonical(), answer_id="7", **changes)


def test_a_request_comes_out_as_it_went_in() -> None:
    request = JOINED.build_request(canonical_call(BODY))
    assert isinstance(request, VendorRequest)
    assert orjson.loads(request.body) == BODY | {"model": "vendor/one"}
    assert request.dropped == ()


def test_names_of_what_was_dropped_reach_the_client() -> None:
    given_call = canonical_call(BODY | {"user": "u", "top_k": 3})
    assert isinstance(given_call.canonical, ChatRequest)
    request = JOINED.build_request(given_call)
    assert isinstance(request, VendorRequest)
    assert request.dropped == ("user", "top_k")


CHUNKS = [
    chunk(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}]),
    *(chunk(text) for text in ["Hel", "lo", " 😀"]),
    chunk(choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}}]),
    chunk(finish="tool_calls"),
    chunk(choices=[], usage=USAGE),
]
STREAM = stream_bytes(*CHUNKS, b"[DONE]")


def streamed(*pieces: bytes) -> tuple[bytes, StreamParser]:
    parser = JOINED.open_stream(canonical_call(BODY, streaming=True, client_wants_usage=True))
    return b"".join(parser.feed(piece) for piece in pieces) + parser.finish(), parser


def test_a_stream_at_every_cut() -> None:
    whole, parser = streamed(STREAM)
    assert parser.tokens == TokenCounts(input=11, output=3)
    deltas = [one["choices"][0]["delta"] for one in payloads(whole)[:-2]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello 😀"
    assert payloads(whole)[-2]["usage"]["total_tokens"] == 14
    for position in range(len(STREAM)):
        assert streamed(STREAM[:position], STREAM[position:])[0] == whole


@pytest.mark.parametrize("end", range(0, len(STREAM) - len(stream_bytes(*CHUNKS[-2:], b"[DONE]")), 7))
def test_a_broken_stream_gets_no_end_mark(end: int) -> None:
    client, parser = streamed(STREAM[:end])
    assert parser.failure is not None
    assert parser.failure.kind is FailureKind.VENDOR_BROKE_OFF
    assert b"[DONE]" not in client
    assert b'"finish_reason":"' not in client


def test_nothing_reaches_the_client_before_something_was_generated() -> None:
    parser = JOINED.open_stream(canonical_call(BODY, streaming=True))
    assert (
        parser.feed(stream_bytes(chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]))) == b""
    )
    assert parser.feed(stream_bytes(chunk("a"))) != b""


@given(st.text(), st.sampled_from(["stop", "length", "content_filter"]))
def test_an_answer_comes_out_as_it_went_in(text: str, reason: str) -> None:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    parsed = JOINED.parse_response(
        canonical_call(BODY), 200, {}, orjson.dumps({"id": "c", "choices": [choice], "usage": USAGE})
    )
    assert isinstance(parsed, ParsedResponse)
    answer = orjson.loads(parsed.body_for_client)
    assert answer["choices"] == [choice]
    assert (answer["id"], answer["model"], parsed.vendor_request_id) == ("chatcmpl-7", "cat-1", "c")
    assert {name: answer["usage"][name] for name in USAGE} == USAGE
