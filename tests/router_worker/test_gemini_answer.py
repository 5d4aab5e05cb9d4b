"""Answers of other vendors in Gemini's form: whole, as a stream, and the same in both."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from router_worker.canonical.answer import (
    Answer,
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.canonical.request import Thinking
from router_worker.surfaces.gemini.generate import GeminiGenerate
from router_worker.vendors.gemini.signature import NO_SIGNATURE, wrapped
from schemas.usage import TokenCounts
from tests.router_worker.gemini_samples import call, payloads

SURFACE = GeminiGenerate()
TOKENS = TokenCounts(input=10, cached_input=4, output=9, reasoning=5)
USAGE = {
    "promptTokenCount": 10,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 19,
}
EVENTS: tuple[Event, ...] = (
    Started(tokens=None),
    ThinkingDelta(text="let me "),
    ThinkingDelta(text="see", signature="sig+/", made_by="anthropic"),
    TextDelta(text="I will "),
    TextDelta(text="call"),
    ToolCallStarted(index=0, call_id="c0", name="f"),
    ToolCallDelta(index=0, arguments='{"a":'),
    ToolCallStarted(index=1, call_id="c1", name="g", signature="own"),
    ToolCallDelta(index=0, arguments="1.50}"),
    TextDelta(text="done"),
    Finished(reason="tool_calls"),
)
SIGNATURE = wrapped(Thinking(signature="sig+/", made_by="anthropic"))
PARTS = [
    {"text": "let me see", "thought": True, "thoughtSignature": SIGNATURE},
    {"text": "I will call"},
    {"functionCall": {"id": "c0", "name": "f", "args": {"a": 1.5}}, "thoughtSignature": NO_SIGNATURE},
    {"functionCall": {"id": "c1", "name": "g", "args": {}}, "thoughtSignature": "own"},
    {"text": "done"},
]


def whole(events: Sequence[Event], tokens: TokenCounts | None = None) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(SURFACE.write_answer(collect(events, tokens), call()))
    return found


def streamed(groups: Sequence[Sequence[Event]], tokens: TokenCounts | None = None) -> list[Any]:
    writer = SURFACE.open_writer(call())
    return payloads(b"".join(writer.write(group) for group in groups) + writer.finish(tokens))


def joined(responses: list[Any]) -> list[dict[str, Any]]:
    """The parts of a stream as a client puts them together."""
    parts: list[dict[str, Any]] = []
    for response in responses:
        for part in response["candidates"][0]["content"]["parts"]:
            last = parts[-1] if parts else {}
            same = bool(last) and "text" in last and "text" in part and last.get("thought") == part.get("thought")
            if same and "thoughtSignature" not in last:
                parts[-1] = last | part | {"text": last["text"] + part["text"]}
            elif part.get("text") != "" or len(part) > 1:
                parts.append(part)
    return parts


def test_a_whole_answer() -> None:
    assert whole(EVENTS, TOKENS) == {
        "candidates": [{"content": {"role": "model", "parts": PARTS}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": USAGE,
        "modelVersion": "cat-gemini",
        "responseId": "a1",
    }


def test_numbers_in_arguments_keep_their_digits() -> None:
    assert b'"args":{"a":1.50}' in SURFACE.write_answer(collect(EVENTS), call())


@pytest.mark.parametrize("size", [1, 2, 3, len(EVENTS)])
def test_a_stream_is_the_same_answer(size: int) -> None:
    groups = [EVENTS[start : start + size] for start in range(0, len(EVENTS), size)]
    responses = streamed(groups, TOKENS)
    assert joined(responses) == PARTS
    assert all("finishReason" not in response["candidates"][0] for response in responses[:-1])
    assert all("usageMetadata" not in response for response in responses[:-1])
    assert responses[-1]["candidates"][0]["finishReason"] == "STOP"
    assert responses[-1]["usageMetadata"] == USAGE
    assert {(response["modelVersion"], response["responseId"]) for response in responses} == {("cat-gemini", "a1")}


def test_text_comes_as_it_is_generated() -> None:
    writer = SURFACE.open_writer(call())
    assert writer.write([Started()]) == b""
    pieces = payloads(writer.write([TextDelta(text="a"), TextDelta(text="b")]))
    assert [piece["candidates"][0]["content"]["parts"] for piece in pieces] == [[{"text": "a"}], [{"text": "b"}]]
    assert writer.write([TextDelta(text=""), ThinkingDelta()]) == b""
    assert writer.write([Finished(reason="stop")]) == b""
    (last,) = payloads(writer.finish(None))
    assert last["candidates"][0] == {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "index": 0,
        "finishReason": "STOP",
    }
    assert "usageMetadata" not in last


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("stop", "STOP"),
        ("stop_sequence", "STOP"),
        ("tool_calls", "STOP"),
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("refusal", "SAFETY"),
        ("pause", "OTHER"),
    ],
)
def test_finish_reasons(reason: FinishReason, name: str) -> None:
    events: tuple[Event, ...] = (TextDelta(text="a"), Finished(reason=reason))
    assert whole(events)["candidates"][0]["finishReason"] == name
    assert streamed([events])[-1]["candidates"][0]["finishReason"] == name


def test_arguments_that_were_cut_off_are_said_to_be_malformed() -> None:
    events: tuple[Event, ...] = (
        TextDelta(text="a"),
        ToolCallStarted(index=0, call_id="c", name="f"),
        ToolCallDelta(index=0, arguments='{"a": "b'),
        Finished(reason="length"),
    )
    for candidate in (whole(events)["candidates"][0], streamed([events])[-1]["candidates"][0]):
        assert candidate["finishReason"] == "MALFORMED_FUNCTION_CALL"
        assert not any("functionCall" in part for part in candidate["content"]["parts"])


def test_hidden_reasoning_travels_in_the_signature() -> None:
    events: tuple[Event, ...] = (
        ThinkingDelta(encrypted="gAAA", made_by="openai"),
        TextDelta(text="a"),
        Finished(reason="stop"),
    )
    parts = whole(events)["candidates"][0]["content"]["parts"]
    assert parts == joined(streamed([events]))
    body = orjson.dumps({"contents": [{"parts": [{"text": "q"}]}, {"role": "model", "parts": parts}]})
    reading = SURFACE.read(body, streaming=False)
    request: Any = reading.canonical()  # type: ignore[union-attr]
    assert request.messages[1].parts[0] == Thinking(encrypted="gAAA", made_by="openai")


def test_an_answer_without_parts_can_be_read() -> None:
    body = orjson.loads(SURFACE.write_answer(Answer(parts=(), finish_reason="content_filter"), call()))
    assert body["candidates"][0]["content"]["parts"] == [{"text": ""}]
