"""Gemini's answers in canonical form, whole and as streams."""

from typing import Any

import orjson
import pytest

from router_worker.canonical.answer import Answer, Started, collect
from router_worker.canonical.request import (
    Text,
    Thinking,
    ToolCall,
)
from router_worker.vendors.gemini.wire import GeminiWire
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.gemini_samples import (
    ROW,
    RUNNING,
    TOKENS,
    USAGE,
    call,
    chunk,
    event,
    run_events,
    stream_bytes,
)

WIRE = GeminiWire(ROW)
CALL = {"functionCall": {"name": "f", "args": {"a": [1, "}"]}}, "thoughtSignature": "sig"}
NAMED = {"functionCall": {"id": "own", "name": "g"}}
THOUGHT = {"text": "hm", "thought": True}
CHUNKS = (
    chunk(THOUGHT, usage=RUNNING),
    chunk({"text": "I "}),
    chunk({"text": "call", "thoughtSignature": "ignored"}, CALL, usage=RUNNING),
    chunk(NAMED),
    chunk({"text": ""}, finish="STOP", usage=USAGE),
)
ANSWER = Answer(
    parts=(
        Thinking(text="hm", made_by="gemini"),
        Text(text="I call"),
        ToolCall(call_id="call_a1_0", name="f", arguments='{"a":[1,"}"]}', signature="sig"),
        ToolCall(call_id="own", name="g", arguments="{}"),
    ),
    finish_reason="tool_calls",
    tokens=TOKENS,
    vendor_request_id="r-1",
)


def read(answer: dict[str, Any] | bytes) -> Answer | Failure:
    data = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    return WIRE.read_answer(call(), 200, {}, data)


def test_a_whole_answer() -> None:
    parts = [part for piece in CHUNKS for part in piece["candidates"][0]["content"]["parts"]]
    assert read(chunk(*parts, finish="STOP", usage=USAGE)) == ANSWER


def test_a_stream_at_every_byte_split_is_the_whole_answer() -> None:
    data = stream_bytes(*CHUNKS)
    whole = run_events(WIRE.open_events(call()), data)
    assert whole.complete
    answer = collect(whole.out, whole.tokens)
    assert (answer.parts, answer.finish_reason, answer.tokens) == (ANSWER.parts, ANSWER.finish_reason, ANSWER.tokens)
    assert whole.out[0] == Started(tokens=TokenCounts(input=100))
    assert (whole.vendor_request_id, whole.finish_reason, whole.chunks) == ("r-1", "STOP", 5)
    for split in range(1, len(data)):
        assert run_events(WIRE.open_events(call()), data[:split], data[split:]) == whole
    assert run_events(WIRE.open_events(call()), *(data[i : i + 1] for i in range(len(data)))) == whole


def test_a_stream_that_breaks_off_anywhere_fails() -> None:
    data = stream_bytes(*CHUNKS)
    for end in range(len(data) - 4):
        outcome = run_events(WIRE.open_events(call()), data[:end])
        assert outcome.failed_as is FailureKind.VENDOR_BROKE_OFF, end
        assert outcome.tokens is None


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("OTHER", "content_filter"),
        ("SOMETHING_NEW", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", None),
        ("UNEXPECTED_TOOL_CALL", None),
        ("MISSING_THOUGHT_SIGNATURE", None),
    ],
)
def test_finish_reasons(reason: str, wanted: str | None) -> None:
    piece = chunk({"text": "a"}, finish=reason, usage=USAGE)
    found = read(piece)
    outcome = run_events(WIRE.open_events(call()), event(piece))
    if wanted is None:
        assert isinstance(found, Failure)
        assert found.kind is outcome.failed_as is FailureKind.VENDOR_GARBLED
    else:
        assert isinstance(found, Answer)
        assert found.finish_reason == collect(outcome.out).finish_reason == wanted


def test_older_models_tell_a_finish_reason_with_every_chunk() -> None:
    pieces = (chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP", usage=USAGE))
    outcome = run_events(WIRE.open_events(call()), stream_bytes(*pieces))
    answer = collect(outcome.out, outcome.tokens)
    assert (answer.parts, answer.tokens) == ((Text(text="ab"),), TOKENS)


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    wanted = Answer(parts=(), finish_reason="content_filter", tokens=TokenCounts(input=3))
    assert read(blocked) == wanted
    outcome = run_events(WIRE.open_events(call()), event(blocked))
    assert collect(outcome.out, outcome.tokens) == wanted


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"{}", FailureKind.VENDOR_GARBLED),
        (b"<html>", FailureKind.VENDOR_GARBLED),
        (orjson.dumps(chunk({"text": "a"})), FailureKind.VENDOR_GARBLED),
        (orjson.dumps(chunk({"inlineData": {"mimeType": "image/png"}}, finish="STOP")), FailureKind.VENDOR_GARBLED),
        (
            b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":"\xff"}}}]}}]}',
            FailureKind.VENDOR_GARBLED,
        ),
        (b'{"error":{"code":503,"status":"UNAVAILABLE"}}', FailureKind.VENDOR_ERROR),
    ],
)
def test_what_is_no_answer(answer: bytes, kind: FailureKind) -> None:
    found = read(answer)
    assert isinstance(found, Failure)
    assert found.kind is kind


def test_media_in_a_stream_cannot_be_translated() -> None:
    data = stream_bytes(chunk({"text": "a"}), chunk({"inlineData": {"mimeType": "image/png"}}, finish="STOP"))
    assert run_events(WIRE.open_events(call()), data).failed_as is FailureKind.VENDOR_GARBLED


def test_the_rest_is_the_formats() -> None:
    assert WIRE.request_id({"x-request-id": "x"}) is None
    assert WIRE.classify_error(429, {}, b"", 0).kind is FailureKind.VENDOR_RATE_LIMITED
