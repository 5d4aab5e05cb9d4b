"""Canonical answers as Anthropic's messages: whole and streamed alike, one block after the other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import (
    Event,
    Finished,
    FinishReason,
    MadeBy,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.canonical.request import AssistantMessage, ChatRequest, Thinking
from router_worker.surfaces.anthropic.messages import AnthropicMessages
from router_worker.surfaces.surface import Reading
from schemas.usage import TokenCounts
from tests.router_worker.anthropic_samples import REQUEST, call, events_of, message_of

SURFACE = AnthropicMessages()
TOKENS = TokenCounts(input=87, cached_input=50, cache_write=30, cache_write_1h=20, output=42, reasoning=9)
USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 50,
    "output_tokens": 42,
    "output_tokens_details": {"thinking_tokens": 9},
}
# How long the cache holds what was written is said only here: the last usage of a stream has no place for it.
STARTED = Started(tokens=TokenCounts(input=87, cached_input=50, cache_write=30, cache_write_1h=20))
RICH: list[Event] = [
    STARTED,
    ThinkingDelta(text="hm", made_by="gemini"),
    ThinkingDelta(text=", yes", made_by="gemini"),
    ThinkingDelta(encrypted="enc", text="summary", made_by="openai"),
    ThinkingDelta(text="own", made_by="anthropic"),
    ThinkingDelta(signature="sig", made_by="anthropic"),
    TextDelta(text="Hel"),
    TextDelta(text="lo"),
    ToolCallStarted(index=0, call_id="c0", name="a"),
    ToolCallDelta(index=0, arguments='{"x":'),
    ToolCallStarted(index=1, call_id="c1", name="b"),
    ToolCallDelta(index=1, arguments='{"y":2'),
    ToolCallDelta(index=0, arguments="1}"),
    ToolCallDelta(index=1, arguments="}"),
    ToolCallStarted(index=2, call_id="c2", name="c"),
    Finished(reason="tool_calls"),
]


def streamed(events: list[Event], tokens: TokenCounts | None = TOKENS, batch: int = 1) -> bytes:
    writer = SURFACE.open_writer(call(streaming=True))
    pieces = [writer.write(events[place : place + batch]) for place in range(0, len(events), batch)]
    return b"".join(pieces) + writer.finish(tokens)


def whole(events: list[Event], tokens: TokenCounts | None = TOKENS) -> Any:
    return json.loads(SURFACE.write_answer(collect(events, tokens), call()))


def test_a_whole_answer() -> None:
    message = whole(RICH)
    creation = message["usage"].pop("cache_creation")
    assert creation == {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    assert message == {
        "id": "msg_a1",
        "type": "message",
        "role": "assistant",
        "model": "cat-1",
        "content": [
            {"type": "thinking", "thinking": "hm, yes", "signature": "tollhouse:gemini:"},
            {"type": "thinking", "thinking": "summary", "signature": "tollhouse:openai:"},
            {"type": "redacted_thinking", "data": "tollhouse:openai:enc"},
            {"type": "thinking", "thinking": "own", "signature": "sig"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "c0", "name": "a", "input": {"x": 1}},
            {"type": "tool_use", "id": "c1", "name": "b", "input": {"y": 2}},
            {"type": "tool_use", "id": "c2", "name": "c", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": USAGE,
    }


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 100])
def test_a_streamed_answer_is_the_same_message(batch: int) -> None:
    assert message_of(streamed(RICH, batch=batch)) == whole(RICH)


def test_the_events_of_a_short_answer() -> None:
    events = events_of(streamed([Started(), TextDelta(text="x"), Finished(reason="stop_sequence", stop_sequence="E")]))
    assert [each["type"] for each in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"]["input_tokens"] == 0
    assert events[1]["content_block"] == {"type": "text", "text": ""}
    assert events[2]["delta"] == {"type": "text_delta", "text": "x"}
    assert events[4]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "E"}
    assert events[4]["usage"] == USAGE


def test_text_goes_out_at_once_and_calls_that_take_turns_wait_for_theirs() -> None:
    writer = SURFACE.open_writer(call(streaming=True))
    assert b"text_delta" in writer.write([TextDelta(text="x")])
    assert b'"c0"' in writer.write([ToolCallStarted(index=0, call_id="c0", name="a")])
    assert b"partial_json" in writer.write([ToolCallDelta(index=0, arguments='{"x":')])
    assert writer.write([ToolCallStarted(index=1, call_id="c1", name="b")]) == b""
    assert writer.write([ToolCallDelta(index=1, arguments="{}")]) == b""
    released = writer.write([ToolCallDelta(index=0, arguments="1}")])
    kinds = [each["type"] for each in events_of(released)]
    assert kinds == ["content_block_delta", "content_block_stop", "content_block_start", "content_block_delta"]


def test_an_empty_answer() -> None:
    assert message_of(streamed([STARTED, Finished(reason="stop")])) == whole([Finished(reason="stop")])


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_reasons_to_stop(reason: FinishReason, said: str) -> None:
    assert whole([Finished(reason=reason)])["stop_reason"] == said


def test_arguments_that_are_no_object() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, call_id="c", name="n"),
        ToolCallDelta(index=0, arguments="[1"),
        Finished(reason="tool_calls"),
    ]
    assert whole(events)["content"][0]["input"] == {"_not_an_object": "[1"}


@pytest.mark.parametrize("made_by", ["anthropic", "bedrock", "gemini", "openai", "unknown"])
@pytest.mark.parametrize(("signature", "encrypted"), [("s:1", None), (None, "e:1"), (None, None)])
def test_thoughts_come_back_as_they_were(made_by: MadeBy, signature: str | None, encrypted: str | None) -> None:
    text = "" if encrypted else "hm"
    events = [ThinkingDelta(text=text, signature=signature, encrypted=encrypted, made_by=made_by)]
    content = whole([*events, Finished(reason="stop")])["content"]
    body = json.dumps(REQUEST | {"messages": [{"role": "assistant", "content": content}]}).encode()
    found = SURFACE.read(body, streaming=False)
    assert isinstance(found, Reading)
    request = found.canonical()
    assert isinstance(request, ChatRequest)
    (message,) = request.messages
    assert isinstance(message, AssistantMessage)
    (thought,) = message.parts
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.signature, thought.encrypted) == (text, signature, encrypted)
    if made_by == "bedrock" and (signature or encrypted):
        assert thought.made_by == "anthropic", "Claude's signatures are the same at both"
    elif signature or encrypted or made_by != "anthropic":
        assert thought.made_by in (made_by, "unknown")


PIECE = st.text(max_size=6)
CALLS = st.dictionaries(PIECE, st.integers() | PIECE, max_size=3).map(json.dumps)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Any answer, with calls that take turns."""
    events: list[Event] = [STARTED]
    rest: dict[int, str] = {}
    calls = 0
    for _ in range(draw(st.integers(0, 12))):
        match draw(st.sampled_from(["text", "think", "sign", "hide", "call", "piece"])):
            case "text":
                events.append(TextDelta(text=draw(PIECE)))
            case "think":
                events.append(ThinkingDelta(text=draw(PIECE), made_by="gemini"))
            case "sign":
                events.append(ThinkingDelta(signature=draw(PIECE) or "s", made_by="gemini"))
            case "hide":
                events.append(ThinkingDelta(encrypted=draw(PIECE) or "e", made_by="openai"))
            case "call":
                events.append(ToolCallStarted(index=calls, call_id=f"c{calls}", name="n"))
                rest[calls] = draw(CALLS)
                calls += 1
            case "piece" if rest:
                index = draw(st.sampled_from(sorted(rest)))
                cut = draw(st.integers(0, len(rest[index])))
                events.append(ToolCallDelta(index=index, arguments=rest[index][:cut]))
                rest[index] = rest[index][cut:]
    events += [ToolCallDelta(index=index, arguments=text) for index, text in rest.items()]
    return [*events, Finished(reason="tool_calls" if calls else "stop")]


@given(answers(), st.integers(1, 4))
def test_streamed_and_whole_are_the_same_for_any_answer(events: list[Event], batch: int) -> None:
    assert message_of(streamed(events, batch=batch)) == whole(events)
