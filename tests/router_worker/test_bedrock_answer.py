"""Answers of Converse and ConverseStream: the same answer whole and streamed, at every byte split."""

import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import Answer, Event, Finished, FinishReason, Started, TextDelta, collect
from router_worker.canonical.request import ChatRequest, JsonFormat, Text, Thinking, ToolCall
from router_worker.vendors.bedrock.stream import BedrockStream
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.bedrock_samples import (
    NOVA_PRO,
    WIRE,
    call,
    chat,
    stream_bytes,
    stream_events,
    usage,
    whole_answer,
    whole_body,
)
from tests.router_worker.event_stream_frames import event, exception, frame, string

Deltas = tuple[dict[str, Any] | None, list[dict[str, Any]]]


@dataclass(frozen=True)
class Sample:
    """One answer in both of its forms, and what it means."""

    content: list[dict[str, Any]]
    blocks: list[Deltas]
    stop: dict[str, Any]
    usage: dict[str, Any]
    answer: Answer
    request: ChatRequest | None = None
    model: str = NOVA_PRO

    def whole(self) -> bytes:
        return whole_body(self.content, self.stop, self.usage)

    def streamed(self) -> bytes:
        return stream_bytes(stream_events(self.blocks, self.stop, self.usage))

    def call(self) -> VendorCall:
        return call(self.request, self.model)


def _tool(call_id: str, name: str, given: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": given}}


def _tool_deltas(call_id: str, name: str, pieces: list[str]) -> Deltas:
    return {"toolUse": {"toolUseId": call_id, "name": name}}, [{"toolUse": {"input": piece}} for piece in pieces]


PRELUDE_AND_NAME_LENGTH_BYTES = 13
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer"}}}')
SAMPLES = {
    "text": Sample(
        content=[{"text": "Grüße, 世界 🙂"}],
        blocks=[(None, [{"text": "Grü"}, {"text": "ße, 世"}, {"text": "界 🙂"}, {"text": ""}])],
        stop={"stopReason": "end_turn"},
        usage=usage(),
        answer=Answer(
            parts=(Text(text="Grüße, 世界 🙂"),), finish_reason="stop", tokens=TokenCounts(input=12, output=34)
        ),
    ),
    "cached": Sample(
        content=[{"text": "Yes"}],
        blocks=[(None, [{"text": "Yes"}])],
        stop={"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}},
        usage=usage(
            cacheReadInputTokens=1000,
            cacheWriteInputTokens=300,
            cacheDetails=[{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}],
        ),
        answer=Answer(
            parts=(Text(text="Yes"),),
            finish_reason="stop_sequence",
            stop_sequence="END",
            tokens=TokenCounts(input=1312, cached_input=1000, cache_write=300, cache_write_1h=200, output=34),
        ),
    ),
    "parallel calls": Sample(
        content=[
            {"text": "Let me look."},
            _tool("t1", "weather", {"city": "Köln"}),
            _tool("t2", "now", {}),
            _tool("t3", "weather", {"city": "Bonn"}),
        ],
        blocks=[
            (None, [{"text": "Let me "}, {"text": "look."}]),
            _tool_deltas("t1", "weather", ["", '{"city"', ':"Kö', 'ln"}']),
            _tool_deltas("t2", "now", []),
            _tool_deltas("t3", "weather", ['{"city":"Bonn"}']),
        ],
        stop={"stopReason": "tool_use"},
        usage=usage(),
        answer=Answer(
            parts=(
                Text(text="Let me look."),
                ToolCall(call_id="t1", name="weather", arguments='{"city":"Köln"}'),
                ToolCall(call_id="t2", name="now", arguments="{}"),
                ToolCall(call_id="t3", name="weather", arguments='{"city":"Bonn"}'),
            ),
            finish_reason="tool_calls",
            tokens=TokenCounts(input=12, output=34),
        ),
    ),
    "thinking": Sample(
        content=[
            {"reasoningContent": {"reasoningText": {"text": "Hm, so", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "AAECAw=="}},
            {"reasoningContent": {"reasoningText": {"text": "", "signature": "b21pdHRlZA=="}}},
            {"text": "42"},
        ],
        blocks=[
            (
                None,
                [
                    {"reasoningContent": {"text": "Hm,"}},
                    {"reasoningContent": {"text": " so"}},
                    {"reasoningContent": {"signature": "c2"}},
                    {"reasoningContent": {"signature": "ln"}},
                ],
            ),
            (None, [{"reasoningContent": {"redactedContent": "AAECAw=="}}]),
            (None, [{"reasoningContent": {"signature": "b21pdHRlZA=="}}]),
            (None, [{"text": "42"}]),
        ],
        stop={"stopReason": "max_tokens"},
        usage=usage(),
        answer=Answer(
            parts=(
                Thinking(text="Hm, so", signature="c2ln", made_by="bedrock"),
                Thinking(encrypted="AAECAw==", made_by="bedrock"),
                Thinking(signature="b21pdHRlZA==", made_by="bedrock"),
                Text(text="42"),
            ),
            finish_reason="length",
            tokens=TokenCounts(input=12, output=34),
        ),
    ),
    "json by a forced tool": Sample(
        content=[{"text": "Here:"}, _tool("t1", "answer", {"n": 7}), _tool("t2", "answer", {"n": 8})],
        blocks=[
            (None, [{"text": "Here:"}]),
            _tool_deltas("t1", "answer", ['{"n"', ":7}"]),
            _tool_deltas("t2", "answer", ['{"n":8}']),
        ],
        stop={"stopReason": "tool_use"},
        usage=usage(),
        answer=Answer(parts=(Text(text='{"n":7}'),), finish_reason="stop", tokens=TokenCounts(input=12, output=34)),
        request=chat(response_format=JsonFormat(schema=SCHEMA)),
    ),
    "nothing": Sample(
        content=[],
        blocks=[],
        stop={"stopReason": "content_filtered"},
        usage=usage(outputTokens=0),
        answer=Answer(parts=(), finish_reason="content_filter", tokens=TokenCounts(input=12)),
    ),
}


@cache
def streamed(name: str) -> bytes:
    return SAMPLES[name].streamed()


def read(sample: Sample, pieces: list[bytes]) -> tuple[list[Event], BedrockStream]:
    stream = WIRE.open_events(sample.call())
    events = [event for piece in pieces for event in stream.feed(piece)]
    events += stream.finish()
    return events, stream


def assert_is_the_answer(sample: Sample, pieces: list[bytes]) -> None:
    events, stream = read(sample, pieces)
    assert (stream.failure, stream.complete, stream.ended) == (None, True, True)
    assert isinstance(events[0], Started)
    assert sum(isinstance(event, Started) for event in events) == 1
    assert collect(events, stream.tokens) == sample.answer


@pytest.mark.parametrize("name", SAMPLES)
def test_whole(name: str) -> None:
    sample = SAMPLES[name]
    answer = whole_answer(sample.whole(), sample.call())
    assert answer.vendor_request_id == "id-1"
    assert replace(answer, vendor_request_id=None) == sample.answer


@pytest.mark.parametrize("name", SAMPLES)
def test_streamed_at_every_byte_split(name: str) -> None:
    data = streamed(name)
    for place in range(len(data) + 1):
        assert_is_the_answer(SAMPLES[name], [data[:place], data[place:]])
    assert_is_the_answer(SAMPLES[name], [data[at : at + 1] for at in range(len(data))])


@given(name=st.sampled_from(sorted(SAMPLES)), places=st.lists(st.integers(0, 5000), max_size=8))
def test_streamed_in_many_pieces(name: str, places: list[int]) -> None:
    data = streamed(name)
    bounds = [0, *sorted(place % len(data) for place in places), len(data)]
    assert_is_the_answer(SAMPLES[name], [data[start:end] for start, end in pairwise(bounds)])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_truncated_stream_is_never_a_whole_answer(name: str) -> None:
    """Only the usage may be missing, when the cut falls exactly before it."""
    sample, data = SAMPLES[name], streamed(name)
    ends = [match.start() for match in re.finditer(rb":event-type\x07\x00\x08metadata", data)]
    assert len(ends) == 1
    before_usage = ends[0] - PRELUDE_AND_NAME_LENGTH_BYTES
    for end in range(len(data)):
        events, stream = read(sample, [data[:end]])
        if end == before_usage:
            assert (stream.complete, stream.failure, stream.tokens) == (True, None, None)
            assert collect(events).parts == sample.answer.parts
        else:
            assert not stream.complete
            assert stream.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)
            assert stream.tokens is None


@given(
    name=st.sampled_from(sorted(SAMPLES)),
    place=st.integers(0, 5000),
    bit=st.integers(0, 7),
    places=st.lists(st.integers(0, 5000), max_size=3),
)
def test_a_corrupt_stream_is_an_error_and_what_came_is_a_beginning_of_the_answer(
    name: str, place: int, bit: int, places: list[int]
) -> None:
    data = bytearray(streamed(name))
    data[place % len(data)] ^= 1 << bit
    bounds = [0, *sorted(at % len(data) for at in places), len(data)]
    events, stream = read(SAMPLES[name], [bytes(data[start:end]) for start, end in pairwise(bounds)])
    assert stream.failure == Failure(kind=FailureKind.VENDOR_GARBLED)
    assert not stream.complete
    right, _ = read(SAMPLES[name], [streamed(name)])
    assert events == right[: len(events)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_finish_reasons(said: str, meant: FinishReason) -> None:
    body = whole_body([{"text": "x"}], {"stopReason": said}, usage())
    assert whole_answer(body).finish_reason == meant
    stream = WIRE.open_events(call())
    events = stream.feed(stream_bytes(stream_events([(None, [{"text": "x"}])], {"stopReason": said}, usage())))
    assert collect(events).finish_reason == meant
    assert stream.finish_reason == said


@pytest.mark.parametrize("said", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_vendor_calls_malformed_is_none(said: str) -> None:
    stop = {"stopReason": said}
    body = whole_body([{"text": "x"}], stop, usage())
    assert WIRE.read_answer(call(), 200, {}, body) == Failure(kind=FailureKind.VENDOR_GARBLED)
    stream = WIRE.open_events(call())
    stream.feed(stream_bytes(stream_events([(None, [{"text": "x"}])], stop, usage())))
    assert (stream.complete, stream.failure) == (False, Failure(kind=FailureKind.VENDOR_GARBLED))
    assert stream.tokens == TokenCounts(input=12, output=34)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"message":"x"}', b'{"output":{},"stopReason":"end_turn"}', b"<html>", b"[" * 100_000],
)
def test_a_body_that_is_no_answer(body: bytes) -> None:
    assert WIRE.read_answer(call(), 200, {}, body) == Failure(kind=FailureKind.VENDOR_GARBLED)


def test_usage_that_cannot_be_read_does_not_spoil_the_answer() -> None:
    answer = b'{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn"'
    body = answer + b',"usage":{"inputTokens":-1,"outputTokens":1}}'
    assert whole_answer(body).tokens is None


def test_cited_text_is_text_and_unknown_blocks_are_passed_over() -> None:
    cited = {"citationsContent": {"content": [{"text": "Rain"}], "citations": [{"title": "a"}]}}
    body = whole_body([{"text": "So: "}, cited], {"stopReason": "end_turn"}, usage())
    assert whole_answer(body).parts == (Text(text="So: Rain"),)
    stream = WIRE.open_events(call())
    blocks: list[Deltas] = [(None, [{"text": "Rain"}, {"citation": {"title": "a"}}])]
    events = stream.feed(stream_bytes(stream_events(blocks, {"stopReason": "end_turn"}, usage())))
    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta(text="Rain")]
    assert stream.complete


def test_half_of_a_surrogate_pair_does_not_end_the_answer() -> None:
    body = rb'{"output":{"message":{"content":[{"text":"a\ud83d"}]}},"stopReason":"end_turn"}'
    assert whole_answer(body).parts == (Text(text="a�"),)


START = event("messageStart", {"role": "assistant"})
TEXT = event("contentBlockDelta", {"delta": {"text": "x"}, "contentBlockIndex": 0})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", FailureKind.VENDOR_RATE_LIMITED),
        ("modelStreamErrorException", FailureKind.VENDOR_ERROR),
        ("internalServerException", FailureKind.VENDOR_ERROR),
        ("serviceUnavailableException", FailureKind.VENDOR_ERROR),
        ("somethingNewException", FailureKind.VENDOR_ERROR),
        ("validationException", FailureKind.VENDOR_REFUSED_REQUEST),
    ],
)
def test_exceptions_in_the_stream(name: str, kind: FailureKind) -> None:
    stream = WIRE.open_events(call())
    assert stream.feed(START + exception(name, "Input is too long")) == []
    assert stream.failure is not None
    assert stream.failure.kind is kind
    assert (stream.failure.message == "Input is too long") == (kind is FailureKind.VENDOR_REFUSED_REQUEST)
    assert (stream.ended, stream.complete) == (True, False)
    assert stream.feed(TEXT) == []
    later = WIRE.open_events(call())
    assert later.feed(START + TEXT + exception(name, "x") + TEXT) == [Started(), TextDelta(text="x")]
    assert later.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)


def test_an_error_frame() -> None:
    stream = WIRE.open_events(call())
    headers = {
        ":message-type": string("error"),
        ":error-code": string("ThrottlingException"),
        ":error-message": string("Slow down"),
    }
    stream.feed(frame(headers, b""))
    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.VENDOR_RATE_LIMITED


@pytest.mark.parametrize(
    "data",
    [
        b'{"message":"no stream at all"}',
        frame({":event-type": string("contentBlockDelta")}, b"{}"),
        frame({":message-type": string("event"), ":event-type": string("contentBlockDelta")}, b"{"),
        event("contentBlockDelta", {"delta": {"text": 7}, "contentBlockIndex": 0}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 3}),
        event("messageStop", {}),
    ],
)
def test_what_is_no_converse_stream(data: bytes) -> None:
    stream = WIRE.open_events(call())
    assert stream.feed(data) == []
    assert stream.failure == Failure(kind=FailureKind.VENDOR_GARBLED)
    assert stream.finish() == []


def test_events_that_are_not_known_are_passed_over() -> None:
    stream = WIRE.open_events(call())
    stream.feed(event("initial-response", {}) + START + event("brandNew", {"a": 1}) + TEXT)
    stream.feed(event("contentBlockStop", {"contentBlockIndex": 0}) + event("messageStop", {"stopReason": "new_one"}))
    assert not stream.ended
    stream.finish()
    assert (stream.complete, stream.chunks, stream.output_bytes) == (True, 1, 1)


def test_a_thought_is_ended_by_the_message_if_by_nothing_else() -> None:
    stream = WIRE.open_events(call())
    thought = {"reasoningContent": {"text": "Hm", "signature": "c2ln"}}
    data = event("contentBlockDelta", {"delta": thought, "contentBlockIndex": 0})
    events = stream.feed(START + data + event("messageStop", {"stopReason": "end_turn"}))
    assert not any(isinstance(each, Finished) for each in events), "the figures are missing, and may never come"
    events += stream.finish()
    assert collect(events).parts == (Thinking(text="Hm", signature="c2ln", made_by="bedrock"),)


def test_nothing_is_given_before_there_is_something_of_the_answer() -> None:
    stream = WIRE.open_events(call())
    empty = event("contentBlockDelta", {"delta": {"text": ""}, "contentBlockIndex": 0})
    assert stream.feed(START + empty + event("contentBlockStop", {"contentBlockIndex": 0})) == []
    assert stream.feed(TEXT) == [Started(), TextDelta(text="x")]
