"""Answers as OpenAI's Responses API has them: the order of a stream's events, and that its end is the whole answer."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from router_worker.canonical.answer import (
    Answer,
    Event,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.canonical.request import ChatRequest
from router_worker.surfaces.openai_responses.responses import OpenAiResponses
from router_worker.surfaces.surface import Reading
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import call

SURFACE = OpenAiResponses()
TOKENS = TokenCounts(input=20, cached_input=5, cache_write=2, output=9, reasoning=4)
BODY = {
    "model": "cat-1",
    "input": "hi",
    "instructions": "be brief",
    "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "function", "name": "look"},
    "metadata": {"a": "b"},
    "temperature": 0.5,
    "text": {"format": {"type": "json_object"}, "verbosity": None},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 50,
    "user": None,
}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
EVERYTHING: list[Event] = [
    Started(),
    ThinkingDelta(text="h"),
    ThinkingDelta(text="m"),
    ThinkingDelta(signature="sig", made_by="anthropic"),
    TextDelta(text="I "),
    TextDelta(text="look."),
    ToolCallStarted(index=0, call_id="c1", name="look"),
    ToolCallStarted(index=1, call_id="c2", name="go", signature="g"),
    ToolCallDelta(index=1, arguments='{"b"'),
    ToolCallDelta(index=0, arguments='{"a":1}'),
    ToolCallDelta(index=1, arguments=":2}"),
    Finished(reason="tool_calls"),
]


def given_call(**changes: Any) -> VendorCall:
    return call(json.dumps(BODY | changes).encode(), answer_id="a1", now_ms=1_700_000_000_900)


def stream(events: Sequence[Event], tokens: TokenCounts | None = TOKENS) -> bytes:
    writer = SURFACE.open_writer(given_call())
    return b"".join([*(writer.write([event]) for event in events), writer.finish(tokens)])


def parse(data: bytes) -> list[dict[str, Any]]:
    events = []
    for block in data.decode().removesuffix("\n\n").split("\n\n"):
        name, payload = block.split("\n")
        event = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_python(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def whole(answer: Answer) -> dict[str, Any]:
    body = SURFACE.write_answer(answer, given_call())
    Response.model_validate_json(body)
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_text_comes_in_the_documented_order() -> None:
    events = parse(stream([Started(), TextDelta(text="he"), TextDelta(text="y"), Finished(reason="stop")]))
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["output"] == []
    assert events[0]["response"]["usage"] is None
    assert [event["delta"] for event in events[4:6]] == ["he", "y"]
    assert events[6]["text"] == "hey"


def test_thoughts_and_parallel_calls_come_in_the_documented_order() -> None:
    events = parse(stream(EVERYTHING))
    assert [(event["type"].removeprefix("response."), event.get("output_index")) for event in events[2:]] == [
        ("output_item.added", 0),
        ("reasoning_summary_part.added", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.done", 0),
        ("reasoning_summary_part.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1),
        ("output_text.delta", 1),
        ("output_text.done", 1),
        ("content_part.done", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("output_item.added", 3),
        ("output_item.done", 3),
        ("output_item.added", 4),
        ("function_call_arguments.delta", 4),
        ("function_call_arguments.delta", 2),
        ("function_call_arguments.delta", 4),
        ("function_call_arguments.done", 2),
        ("output_item.done", 2),
        ("function_call_arguments.done", 4),
        ("output_item.done", 4),
        ("completed", None),
    ]
    items = events[-1]["response"]["output"]
    assert [(item["type"], item["id"], item["status"]) for item in items] == [
        ("reasoning", "rs_a1_0", "completed"),
        ("message", "msg_a1_1", "completed"),
        ("function_call", "fc_a1_2", "completed"),
        ("reasoning", "rs_a1_3", "completed"),
        ("function_call", "fc_a1_4", "completed"),
    ]
    assert items[0]["encrypted_content"] == "tollhouse.anthropic.signature.sig"
    assert (items[2]["arguments"], items[4]["arguments"]) == ('{"a":1}', '{"b":2}')


def test_what_was_answered_can_be_sent_back() -> None:
    output = parse(stream(EVERYTHING))[-1]["response"]["output"]
    found = SURFACE.read(json.dumps({"input": output}).encode(), streaming=False)
    assert isinstance(found, Reading)
    request = found.canonical()
    assert isinstance(request, ChatRequest)
    assert request.messages[0].parts == collect(EVERYTHING).parts


@pytest.mark.parametrize(
    ("thought", "sent"),
    [
        (ThinkingDelta(encrypted="blob", made_by="openai"), "blob"),
        (ThinkingDelta(encrypted="blob", made_by="anthropic"), "tollhouse.anthropic.encrypted.blob"),
        (ThinkingDelta(text="x", signature="s.t", made_by="gemini"), "tollhouse.gemini.signature.s.t"),
        (ThinkingDelta(text="x"), None),
    ],
)
def test_what_vendors_want_back_of_their_thoughts_is_marked(thought: ThinkingDelta, sent: str | None) -> None:
    events: list[Event] = [thought, TextDelta(text="x"), Finished(reason="stop")]
    output = whole(collect(events))["output"]
    assert output[0]["encrypted_content"] == sent
    found = SURFACE.read(json.dumps({"input": output}).encode(), streaming=False)
    request = found.canonical() if isinstance(found, Reading) else found
    assert isinstance(request, ChatRequest)
    assert request.messages[0].parts == collect(events).parts


def test_the_answer_repeats_what_was_asked_and_counts_tokens() -> None:
    found = whole(Answer(parts=(), finish_reason="stop", tokens=TOKENS))
    expected = {
        "id": "resp_a1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "cat-1",
        "status": "completed",
        "incomplete_details": None,
        "error": None,
        "store": False,
        "previous_response_id": None,
        "instructions": "be brief",
        "tools": BODY["tools"],
        "tool_choice": BODY["tool_choice"],
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "top_p": 1.0,
        "parallel_tool_calls": True,
        "truncation": "disabled",
        "max_output_tokens": 50,
        "user": None,
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low", "summary": None},
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 29,
        },
    }
    assert {name: found[name] for name in expected} == expected


def test_a_body_of_many_lines_does_not_break_the_events() -> None:
    asked = call(json.dumps(BODY, indent=2).replace("\n", "\r\n").encode(), answer_id="a1")
    writer = SURFACE.open_writer(asked)
    events = parse(writer.write([TextDelta(text="x"), Finished(reason="stop")]) + writer.finish(TOKENS))
    assert events[-1]["response"]["tools"] == BODY["tools"]


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_calls", "completed", None),
        ("pause", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_how_it_ended(reason: Any, status: str, why: str | None) -> None:
    events = parse(stream([ThinkingDelta(text="hm"), TextDelta(text="x"), Finished(reason=reason)]))
    response = events[-1]["response"]
    assert events[-1]["type"] == f"response.{status}"
    assert (response["status"], (response["incomplete_details"] or {}).get("reason")) == (status, why)
    assert [item["status"] for item in response["output"]] == ["completed", status]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = parse(stream([ToolCallStarted(index=0, call_id="c", name="go"), Finished(reason="tool_calls")]))
    deltas = [event["delta"] for event in events if event["type"].endswith("arguments.delta")]
    assert deltas == ["{}"]
    assert events[-1]["response"]["output"][0]["arguments"] == "{}"


_TEXTS = st.sampled_from(["", "a", "é", "\n", '"', " "])
_EVENTS = st.one_of(
    st.builds(TextDelta, text=_TEXTS),
    st.builds(
        ThinkingDelta,
        text=_TEXTS,
        signature=st.none() | st.just("s"),
        made_by=st.sampled_from(["anthropic", "gemini"]),
    ),
    st.builds(ThinkingDelta, encrypted=st.just("e"), made_by=st.just("anthropic")),
    st.builds(ToolCallDelta, index=st.integers(0, 2), arguments=_TEXTS),
)
_REASONS = st.sampled_from(["stop", "length", "tool_calls"])


@given(begun=st.lists(st.integers(0, 12), max_size=3), middle=st.lists(_EVENTS, max_size=12), reason=_REASONS)
def test_a_stream_ends_as_the_whole_answer(begun: list[int], middle: list[Event], reason: Any) -> None:
    events: list[Event] = list(middle)
    for index, place in enumerate(sorted(begun)):
        started = ToolCallStarted(index=index, call_id=f"c{index}", name="go", signature="g" if index == 1 else None)
        events.insert(min(place + index, len(events)), started)
    seen = -1
    kept: list[Event] = []
    for event in events:
        if isinstance(event, ToolCallStarted):
            seen = event.index
        if not isinstance(event, ToolCallDelta) or event.index <= seen:
            kept.append(event)
    kept.append(Finished(reason=reason))
    streamed = parse(stream(kept))
    assert streamed[-1]["response"] == whole(collect(kept, TOKENS))
    for item in streamed[-1]["response"]["output"]:
        if item["type"] == "message":
            assert len(item["content"]) == 1


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


def test_openais_client_puts_the_stream_together() -> None:
    data = stream(EVERYTHING)
    handler = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(data))
    )
    client = openai.OpenAI(
        base_url="http://gateway.invalid/v1", api_key="k", http_client=httpx2.Client(transport=handler), max_retries=0
    )
    with client.responses.stream(model="cat-1", input="hi") as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert "response.output_text.delta" in kinds
    assert final.output_text == "I look."
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(item.call_id, item.arguments) for item in calls] == [("c1", '{"a":1}'), ("c2", '{"b":2}')]
    assert final.usage is not None
    assert final.usage.total_tokens == 29
