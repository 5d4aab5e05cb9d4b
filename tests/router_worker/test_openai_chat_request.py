"""All of a chat request in canonical form: what is read, what is refused under which name, what is dropped."""

from typing import Any

import msgspec
import orjson
import pytest

from router_worker.canonical.answer import (
    Event,
    Finished,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    JsonFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
    UserMessage,
)
from router_worker.surfaces.openai_chat.chat import OpenAiChat
from router_worker.surfaces.surface import Reading
from router_worker.vendors.gateway_fields import GATEWAY_FIELDS
from schemas.failures import Failure
from tests.router_worker.openai_samples import call

HI = {"role": "user", "content": "hi"}
FUNCTION = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}, "strict": True}
TOOL = {"type": "function", "function": FUNCTION}
ADD = Tool(name="add", description="Adds.", parameters=msgspec.Raw(b'{"type":"object"}'), strict=True)


def result(**fields: Any) -> ChatRequest | Failure:
    reading = OpenAiChat().read(orjson.dumps({"model": "m", "messages": [HI], **fields}))
    assert isinstance(reading, Reading), reading
    request = reading.canonical()
    assert isinstance(request, ChatRequest | Failure)
    return request


def read(**fields: Any) -> ChatRequest:
    request = result(**fields)
    assert isinstance(request, ChatRequest), request
    return request


def call_of(call_id: str, arguments: str = "{}", name: str = "add") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user_parts(*parts: dict[str, Any]) -> tuple[Any, ...]:
    (message,) = read(messages=[{"role": "user", "content": list(parts)}]).messages
    return message.parts


def test_the_least_request() -> None:
    assert read() == ChatRequest(messages=(UserMessage(parts=(Text(text="hi"),)),))


def test_a_conversation() -> None:
    request = read(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            HI,
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [call_of("a", '{"a":1}'), call_of("b", "", "now")],
            },
            {"role": "tool", "tool_call_id": "b", "content": "noon", "name": "now"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "2"}]},
            {"role": "user", "content": "thanks"},
            {"role": "system", "content": "Be brief still."},
            {"role": "assistant", "content": [{"type": "text", "text": "A"}, {"type": "refusal", "refusal": "B"}]},
            {"role": "assistant", "content": "C", "refusal": "D"},
        ]
    )
    assert request.system == (Text(text="Be brief."), Text(text="Be kind."), Text(text="Be brief still."))
    assert request.messages == (
        UserMessage(parts=(Text(text="hi"),)),
        AssistantMessage(
            parts=(
                Thinking(text="hm"),
                ToolCall(call_id="a", name="add", arguments='{"a":1}'),
                ToolCall(call_id="b", name="now", arguments="{}"),
            )
        ),
        UserMessage(
            parts=(
                ToolResult(call_id="b", name="now", parts=(Text(text="noon"),)),
                ToolResult(call_id="a", name="add", parts=(Text(text="2"),)),
                Text(text="thanks"),
            )
        ),
        AssistantMessage(parts=(Text(text="A"), Text(text="B"))),
        AssistantMessage(parts=(Text(text="C"), Text(text="D"))),
    )
    assert request.dropped == ()


def test_results_at_the_end_and_before_an_assistant_are_a_users_message() -> None:
    turn = {"role": "assistant", "tool_calls": [call_of("a")]}
    answer = {"role": "tool", "tool_call_id": "a", "content": ""}
    messages = read(messages=[HI, turn, answer, turn, answer]).messages
    empty = UserMessage(parts=(ToolResult(call_id="a", name="add", parts=()),))
    assert (messages[2], messages[4]) == (empty, empty)


def test_functions_of_old() -> None:
    request = read(
        functions=[FUNCTION],
        function_call={"name": "add"},
        messages=[
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a":1}'}},
            {"role": "function", "name": "add", "content": "2"},
        ],
    )
    assert (request.tools, request.tool_choice) == ((ADD,), ToolChoice(mode="tool", name="add"))
    called, found = request.messages[1].parts[0], request.messages[2].parts[0]
    assert isinstance(called, ToolCall)
    assert found == ToolResult(call_id=called.call_id, name="add", parts=(Text(text="2"),))


PNG = Inline(media_type="image/png", data="aGk=")


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text(text="a", cache="5m")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="a", cache="1h"),
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, Image(source=PNG)),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}},
            Image(source=Url(url="https://x/y.png"), detail="high"),
        ),
        ({"type": "image_url", "image_url": "http://x/y.png"}, Image(source=Url(url="http://x/y.png"))),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            Document(source=Inline(media_type="application/pdf", data="aGk="), name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "https://x/a.pdf", "format": "application/pdf"}},
            Document(source=Url(url="https://x/a.pdf", media_type="application/pdf")),
        ),
    ],
)
def test_parts(part: dict[str, Any], read_as: Any) -> None:
    assert user_parts(part) == (read_as,)


def test_cache_control_of_a_message_is_that_of_its_last_part() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    request = read(
        messages=[
            {"role": "system", "content": "s", **cached},
            {"role": "user", "content": "u", **cached},
            {"role": "assistant", "tool_calls": [call_of("a")], **cached},
            {"role": "tool", "tool_call_id": "a", "content": "2", **cached},
        ],
        tools=[TOOL | cached],
    )
    assert request.system == (Text(text="s", cache="5m"),)
    assert [message.parts[-1].cache for message in request.messages if not isinstance(message.parts[-1], Thinking)] == [
        "5m"
    ] * 3
    assert request.tools[0].cache == "5m"


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"stream": True}, "streaming", True),
        ({"tools": [TOOL]}, "tools", (ADD,)),
        (
            {"tools": [{"type": "function", "function": {"name": "now", "parameters": None}}]},
            "tools",
            (Tool(name="now"),),
        ),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice", ToolChoice(mode="auto")),
        ({"tools": [TOOL], "tool_choice": "none"}, "tool_choice", ToolChoice(mode="none")),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice", ToolChoice(mode="required")),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}},
            "tool_choice",
            ToolChoice(mode="tool", name="add"),
        ),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"max_tokens": 9, "max_completion_tokens": 4}, "max_output_tokens", 4),
        ({"temperature": 0}, "temperature", 0.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"top_k": 4}, "top_k", 4),
        ({"stop": "x"}, "stop", ("x",)),
        ({"stop": ["x", "y"]}, "stop", ("x", "y")),
        ({"seed": 5}, "seed", 5),
        ({"presence_penalty": 1}, "presence_penalty", 1.0),
        ({"frequency_penalty": -1}, "frequency_penalty", -1.0),
        ({"response_format": {"type": "text"}}, "response_format", None),
        ({"response_format": {"type": "json_object"}}, "response_format", JsonFormat()),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True, "description": "d"},
                }
            },
            "response_format",
            JsonFormat(schema=msgspec.Raw(b'{"type":"object"}'), name="s", strict=True, description="d"),
        ),
        ({"reasoning_effort": "high"}, "reasoning", Reasoning(effort="high")),
        ({"reasoning": {"effort": "low", "exclude": True}}, "reasoning", Reasoning(effort="low", visible=False)),
        ({"reasoning": {"max_tokens": 2000}}, "reasoning", Reasoning(budget_tokens=2000)),
        ({"reasoning": {"enabled": True, "max_tokens": 2000}}, "reasoning", Reasoning(budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, "reasoning", Reasoning(effort="medium")),
        ({"reasoning": {"enabled": False}}, "reasoning", Reasoning(budget_tokens=0)),
        ({"thinking": {"type": "enabled", "budget_tokens": 99}}, "reasoning", Reasoning(budget_tokens=99)),
        ({"thinking": {"type": "disabled"}}, "reasoning", Reasoning(budget_tokens=0)),
        ({"thinking": {"type": "adaptive"}}, "reasoning", Reasoning(effort="medium")),
        ({"include_reasoning": False}, "reasoning", Reasoning(visible=False)),
        ({"n": 1, "logprobs": False, "logit_bias": {}, "modalities": ["text"]}, "dropped", ()),
        ({"store": False, "verbosity": None, "audio": None, "nobody_knows": None}, "dropped", ()),
        ({"user": "u", "store": True, "verbosity": "low"}, "dropped", ("store", "user", "verbosity")),
        (dict.fromkeys(set(GATEWAY_FIELDS) - {"zero_data_retention"}, "x"), "dropped", ()),
    ],
)
def test_fields(fields: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(read(**fields), name) == value


@pytest.mark.parametrize("name", ["x\r\nEvil: 1", "ä", "", "n" * 65])
def test_a_field_with_an_odd_name_does_not_get_into_a_header(name: str) -> None:
    request = read(messages=[{"role": "user", "content": "hi", name: 1}])
    assert request.dropped == ("messages[].*",)


def test_what_a_client_sends_back_of_an_answer_is_dropped_and_named() -> None:
    sent_back = {"role": "assistant", "content": "a", "annotations": [{"x": 1}], "audio": None, "function_call": None}
    request = read(messages=[HI | {"name": "bob"}, sent_back, {"role": "assistant", "content": "b", "annotations": []}])
    assert request.dropped == ("messages[].annotations", "messages[].name")


def test_thoughts_and_signatures_come_back_as_they_went_out() -> None:
    events: list[Event] = [
        ThinkingDelta(text="hmm", signature="sig", made_by="anthropic"),
        ThinkingDelta(encrypted="xyz", made_by="openai"),
        TextDelta(text="Let me see."),
        ToolCallStarted(index=0, call_id="a", name="add", signature="g"),
        ToolCallDelta(index=0, arguments='{"a":1}'),
        Finished(reason="tool_calls"),
    ]
    answer = collect(events)
    completion = orjson.loads(OpenAiChat().write_answer(answer, call()))
    request = read(messages=[HI, completion["choices"][0]["message"]])
    assert request.messages[1] == AssistantMessage(parts=answer.parts)
    assert request.dropped == ()


def test_reasoning_as_openrouter_writes_it() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1"},
        {"type": "reasoning.text", "text": "t", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1"},
    ]
    request = read(messages=[HI, {"role": "assistant", "content": "", "reasoning": "t", "reasoning_details": details}])
    assert request.messages[1].parts == (
        Thinking(text="t", signature="sig", made_by="anthropic"),
        Thinking(encrypted="d", made_by="gemini"),
    )
