"""Canonical requests as OpenAI-like vendors get them, with each vendor's ways."""

import base64
from typing import Any

import msgspec
import orjson
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    JsonFormat,
    Message,
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
from router_worker.vendors.openai.wire import OpenAiWire
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from tests.router_worker.openai_samples import call

HELLO = (UserMessage(parts=(Text(text="hi"),)),)
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"integer"}}}')
TOOLS = (Tool(name="add", description="Adds.", parameters=SCHEMA, strict=True), Tool(name="now"))
PNG = Inline(media_type="image/png", data="aGk=")
PDF = Inline(media_type="application/pdf", data="aGk=")


def asked(messages: tuple[Message, ...] = HELLO, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=messages, **fields)


def sent(request: ChatRequest, row: str = "openai", **changes: Any) -> VendorRequest:
    built = OpenAiWire(BUILT_IN[row]).build(request, call(streaming=request.streaming, **changes))
    assert isinstance(built, VendorRequest)
    return built


def body(request: ChatRequest, row: str = "openai", **changes: Any) -> dict[str, Any]:
    fields = orjson.loads(sent(request, row, **changes).body)
    assert isinstance(fields, dict)
    return fields


def refused(request: ChatRequest, row: str = "openai") -> Failure:
    failure = OpenAiWire(BUILT_IN[row]).build(request, call())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (FailureKind.INVALID_REQUEST, "unsupported_by_vendor")
    return failure


TOOL_ROUND: tuple[Message, ...] = (
    *HELLO,
    AssistantMessage(
        parts=(
            Thinking(text="hm"),
            Text(text="Let me see."),
            ToolCall(call_id="toolu_1", name="add", arguments='{"a":1}'),
            ToolCall(call_id="toolu_2", name="now", arguments="{}"),
        )
    ),
    UserMessage(
        parts=(
            ToolResult(call_id="toolu_1", name="add", parts=(Text(text="2"), Text(text="two"))),
            ToolResult(call_id="toolu_2", name="now", parts=(), is_error=True),
            Text(text="and?"),
        )
    ),
)
EVERYTHING = asked(
    (
        *TOOL_ROUND,
        UserMessage(parts=(Text(text="see"), Image(source=PNG, detail="low"), Document(source=PDF, name="a.pdf"))),
    ),
    system=(Text(text="Be brief."), Text(text="Be kind.")),
    tools=TOOLS,
    tool_choice=ToolChoice(mode="tool", name="add"),
    parallel_tool_calls=False,
    response_format=JsonFormat(schema=SCHEMA, name="sum", strict=True, description="A sum."),
    reasoning=Reasoning(effort="high"),
    max_output_tokens=100,
    temperature=0.5,
    top_p=0.9,
    stop=("END",),
    seed=7,
    presence_penalty=0.1,
    frequency_penalty=-0.1,
)


def test_all_of_a_request() -> None:
    request = sent(EVERYTHING, attempt_id="r.0.1")
    fields = orjson.loads(request.body)
    assert (request.url_path, request.headers["Authorization"]) == ("/chat/completions", "Bearer secret")
    assert request.headers["X-Tollhouse-Attempt-Id"] == "r.0.1"
    assert request.dropped == ("is_error", "reasoning")
    messages = fields.pop("messages")
    assert fields == {
        "model": "vendor/one",
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
                    "strict": True,
                },
            },
            {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "sum",
                "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
                "description": "A sum.",
                "strict": True,
            },
        },
        "reasoning_effort": "high",
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
    }
    assert messages == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
                {"id": "toolu_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "2\ntwo"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": ""},
        {"role": "user", "content": "and?"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            ],
        },
    ]


def test_the_official_client_would_send_the_same() -> None:
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body(EVERYTHING), extra="forbid")


def test_streams_ask_for_usage_where_the_vendor_wants_to_be_asked() -> None:
    asked_stream = asked(streaming=True)
    assert body(asked_stream)["stream_options"] == {"include_usage": True}
    assert body(asked_stream, "mistral") == {
        "model": "vendor/one",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    assert "stream" not in body(asked())


@pytest.mark.parametrize(("own", "cap", "told"), [(None, None, None), (50, None, 50), (50, 20, 20), (None, 20, 20)])
def test_caps(own: int | None, cap: int | None, told: int | None) -> None:
    assert body(asked(max_output_tokens=own), "zai", max_output_tokens=cap).get("max_tokens") == told
    assert "max_tokens" not in body(asked(max_output_tokens=5))


def test_mistral() -> None:
    fields = body(asked(TOOL_ROUND, tools=TOOLS, tool_choice=ToolChoice(mode="required"), seed=7, top_k=3), "mistral")
    assert (fields["tool_choice"], fields["random_seed"], fields["top_k"]) == ("any", 7, 3)
    assert "seed" not in fields
    thoughts, text = fields["messages"][1]["content"]
    assert thoughts == {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert text == {"type": "text", "text": "Let me see."}
    assert [message["role"] for message in fields["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
    ]
    ids = [one["id"] for one in fields["messages"][1]["tool_calls"]]
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in ids)
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in fields["messages"] if message["role"] == "tool"] == ids


def test_mistrals_own_ids_stay() -> None:
    own = AssistantMessage(parts=(ToolCall(call_id="aB3dE6gH9", name="now", arguments="{}"),))
    assert body(asked((*HELLO, own)), "mistral")["messages"][1]["tool_calls"][0]["id"] == "aB3dE6gH9"


def test_a_begun_answer_is_marked_where_the_vendor_wants_it() -> None:
    begun = asked((*HELLO, AssistantMessage(parts=(Text(text="{"),))))
    assert body(begun, "mistral")["messages"][-1] == {"role": "assistant", "content": "{", "prefix": True}
    assert body(begun, "groq")["messages"][-1] == {"role": "assistant", "content": "{"}
    calling = AssistantMessage(parts=(ToolCall(call_id="a", name="now", arguments="{}"),))
    assert "prefix" not in body(asked((*HELLO, calling)), "mistral")["messages"][-1]


@pytest.mark.parametrize(
    ("row", "wanted", "told"),
    [
        ("openai", Reasoning(effort="low"), {"reasoning_effort": "low"}),
        ("openai", Reasoning(budget_tokens=2000), {"reasoning_effort": "low"}),
        ("openai", Reasoning(budget_tokens=0), {"reasoning_effort": "none"}),
        ("openai", Reasoning(visible=True), {}),
        ("zai", Reasoning(effort="low"), {"thinking": {"type": "enabled"}}),
        ("zai", Reasoning(budget_tokens=0), {"thinking": {"type": "disabled"}}),
        ("deepseek", Reasoning(effort="max"), {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("deepseek", Reasoning(effort="none"), {"thinking": {"type": "disabled"}}),
        (
            "openrouter",
            Reasoning(budget_tokens=2000, visible=False),
            {"reasoning": {"max_tokens": 2000, "exclude": True}},
        ),
        ("openrouter", Reasoning(effort="xhigh"), {"reasoning": {"effort": "xhigh"}}),
    ],
)
def test_how_much_to_think(row: str, wanted: Reasoning, told: dict[str, Any]) -> None:
    request = sent(asked(reasoning=wanted), row)
    fields = orjson.loads(request.body)
    assert {name: value for name, value in fields.items() if name not in ("model", "messages")} == told
    assert ("reasoning" in request.dropped) == (not told)


@pytest.mark.parametrize(
    ("row", "field"), [("zai", "reasoning_content"), ("deepseek", "reasoning_content"), ("openrouter", "reasoning")]
)
def test_thoughts_go_back_to_vendors_that_want_them(row: str, field: str) -> None:
    request = sent(asked(TOOL_ROUND), row)
    assert orjson.loads(request.body)["messages"][1][field] == "hm"
    assert "reasoning" not in request.dropped


def test_what_the_vendor_has_no_word_for_is_named() -> None:
    cached = asked((UserMessage(parts=(Text(text="hi", cache="1h"),)),), top_k=5)
    assert sent(cached).dropped == ("cache_control", "top_k")
    assert sent(cached, "openrouter").dropped == ()
    part = body(cached, "openrouter")["messages"][0]["content"][0]
    assert part == {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}


def test_documents() -> None:
    plain = Inline(media_type="text/plain", data=base64.b64encode("é".encode()).decode())
    assert body(asked((UserMessage(parts=(Document(source=plain),)),)))["messages"][0]["content"] == "é"
    at_url = asked((UserMessage(parts=(Document(source=Url(url="https://x/a.pdf"), name="a"),)),))
    part = body(at_url, "mistral")["messages"][0]["content"][0]
    assert part == {"type": "document_url", "document_url": "https://x/a.pdf", "document_name": "a"}
    assert refused(at_url).param == "document URL"


def test_an_image_in_a_tool_result_is_refused() -> None:
    result = ToolResult(call_id="a", name="see", parts=(Image(source=PNG),))
    assert refused(asked((UserMessage(parts=(result,)),))).param == "image in a tool result"


def test_a_choice_without_tools_is_refused() -> None:
    assert refused(asked(tool_choice=ToolChoice(mode="required"))).param == "tool_choice"
    assert "tool_choice" not in body(asked(tool_choice=ToolChoice(mode="none")))


def test_json_without_a_schema() -> None:
    assert body(asked(response_format=JsonFormat()))["response_format"] == {"type": "json_object"}
