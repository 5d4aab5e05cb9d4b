"""Anthropic's answers in canonical form: whole and streamed alike, at every cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import Answer, Event, Started, collect
from router_worker.canonical.request import Text, Thinking, ToolCall
from router_worker.vendors.anthropic.answer import AnthropicEvents
from router_worker.vendors.anthropic.wire import AnthropicWire
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.anthropic_samples import RICH, ROW, STOP, WHOLE, call, end, event, start, stream, text

WIRE = AnthropicWire(ROW)
TOKENS = TokenCounts(input=87, cached_input=50, cache_write=30, cache_write_1h=20, output=42, reasoning=9)


def whole(message: dict[str, Any]) -> Answer:
    answer = WIRE.read_answer(call(), 200, {}, json.dumps(message).encode())
    assert isinstance(answer, Answer)
    return answer


def read(*pieces: bytes) -> tuple[AnthropicEvents, list[Event]]:
    reader = WIRE.open_events(call(streaming=True))
    events = [each for piece in pieces for each in reader.feed(piece)] + reader.finish()
    assert reader.ended
    assert reader.complete == (reader.failure is None)
    return reader, events


def test_a_whole_answer() -> None:
    answer = whole(WHOLE)
    assert answer == Answer(
        parts=(
            Thinking(text="Hm, wörld?", signature="sig==", made_by="anthropic"),
            Thinking(encrypted="enc==", made_by="anthropic"),
            Text(text='Hello "\\\n😀'),
            ToolCall(call_id="toolu_1", name="weather", arguments='{"city": "K\\u00f6ln"}'),
            ToolCall(call_id="toolu_2", name="time", arguments="{}"),
        ),
        finish_reason="tool_calls",
        tokens=TOKENS,
        vendor_request_id="msg_v",
    )


def same(answer: Answer) -> tuple[Any, ...]:
    """The arguments of calls are compared as JSON: a whole answer and a streamed one differ in its spelling."""
    parts = [(part, json.loads(part.arguments)) if isinstance(part, ToolCall) else part for part in answer.parts]
    named = [(part[0].call_id, part[0].name, part[1]) if isinstance(part, tuple) else part for part in parts]
    return (*named, answer.finish_reason, answer.stop_sequence, answer.tokens)


def test_streamed_and_whole_are_the_same_at_every_cut() -> None:
    raw = stream(RICH)
    expected = same(whole(WHOLE))
    for cut in range(len(raw)):
        reader, events = read(raw[:cut], raw[cut:])
        assert same(collect(events, reader.tokens)) == expected
    reader, events = read(*(raw[place : place + 1] for place in range(len(raw))))
    assert same(collect(events, reader.tokens)) == expected
    assert events[0] == Started(tokens=TokenCounts(input=87, cached_input=50, cache_write=30, cache_write_1h=20))
    assert (reader.finish_reason, reader.vendor_request_id) == ("tool_calls", "msg_v")


@pytest.mark.parametrize(
    ("reason", "sequence", "expected"),
    [
        ("end_turn", None, "stop"),
        ("max_tokens", None, "length"),
        ("model_context_window_exceeded", None, "length"),
        ("stop_sequence", "END", "stop_sequence"),
        ("pause_turn", None, "pause"),
        ("refusal", None, "refusal"),
        ("something_new", None, "stop"),
    ],
)
def test_reasons_to_stop(reason: str, sequence: str | None, expected: str) -> None:
    message = WHOLE | {"content": [{"type": "text", "text": "x"}], "stop_reason": reason, "stop_sequence": sequence}
    answer = whole(message)
    assert (answer.finish_reason, answer.stop_sequence) == (expected, sequence)
    _, events = read(stream([start(), *text(0, "x"), end(reason, sequence), STOP]))
    assert same(collect(events, answer.tokens)) == same(answer)


def test_an_empty_answer_and_blocks_of_anthropics_own_tools() -> None:
    own = {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {"q": 1}}
    assert whole(WHOLE | {"content": [own]}).parts == ()
    reader, events = read(stream([start(), end(), STOP]))
    assert reader.complete
    assert collect(events).parts == ()


def test_a_server_that_gives_all_of_the_input_at_the_start() -> None:
    opening = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}}
    blocks = [{"type": "content_block_start", "index": 0, "content_block": opening}]
    _, events = read(stream([start(), *blocks, {"type": "content_block_stop", "index": 0}, end("tool_use"), STOP]))
    assert collect(events).parts == (ToolCall(call_id="t", name="n", arguments='{"a": 1}'),)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"content":[{"type":"text","text":1}]}', b'{"error":{"type":"x"}}'])
def test_what_is_no_answer(body: bytes) -> None:
    assert isinstance(WIRE.read_answer(call(), 200, {}, body), Failure)


def test_errors_and_breaks_in_a_stream() -> None:
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    reader, _ = read(event(start()), error)
    assert reader.failure == Failure(kind=FailureKind.VENDOR_ERROR)
    reader, _ = read(stream([start(), *text(0, "x")]), error)
    assert reader.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    reader, _ = read(stream([start(), *text(0, "x")]))
    assert reader.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    bad = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}
    reader, _ = read(stream([start(), *text(0, "x"), bad, STOP]))
    assert reader.failure == Failure(kind=FailureKind.VENDOR_GARBLED)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_read_without_raising(pieces: list[bytes]) -> None:
    read(*pieces)
    read(stream(RICH)[:900], *pieces)
