"""Cohere's answers, whole and streamed, as canonical ones: the same of both at every byte split, and what is billed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import Answer, Event, Finished, Started, collect
from router_worker.canonical.request import Reasoning, Text, Thinking, ToolCall
from router_worker.vendors.cohere.stream import CohereEvents
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.cohere_samples import (
    USAGE,
    WIRE,
    call_piece,
    call_start,
    end,
    event,
    message,
    request,
    start,
    text,
    thought,
)
from tests.router_worker.openai_samples import call

BILLED = TokenCounts(input=12, cached_input=4, output=7)

PLAIN = b"".join(
    (
        start(),
        event("content-start", index=0, delta=message(content={"type": "thinking", "thinking": ""})),
        thought("hm, "),
        thought("well"),
        event("content-end", index=0),
        event("content-start", index=1, delta=message(content={"type": "text", "text": ""})),
        text("he€", 1),
        event("citation-start", index=0, delta=message(citations={"start": 0, "end": 1, "text": "h"})),
        event("citation-end", index=0),
        text('y"', 1),
        event("content-end", index=1),
        end(),
    )
)
CALLS = b"".join(
    (
        start(),
        event("tool-plan-delta", delta=message(tool_plan="I ")),
        event("tool-plan-delta", delta=message(tool_plan="look.")),
        call_start(0, "c1", "look"),
        call_piece(0, '{"a"'),
        call_piece(0, ":1}"),
        event("tool-call-end", index=0),
        call_start(1, "c2", "go"),
        event("tool-call-end", index=1),
        end("TOOL_CALL"),
    )
)


def whole(reason: str = "COMPLETE", **fields: Any) -> bytes:
    return json.dumps(
        {"id": "m1", "finish_reason": reason, "message": {"role": "assistant"} | fields, "usage": USAGE}
    ).encode()


WHOLE_PLAIN = whole(content=[{"type": "thinking", "thinking": "hm, well"}, {"type": "text", "text": 'he€y"'}])
WHOLE_CALLS = whole(
    "TOOL_CALL",
    tool_plan="I look.",
    tool_calls=[
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "go", "arguments": ""}},
    ],
)


def read(body: bytes, asked: VendorCall | None = None) -> Answer | Failure:
    return WIRE.read_answer(asked or call(), 200, {}, body)


def run(*pieces: bytes, asked: VendorCall | None = None) -> tuple[list[Event], CohereEvents]:
    reader = WIRE.open_events(asked or call(streaming=True))
    events = [found for piece in pieces for found in reader.feed(piece)]
    return events + reader.finish(), reader


@pytest.mark.parametrize(("streamed", "body"), [(PLAIN, WHOLE_PLAIN), (CALLS, WHOLE_CALLS)])
def test_streamed_and_whole_are_the_same_at_every_split(streamed: bytes, body: bytes) -> None:
    answer = read(body)
    assert isinstance(answer, Answer)
    assert answer.tokens == BILLED
    expected, _ = run(streamed)
    for cut in range(len(streamed)):
        events, reader = run(streamed[:cut], streamed[cut:])
        assert events == expected
        assert (reader.complete, reader.ended, reader.failure) == (True, True, None)
        assert (reader.tokens, reader.vendor_request_id) == (BILLED, "m1")
    found = collect(expected, BILLED)
    assert (found.parts, found.finish_reason, found.tokens) == (answer.parts, answer.finish_reason, answer.tokens)
    assert run(*(streamed[at : at + 1] for at in range(len(streamed))))[0] == expected


def test_a_thought_and_a_text() -> None:
    answer = read(WHOLE_PLAIN)
    assert isinstance(answer, Answer)
    assert answer.parts == (Thinking(text="hm, well"), Text(text='he€y"'))
    assert (answer.finish_reason, answer.vendor_request_id) == ("stop", "m1")
    _, reader = run(PLAIN)
    assert reader.output_bytes == len('hm, wellhe€y"'.encode())
    assert (reader.finish_reason, reader.chunks > 0) == ("stop", True)


def test_parallel_calls_after_a_plan() -> None:
    answer = read(WHOLE_CALLS)
    assert isinstance(answer, Answer)
    assert answer.parts == (
        Thinking(text="I look."),
        ToolCall(call_id="c1", name="look", arguments='{"a":1}'),
        ToolCall(call_id="c2", name="go", arguments="{}"),
    )
    assert answer.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop_sequence"), ("MAX_TOKENS", "length"), ("NEW_ONE", "stop")],
)
def test_how_it_ended(reason: str, expected: str) -> None:
    answer = read(whole(reason, content=[{"type": "text", "text": "x"}]))
    assert isinstance(answer, Answer)
    assert answer.finish_reason == expected
    events, _ = run(start() + text("x") + end(reason))
    assert events[-1] == Finished(reason=expected)


def test_hidden_thoughts_are_not_shown_but_billed() -> None:
    asked = call(canonical=request(reasoning=Reasoning(effort="low", visible=False)))
    answer = read(WHOLE_PLAIN, asked)
    assert isinstance(answer, Answer)
    assert (answer.parts, answer.tokens) == ((Text(text='he€y"'),), BILLED)
    events, reader = run(PLAIN, asked=asked)
    assert collect(events).parts == answer.parts
    assert reader.output_bytes == len('hm, wellhe€y"'.encode())


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (USAGE, BILLED),
        ({"billed_units": {"input_tokens": 3, "output_tokens": 2}}, TokenCounts(input=3, output=2)),
        ({"tokens": {"input_tokens": 3, "output_tokens": 2}}, TokenCounts(input=3, output=2)),
        (
            {"billed_units": {"input_tokens": 3, "output_tokens": 2}, "cached_tokens": 9},
            TokenCounts(input=3, cached_input=3, output=2),
        ),
        ({"billed_units": {"output_tokens": 2}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_is_billed_is_what_counts(usage: dict[str, Any] | None, tokens: TokenCounts | None) -> None:
    _, reader = run(start() + text("x") + end(usage=usage))
    assert reader.tokens == tokens
    body = json.loads(whole(content=[{"type": "text", "text": "x"}])) | {"usage": usage}
    answer = read(json.dumps(body).encode())
    assert isinstance(answer, Answer)
    assert answer.tokens == tokens


@pytest.mark.parametrize(
    ("bad", "before", "after"),
    [
        (end("ERROR", error="out of memory"), FailureKind.VENDOR_ERROR, FailureKind.VENDOR_BROKE_OFF),
        (end("TIMEOUT"), FailureKind.VENDOR_ERROR, FailureKind.VENDOR_BROKE_OFF),
        (b'data: {"message":"internal"}\n\n', FailureKind.VENDOR_ERROR, FailureKind.VENDOR_BROKE_OFF),
        (event("error", message="internal"), FailureKind.VENDOR_ERROR, FailureKind.VENDOR_BROKE_OFF),
        (b"data: {nonsense\n\n", FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (event("content-delta", delta={"message": {}}), FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (call_piece(5, "{}"), FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (event("message-end", delta={}), FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (b"", FailureKind.VENDOR_BROKE_OFF, FailureKind.VENDOR_BROKE_OFF),
    ],
)
def test_errors_in_a_stream(bad: bytes, before: FailureKind, after: FailureKind) -> None:
    events, reader = run(start() + bad)
    assert events == [Started()]
    assert reader.failure is not None
    assert (reader.failure.kind, reader.complete, reader.chunks) == (before, False, 0)
    _, reader = run(start() + text("x") + bad)
    assert reader.failure is not None
    assert (reader.failure.kind, reader.complete) == (after, False)


def test_every_early_end_is_a_failure() -> None:
    for streamed in (PLAIN, CALLS):
        for cut in range(len(streamed) - 2):
            events, reader = run(streamed[:cut])
            assert reader.failure is not None
            assert not reader.complete
            assert not any(isinstance(found, Finished) for found in events)


def test_an_error_that_is_no_stream() -> None:
    _, reader = run(b'{"message":"slow down"}')
    assert reader.failure is not None
    assert reader.failure.kind is FailureKind.VENDOR_ERROR


def test_an_empty_answer_is_one() -> None:
    events, reader = run(start() + end())
    assert (events, reader.complete) == ([Started(), Finished(reason="stop")], True)
    assert isinstance(read(whole()), Answer)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FailureKind.VENDOR_GARBLED),
        (b"{}", FailureKind.VENDOR_GARBLED),
        (whole("ERROR"), FailureKind.VENDOR_ERROR),
        (whole("TIMEOUT", content=[{"type": "text", "text": "x"}]), FailureKind.VENDOR_BROKE_OFF),
    ],
)
def test_a_plain_answer_that_is_none(body: bytes, kind: FailureKind) -> None:
    found = read(body)
    assert isinstance(found, Failure)
    assert found.kind is kind


def test_half_an_emoji_does_not_break_the_answer() -> None:
    events, reader = run(start() + event("content-delta", delta=message(content={"text": "\ud83d"})) + end())
    assert reader.complete
    assert collect(events).parts == (Text(text="\ufffd"),)


_KNOWN = [
    start(),
    text("x"),
    end(),
    end()[:-9],
    call_start(1, "c", "n"),
    call_piece(1, "{"),
    b"data: null\n\n",
    b"\n\n",
]


@given(pieces=st.lists(st.binary(max_size=20) | st.sampled_from(_KNOWN)))
def test_no_bytes_are_an_exception(pieces: list[bytes]) -> None:
    events, reader = run(*pieces)
    assert (reader.failure is None) == reader.complete
    if reader.complete:
        collect(events)
