"""Anthropic's format read into the canonical form and written again: what goes in must come out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import router_worker.vendors.anthropic.messages as vendors
from ingress.surfaces.anthropic_messages import AnthropicMessages as Ingress
from ingress.surfaces.surface import Call, ClientSurface
from router_worker.surfaces.anthropic.messages import AnthropicCountTokens, AnthropicMessages
from router_worker.surfaces.surface import ChatSurface, Reading, Surface
from router_worker.translate import Translated
from router_worker.vendors.anthropic.wire import AnthropicWire
from router_worker.vendors.vendor import ParsedResponse, Vendor, VendorRequest
from router_worker.vendors.wire import Wire
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.anthropic_samples import (
    REQUEST,
    RICH,
    ROW,
    STOP,
    WHOLE,
    call,
    end,
    event,
    message_of,
    start,
    stream,
    text,
)

SURFACE: ChatSurface = AnthropicMessages()
COUNTING: Surface = AnthropicCountTokens()
CLIENT: ClientSurface = Ingress()
WIRE: Wire = AnthropicWire(ROW)
PASSED: tuple[Vendor, ...] = (vendors.AnthropicMessages(ROW), vendors.AnthropicCountTokens(ROW))
BOTH: Vendor = Translated(SURFACE, WIRE, {})

FULL: dict[str, Any] = {
    "model": "cat-1",
    "max_tokens": 9000,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
                    "title": "t",
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "enc"},
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "t1", "name": "n", "input": {"a": [1, 2.5]}},
                {"type": "tool_use", "id": "t2", "name": "n", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]},
                {"type": "tool_result", "tool_use_id": "t2", "content": [], "is_error": True},
                {"type": "text", "text": "and?", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ],
    "tools": [{"name": "n", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "stop_sequences": ["END"],
    "stream": True,
}


def built(request: dict[str, Any]) -> VendorRequest | Failure:
    body = json.dumps(request).encode()
    reading = SURFACE.read(body, streaming=False)
    assert isinstance(reading, Reading)
    return BOTH.build_request(call(body=body, canonical=reading.canonical()))


def test_a_request() -> None:
    made = built(FULL | {"metadata": {"user_id": "u"}, "vendor": "v"})
    assert isinstance(made, VendorRequest)
    assert json.loads(made.body) == FULL | {"model": "claude-sonnet-4-5-20250929"}
    assert made.dropped == ("metadata",)


def test_an_answer() -> None:
    parsed = BOTH.parse_response(call(), 200, {}, json.dumps(WHOLE).encode())
    assert isinstance(parsed, ParsedResponse)
    expected = WHOLE | {"id": "msg_a1", "model": "cat-1"}
    found = json.loads(parsed.body_for_client)
    found["usage"]["service_tier"] = "standard"
    assert found == expected
    assert parsed.tokens == TokenCounts(
        input=87, cached_input=50, cache_write=30, cache_write_1h=20, output=42, reasoning=9
    )


def test_a_stream_at_every_cut() -> None:
    raw = stream(RICH)
    for cut in range(0, len(raw), 7):
        parser = BOTH.open_stream(call(streaming=True))
        found = message_of(parser.feed(raw[:cut]) + parser.feed(raw[cut:]) + parser.finish())
        found["usage"]["service_tier"] = "standard"
        assert parser.complete
        assert found == WHOLE | {"id": "msg_a1", "model": "cat-1"}


def test_an_early_error_leaves_nothing_for_the_client() -> None:
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    parser = BOTH.open_stream(call(streaming=True))
    assert parser.feed(event(start())) + parser.feed(error) + parser.finish() == b""
    assert parser.failure == Failure(kind=FailureKind.VENDOR_ERROR)


def test_an_answer_cut_short_has_no_end_marker() -> None:
    parser = BOTH.open_stream(call(streaming=True))
    client = parser.feed(stream([start(), *text(0, "x")])) + parser.finish()
    assert b"text_delta" in client
    assert b"message_stop" not in client
    assert parser.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_answer_of_white_space(content: str) -> None:
    parser = BOTH.open_stream(call(streaming=True))
    client = parser.feed(stream([start(), *text(0, content), end(), STOP])) + parser.finish()
    assert [block["text"] for block in message_of(client)["content"]] == ([content] if content else [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(FULL)), JSON, st.data())
def test_whatever_stands_in_a_request_is_built_or_refused(field: str, value: Any, data: st.DataObject) -> None:
    changed = json.loads(json.dumps(FULL))
    if field == "messages":
        message = data.draw(st.sampled_from(changed["messages"]))
        block = data.draw(st.sampled_from(message["content"]))
        block[data.draw(st.sampled_from(sorted(block)))] = value
    else:
        changed[field] = value
    body = json.dumps(changed).encode()
    assert isinstance(CLIENT.read_call(body, None, streaming=False), Call | Failure)
    for vendor in PASSED:
        assert isinstance(vendor.build_request(call(body=body, max_output_tokens=500)), VendorRequest | Failure)
    if isinstance(SURFACE.read(body, streaming=False), Reading):
        assert isinstance(built(changed), VendorRequest | Failure)
    assert isinstance(COUNTING.read(body, streaming=False), Reading | Failure)


@given(st.lists(st.tuples(st.integers(0, len(RICH) - 1), JSON, st.integers(0, 9)), min_size=1, max_size=4))
def test_whatever_a_vendor_says_in_a_stream_is_read_or_is_a_failure(changes: list[tuple[int, Any, int]]) -> None:
    events = json.loads(json.dumps(RICH))
    for number, value, depth in changes:
        place = events[number]
        name = sorted(place)[depth % len(place)]
        if isinstance(place[name], dict) and place[name]:
            place, name = place[name], sorted(place[name])[depth % len(place[name])]
        place[name] = value
    for vendor in (BOTH, PASSED[0]):
        parser = vendor.open_stream(call(streaming=True))
        parser.feed(stream(events))
        parser.finish()
        assert parser.ended
        assert parser.complete == (parser.failure is None)


@given(st.sampled_from(sorted(WHOLE)), JSON, st.integers(0, 4))
def test_whatever_a_vendor_answers_is_read_or_is_a_failure(field: str, value: Any, number: int) -> None:
    block = json.loads(json.dumps(WHOLE["content"][number]))
    block[sorted(block)[number % len(block)]] = value
    for answer in (WHOLE | {field: value}, WHOLE | {"content": [block]}):
        for vendor in (BOTH, *PASSED):
            found = vendor.parse_response(call(), 200, {}, json.dumps(answer).encode())
            assert isinstance(found, ParsedResponse | Failure)


def test_the_sample_needs_what_it_needs() -> None:
    reading = SURFACE.read(json.dumps(REQUEST | FULL).encode(), streaming=False)
    assert isinstance(reading, Reading)
    assert reading.needs == {"streaming", "tools", "vision", "documents"}
