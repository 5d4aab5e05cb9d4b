"""Canonical answers as a client of OpenAI's chat completions gets them, read by the official client's own types."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import ContentFilterFinishReasonError, LengthFinishReasonError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

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
from router_worker.canonical.request import Text
from router_worker.surfaces.openai_chat.chat import OpenAiChat
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import call, payloads

TOKENS = TokenCounts(input=100, cached_input=80, cache_write=5, output=30, reasoning=20)
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
EVENTS: list[Event] = [
    Started(tokens=TokenCounts(input=100)),
    ThinkingDelta(text="h"),
    ThinkingDelta(text="mm"),
    ThinkingDelta(signature="sig", made_by="anthropic"),
    ThinkingDelta(encrypted="xyz", made_by="anthropic"),
    TextDelta(text="Let me "),
    TextDelta(text="see."),
    ToolCallStarted(index=0, call_id="a", name="add"),
    ToolCallDelta(index=0, arguments='{"a"'),
    ToolCallStarted(index=1, call_id="b", name="now", signature="gemini-sig"),
    ToolCallDelta(index=0, arguments=":1}"),
    Finished(reason="tool_calls"),
]
DETAILS = [
    {"index": 0, "type": "reasoning.text", "text": "hmm", "signature": "sig", "format": "anthropic"},
    {"index": 1, "type": "reasoning.encrypted", "data": "xyz", "format": "anthropic"},
]


def given_call(*, wants_usage: bool = False) -> VendorCall:
    return call(streaming=True, answer_id="r_1", now_ms=1_700_000_000_999, client_wants_usage=wants_usage)


def streamed(events: list[Event], *, wants_usage: bool = False, one_by_one: bool = False) -> list[Any]:
    writer = OpenAiChat().open_writer(given_call(wants_usage=wants_usage))
    groups = [[event] for event in events] if one_by_one else [events]
    out = b"".join(writer.write(group) for group in groups)
    return payloads(out + writer.finish(TOKENS))


def assembled(chunks: list[Any]) -> dict[str, Any]:
    """What the official client makes of the chunks."""
    assert chunks[-1] == "[DONE]"
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks[:-1]:
        with suppress(LengthFinishReasonError, ContentFilterFinishReasonError):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk, strict=True))
    return state.current_completion_snapshot.model_dump()


def plain(events: list[Event]) -> dict[str, Any]:
    body = OpenAiChat().write_answer(collect(events, TOKENS), given_call())
    read: dict[str, Any] = orjson.loads(body)
    ChatCompletion.model_validate(read, strict=True)
    return read


def test_a_whole_answer() -> None:
    assert plain(EVENTS) == {
        "id": "chatcmpl-r_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "cat-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "refusal": None,
                    "reasoning_content": "hmm",
                    "reasoning_details": DETAILS,
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
                        {
                            "id": "b",
                            "type": "function",
                            "function": {"name": "now", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "gemini-sig"}},
                        },
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": USAGE,
    }


def test_the_chunks_of_a_stream() -> None:
    chunks = streamed(EVENTS)
    assert chunks.pop() == "[DONE]"
    head = {"id": "chatcmpl-r_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "cat-1"}
    assert all({name: chunk[name] for name in head} == head and "usage" not in chunk for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["tool_calls"]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "h"},
        {"reasoning_content": "mm"},
        {"reasoning_details": DETAILS[:1]},
        {"reasoning_details": DETAILS[1:]},
        {"content": "Let me "},
        {"content": "see."},
        {
            "tool_calls": [
                {"index": 0, "id": "a", "type": "function", "function": {"name": "add", "arguments": ""}},
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "b",
                    "type": "function",
                    "function": {"name": "now", "arguments": ""},
                    "extra_content": {"google": {"thought_signature": "gemini-sig"}},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_events_come_one_by_one_or_at_once() -> None:
    assert streamed(EVENTS, one_by_one=True) == streamed(EVENTS)


def test_usage_goes_to_who_asked_for_it_in_a_chunk_of_its_own() -> None:
    *chunks, usage, done = streamed(EVENTS, wants_usage=True)
    assert done == "[DONE]"
    assert (usage["choices"], usage["usage"]) == ([], USAGE)
    assert all(chunk["usage"] is None for chunk in chunks)


def test_the_official_client_reads_a_stream_as_it_reads_a_whole_answer() -> None:
    whole = ChatCompletion.model_validate(plain(EVENTS)).model_dump()
    in_pieces = assembled(streamed(EVENTS, wants_usage=True))
    message, of_stream = whole["choices"][0]["message"], in_pieces["choices"][0]["message"]
    assert of_stream["content"] == message["content"]
    assert of_stream["reasoning_content"] == message["reasoning_content"]
    assert of_stream["reasoning_details"] == message["reasoning_details"]
    assert [one["function"]["arguments"] for one in of_stream["tool_calls"]] == ['{"a":1}', "{}"]
    assert [one["id"] for one in of_stream["tool_calls"]] == ["a", "b"]
    assert in_pieces["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert in_pieces["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
    ],
)
def test_why_it_ended(reason: FinishReason, word: str) -> None:
    events: list[Event] = [TextDelta(text="a"), Finished(reason=reason)]
    assert plain(events)["choices"][0]["finish_reason"] == word
    assert assembled(streamed(events))["choices"][0]["finish_reason"] == word


def test_an_answer_of_nothing() -> None:
    events: list[Event] = [Finished(reason="length")]
    assert plain(events)["choices"][0]["message"]["content"] == ""
    assert assembled(streamed(events))["choices"][0]["message"]["content"] == ""
    without_tokens = Answer(parts=(Text(text="a"),), finish_reason="stop")
    assert "usage" not in orjson.loads(OpenAiChat().write_answer(without_tokens, given_call()))


@given(st.lists(st.text(max_size=10), max_size=6))
def test_whatever_text_is_generated_arrives(texts: list[str]) -> None:
    events: list[Event] = [*(TextDelta(text=text) for text in texts), Finished(reason="stop")]
    assert plain(events)["choices"][0]["message"]["content"] == "".join(texts)
    assert assembled(streamed(events))["choices"][0]["message"]["content"] == "".join(texts)
