"""Answers of OpenAI-like vendors, plain and streamed, as canonical ones: the same both ways, at every cut."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import Answer, Event, Finished, ToolCallDelta, ToolCallStarted, collect
from router_worker.canonical.request import AssistantPart, Text, Thinking, ToolCall
from router_worker.vendors.openai.events import OpenAiEvents
from router_worker.vendors.openai.wire import OpenAiWire
from router_worker.vendors.table import BUILT_IN
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import DONE, USAGE, call, stream_bytes

TOKENS = TokenCounts(input=11, output=3)


def wire(row: str = "openai") -> OpenAiWire:
    return OpenAiWire(BUILT_IN[row])


def read(message: dict[str, Any], finish: str | None = "stop", row: str = "openai", **fields: Any) -> Answer | Failure:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    completion = {"id": "c-1", "choices": [choice], "usage": USAGE, **fields}
    return wire(row).read_answer(call(answer_id="7"), 200, {}, orjson.dumps(completion))


def answered(*given_message: Any, **fields: Any) -> Answer:
    answer = read(*given_message, **fields)
    assert isinstance(answer, Answer)
    return answer


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "c-1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def events_of(data: bytes, size: int | None = None, row: str = "openai") -> tuple[list[Event], OpenAiEvents]:
    reader = wire(row).open_events(call(streaming=True, answer_id="7"))
    events: list[Event] = []
    for start in range(0, len(data), size or max(len(data), 1)):
        events += reader.feed(data[start : start + (size or len(data))])
    events += reader.finish()
    assert reader.ended
    assert reader.complete == (reader.failure is None)
    return events, reader


def streamed(*deltas: dict[str, Any], row: str = "openai") -> Answer:
    events, reader = events_of(stream_bytes(*deltas, {"choices": [], "usage": USAGE}, b"[DONE]"), row=row)
    assert reader.failure is None
    return collect(events, reader.tokens)


def function(name: str | None, arguments: Any, **fields: Any) -> dict[str, Any]:
    called = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"function": called, **fields}


ADD = ToolCall(call_id="id-a", name="add", arguments='{"a":1}')
NOW = ToolCall(call_id="id-b", name="now", arguments="{}")

# A name; the message; the same in deltas; the parts that both are; the reason.
_CASES: list[tuple[str, dict[str, Any], list[dict[str, Any]], tuple[AssistantPart, ...], str]] = [
    (
        "text",
        {"content": "Hello"},
        [delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop")],
        (Text(text="Hello"),),
        "stop",
    ),
    (
        "reasoning_content",
        {"reasoning_content": "hmm", "content": "Hello"},
        [delta(reasoning_content="h"), delta(reasoning_content="mm", content=None), delta("stop", content="Hello")],
        (Thinking(text="hmm"), Text(text="Hello")),
        "stop",
    ),
    (
        "reasoning",
        {"reasoning": "hmm", "content": "Hello"},
        [delta(reasoning="h", content=""), delta(reasoning="mm"), delta(content="Hello"), delta("stop")],
        (Thinking(text="hmm"), Text(text="Hello")),
        "stop",
    ),
    (
        "both names for one thought",
        {"reasoning": "hmm", "reasoning_content": "hmm", "content": ""},
        [delta(reasoning="hmm", reasoning_content="hmm"), delta("length")],
        (Thinking(text="hmm"),),
        "length",
    ),
    (
        "Mistral's thoughts",
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}], "closed": True},
                {"type": "text", "text": "Hello"},
                {"type": "reference", "reference_ids": [1]},
            ]
        },
        [
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "mm"}]}]),
            delta(content=[{"type": "text", "text": "Hel"}]),
            delta("model_length", content="lo"),
        ],
        (Thinking(text="hmm"), Text(text="Hello")),
        "length",
    ),
    (
        "parallel calls",
        {
            "content": None,
            "tool_calls": [function("add", '{"a":1}', id="id-a"), function("now", "", id="id-b", type="function")],
        },
        [
            delta(tool_calls=[function("add", "", index=0, id="id-a", type="function")]),
            delta(tool_calls=[function(None, '{"a"', index=0)]),
            delta(tool_calls=[function("now", "", index=1, id="id-b"), function(None, ":1}", index=0)]),
            delta("tool_calls"),
        ],
        (ADD, NOW),
        "tool_calls",
    ),
    (
        "whole calls at one index, the reason wrong",
        {"tool_calls": [function("add", {"a": 1}, id="id-a"), function("now", {}, id="id-b")]},
        [
            delta(tool_calls=[function("add", '{"a":1}', index=0, id="id-a")]),
            delta("stop", tool_calls=[function("now", "{}", index=0, id="id-b")]),
        ],
        (ADD, NOW),
        "tool_calls",
    ),
    (
        "whole calls without an index",
        {"tool_calls": [function("add", '{"a":1}', id="id-a"), function("now", "{}", id="id-b")]},
        [
            delta(tool_calls=[function("add", '{"a":1}', id="id-a")]),
            delta("tool_calls", tool_calls=[function("now", "{}", id="id-b")]),
        ],
        (ADD, NOW),
        "tool_calls",
    ),
    (
        "calls without an id, or the same in every chunk",
        {"tool_calls": [function("add", '{"a":1}', id="null"), function("now", "{}", id="id-b")]},
        [
            delta(tool_calls=[function("add", '{"a"', index=0, id="")]),
            delta(tool_calls=[function("", ":1}", index=0)]),
            delta(tool_calls=[function("now", "{", index=1, id="id-b")]),
            delta("tool_calls", tool_calls=[function("now", "}", index=1, id="id-b")]),
        ],
        (ToolCall(call_id="call_7_0", name="add", arguments='{"a":1}'), NOW),
        "tool_calls",
    ),
    (
        "a name that comes late",
        {"tool_calls": [function("add", '{"a":1}', id="id-a")]},
        [
            delta(tool_calls=[{"index": 0, "id": "id-a"}]),
            delta(tool_calls=[function(None, '{"a"', index=0)]),
            delta(tool_calls=[function("add", ":1}", index=0)]),
            delta("tool_calls"),
        ],
        (ADD,),
        "tool_calls",
    ),
    (
        "a function call of old",
        {"content": None, "function_call": {"name": "add", "arguments": '{"a":1}'}},
        [
            delta(function_call={"name": "add", "arguments": ""}),
            delta("function_call", function_call={"arguments": '{"a":1}'}),
        ],
        (ToolCall(call_id="call_7_0", name="add", arguments='{"a":1}'),),
        "tool_calls",
    ),
    (
        "a refusal",
        {"content": None, "refusal": "No."},
        [delta(refusal="N"), delta(refusal="o."), delta("stop")],
        (Text(text="No."),),
        "refusal",
    ),
    ("filtered", {"content": ""}, [delta("content_filter", content="")], (), "content_filter"),
    ("a reason nobody knows", {"content": "a"}, [delta("eos", content="a")], (Text(text="a"),), "stop"),
]
CASES = [pytest.param(*case[1:], id=case[0]) for case in _CASES]


@pytest.mark.parametrize(("message", "deltas", "parts", "reason"), CASES)
def test_plain_and_streamed_are_the_same(
    message: dict[str, Any], deltas: list[dict[str, Any]], parts: tuple[AssistantPart, ...], reason: str
) -> None:
    finish = deltas[-1]["choices"][0]["finish_reason"]
    plain = answered(message, finish)
    assert (plain.parts, plain.finish_reason, plain.tokens) == (parts, reason, TOKENS)
    assert plain.vendor_request_id == "c-1"
    in_pieces = streamed(*deltas)
    assert (in_pieces.parts, in_pieces.finish_reason, in_pieces.tokens) == (parts, reason, TOKENS)


@pytest.mark.parametrize(("message", "deltas", "parts", "reason"), CASES)
def test_every_cut_gives_the_same(
    message: dict[str, Any], deltas: list[dict[str, Any]], parts: tuple[AssistantPart, ...], reason: str
) -> None:
    data = stream_bytes(*deltas, {"choices": [], "usage": USAGE}, b"[DONE]")
    events, whole = events_of(data)
    assert isinstance(events[-1], Finished)
    for size in range(1, len(data)):
        cut, reader = events_of(data, size)
        assert cut == events
        assert (reader.tokens, reader.complete, reader.chunks, reader.output_bytes) == (
            whole.tokens,
            True,
            whole.chunks,
            whole.output_bytes,
        )


@pytest.mark.parametrize(("message", "deltas", "parts", "reason"), CASES)
def test_a_stream_that_breaks_anywhere_is_a_failure(
    message: dict[str, Any], deltas: list[dict[str, Any]], parts: tuple[AssistantPart, ...], reason: str
) -> None:
    data = stream_bytes(*deltas)
    before_last = len(stream_bytes(*deltas[:-1]))
    for end in range(before_last + len('data: {"id"')):
        events, reader = events_of(data[:end])
        assert reader.failure is not None
        assert reader.failure.kind is FailureKind.VENDOR_BROKE_OFF
        assert not any(isinstance(event, Finished) for event in events)


def test_events_of_calls_that_take_turns() -> None:
    deltas = _CASES[5][2]
    events, _ = events_of(stream_bytes(*deltas, b"[DONE]"))
    assert events[1:-1] == [
        ToolCallStarted(index=0, call_id="id-a", name="add"),
        ToolCallDelta(index=0, arguments='{"a"'),
        ToolCallStarted(index=1, call_id="id-b", name="now"),
        ToolCallDelta(index=0, arguments=":1}"),
    ]


def test_nothing_follows_the_end_whatever_the_vendor_sends_after_its_reason() -> None:
    events, reader = events_of(stream_bytes(delta("stop", content="a"), delta(content="b"), b"[DONE]"))
    assert isinstance(events[-1], Finished)
    assert collect(events).parts == (Text(text="ab"),)
    assert reader.finish_reason == "stop"


def test_a_vendor_that_just_closes_after_its_reason_has_ended() -> None:
    events, reader = events_of(stream_bytes(delta("stop", content="a")))
    assert reader.complete
    assert collect(events).finish_reason == "stop"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", FailureKind.VENDOR_BROKE_OFF),
        (b'{"error":{"message":"no","type":"invalid_request_error"}}', FailureKind.VENDOR_REFUSED_REQUEST),
        (stream_bytes({"error": {"message": "x", "type": "rate_limit_error"}}), FailureKind.VENDOR_RATE_LIMITED),
        (stream_bytes(delta(content="a"), {"error": {"message": "x"}}), FailureKind.VENDOR_BROKE_OFF),
        (stream_bytes(delta(content="a"), delta("error")), FailureKind.VENDOR_BROKE_OFF),
        (stream_bytes(delta(content="a"), delta("network_error")), FailureKind.VENDOR_BROKE_OFF),
        (stream_bytes(delta(content="a"), b'{"choices":['), FailureKind.VENDOR_GARBLED),
        (stream_bytes(delta(content=5)), FailureKind.VENDOR_GARBLED),
        (
            stream_bytes(delta("tool_calls", tool_calls=[{"index": 0, "id": "x"}]), b"[DONE]"),
            FailureKind.VENDOR_GARBLED,
        ),
        (DONE, FailureKind.VENDOR_GARBLED),
    ],
)
def test_how_a_stream_fails(data: bytes, kind: FailureKind) -> None:
    _, reader = events_of(data)
    assert reader.failure is not None
    assert reader.failure.kind is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.VENDOR_GARBLED),
        (b"[]", FailureKind.VENDOR_GARBLED),
        (b'{"choices":[]}', FailureKind.VENDOR_GARBLED),
        (b'{"choices":[{"message":null}]}', FailureKind.VENDOR_GARBLED),
        (b'{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}', FailureKind.VENDOR_GARBLED),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}', FailureKind.VENDOR_BROKE_OFF),
        (b'{"error":{"message":"upstream died","code":502}}', FailureKind.VENDOR_ERROR),
        (b'{"error":{"message":"too long","code":400}}', FailureKind.VENDOR_REFUSED_REQUEST),
        (b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}", FailureKind.VENDOR_GARBLED),
    ],
)
def test_how_an_answer_fails(body: bytes, kind: FailureKind) -> None:
    failure = wire().read_answer(call(), 200, {}, body)
    assert isinstance(failure, Failure)
    assert failure.kind is kind


def test_half_an_emoji_is_no_reason_to_fail() -> None:
    body = b'{"choices":[{"message":{"content":"a\\ud83d"},"finish_reason":"stop"}]}'
    answer = wire().read_answer(call(), 200, {}, body)
    assert isinstance(answer, Answer)
    assert answer.parts == (Text(text="a\ufffd"),)
    events, _ = events_of(b'data: {"choices":[{"delta":{"content":"a\\ud83d"},"finish_reason":"stop"}]}\n\n' + DONE)
    assert collect(events).parts == (Text(text="a\ufffd"),)


_XAI = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}
_DETAILED = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


@pytest.mark.parametrize(
    ("row", "usage", "tokens"),
    [
        ("openai", _DETAILED, TokenCounts(input=100, cached_input=80, cache_write=5, output=30, reasoning=20)),
        (
            "xai",
            _XAI | {"completion_tokens_details": {"reasoning_tokens": 94}},
            TokenCounts(input=32, output=103, reasoning=94),
        ),
        ("deepseek", USAGE | {"prompt_cache_hit_tokens": 4}, TokenCounts(input=11, cached_input=4, output=3)),
        ("mistral", None, None),
    ],
)
def test_tokens_plain_and_streamed(row: str, usage: dict[str, Any] | None, tokens: TokenCounts | None) -> None:
    assert answered({"content": "a"}, row=row, usage=usage).tokens == tokens
    _, reader = events_of(stream_bytes(delta("stop", content="a") | {"usage": usage}, b"[DONE]"), row=row)
    assert reader.tokens == tokens


def test_figures_counted_along_are_not_final_before_the_end() -> None:
    counted = stream_bytes(delta(content="a") | {"usage": USAGE})
    assert events_of(counted)[1].tokens is None
    assert events_of(counted + stream_bytes(delta("stop"), b"[DONE]"))[1].tokens == TOKENS


@given(texts=st.lists(st.text(max_size=8), max_size=8), size=st.integers(1, 100), ascii_only=st.booleans())
def test_whatever_text_comes(texts: list[str], size: int, ascii_only: bool) -> None:
    deltas = [*(delta(content=text) for text in texts), delta("stop")]
    data = stream_bytes(*(json.dumps(one, ensure_ascii=ascii_only).encode() for one in deltas), b"[DONE]")
    events, reader = events_of(data, size)
    assert reader.failure is None
    whole = "".join(texts)
    assert collect(events).parts == ((Text(text=whole),) if whole else ())
    assert reader.output_bytes == len(whole.encode())


@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_any_bytes_end_in_a_failure_and_raise_nothing(data: bytes, size: int) -> None:
    assert events_of(data, size)[1].failure is not None
    assert isinstance(wire().read_answer(call(), 200, {}, data), Failure)


def test_errors_are_told_as_for_what_is_passed_through() -> None:
    failure = wire("openrouter").classify_error(403, {}, b'{"error":{"message":"flagged"}}', 0)
    assert failure.kind is FailureKind.VENDOR_REFUSED_REQUEST
    assert wire().request_id({"x-request-id": "r"}) == "r"
