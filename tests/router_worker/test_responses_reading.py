"""OpenAI Responses at the worker: from a body to what routing needs, and to a canonical request or a named refusal."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from router_worker.surfaces.openai_responses.responses import OpenAiResponses
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure, FailureKind

SURFACE = OpenAiResponses()
PNG = base64.b64encode(b"png").decode()
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": None}


def reading(**fields: Any) -> Reading:
    found = SURFACE.read(json.dumps({"model": "cat-1", "input": "hi"} | fields).encode(), streaming=False)
    assert isinstance(found, Reading), found
    return found


def canonical(**fields: Any) -> ChatRequest:
    request = reading(**fields).canonical()
    assert isinstance(request, ChatRequest), request
    return request


def refusal(**fields: Any) -> Failure:
    found = SURFACE.read(json.dumps({"model": "cat-1", "input": "hi"} | fields).encode(), streaming=False)
    failure = found if isinstance(found, Failure) else found.canonical()
    assert isinstance(failure, Failure), failure
    return failure


def test_routing_sees_what_the_request_needs() -> None:
    found = reading(
        input=[
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x.test/a.png"}]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_url": "u"}]},
        ],
        stream=True,
        max_output_tokens=77,
        tools=[FUNCTION],
        tool_choice="required",
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        reasoning={"effort": "low"},
    )
    assert found.needs == {
        "streaming", "tools", "tool_choice", "structured_output", "vision", "documents", "reasoning",
    }  # fmt: skip
    assert (found.streaming, found.max_output_tokens, found.has_media) == (True, 77, True)
    plain = reading(tools=[FUNCTION], tool_choice="auto", reasoning={"summary": "auto"}, stream=None)
    assert (set(plain.needs), plain.streaming, plain.has_media) == ({"tools"}, False, False)


def test_a_text_is_a_users_message() -> None:
    assert canonical(instructions="be brief") == ChatRequest(
        messages=(UserMessage(parts=(Text(text="hi"),)),), system=(Text(text="be brief"),)
    )


def test_a_conversation_with_calls_and_thoughts() -> None:
    found = canonical(
        input=[
            {"role": "developer", "content": "rules"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "tollhouse.anthropic.signature.sig.x",
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "tollhouse.gemini.call.g1"},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"at":1}',
             "status": "completed", "async": None, "caller": None, "namespace": None},
            {"type": "function_call", "call_id": "c2", "name": "go", "arguments": ""},
            {"type": "function_call_output", "call_id": "c2", "output": "went"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [
                    {"type": "input_text", "text": "sun"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "original"},
                ],
            },
            {"role": "user", "content": "and now?"},
            {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "gAAAA"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]
    )  # fmt: skip
    image = Image(source=Inline(media_type="image/png", data=PNG), detail="high")
    assert found.system == (Text(text="rules"),)
    assert found.messages == (
        UserMessage(parts=(Text(text="weather?"),)),
        AssistantMessage(
            parts=(
                Thinking(text="hm", signature="sig.x", made_by="anthropic"),
                Text(text="I look."),
                ToolCall(call_id="c1", name="look", arguments='{"at":1}', signature="g1"),
                ToolCall(call_id="c2", name="go", arguments="{}"),
            )
        ),
        UserMessage(
            parts=(
                ToolResult(call_id="c2", name="go", parts=(Text(text="went"),)),
                ToolResult(call_id="c1", name="look", parts=(Text(text="sun"), image)),
            )
        ),
        UserMessage(parts=(Text(text="and now?"),)),
        AssistantMessage(parts=(Thinking(encrypted="gAAAA", made_by="openai"), Text(text="no"))),
    )


def test_files_and_cache_marks() -> None:
    parts = [
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}", "detail": "low",
         "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"type": "input_file", "file_url": "https://x.test/b.pdf"},
        {"type": "input_image", "image_url": "HTTPS://x.test/b.png", "detail": "low"},
    ]  # fmt: skip
    assert canonical(input=[{"role": "user", "content": parts}]).messages == (
        UserMessage(
            parts=(
                Text(text="a", cache="5m"),
                Document(source=Inline(media_type="application/pdf", data=PNG), name="a.pdf", cache="1h"),
                Document(source=Url(url="https://x.test/b.pdf")),
                Image(source=Url(url="HTTPS://x.test/b.png"), detail="low"),
            )
        ),
    )


def test_every_setting_has_its_place() -> None:
    found = canonical(
        stream=True,
        tools=[FUNCTION | {"description": "d", "strict": True}, {"type": "function", "name": "go"}],
        tool_choice={"type": "function", "name": "go"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        reasoning={"effort": "high", "summary": "auto"},
        max_output_tokens=99,
        temperature=1,
        top_p=0.5,
    )
    assert found.streaming
    assert found.tools == (
        Tool(name="look", description="d", parameters=msgspec.Raw(b'{"type":"object"}'), strict=True),
        Tool(name="go"),
    )
    assert found.tool_choice == ToolChoice(mode="tool", name="go")
    assert found.parallel_tool_calls is False
    assert found.response_format == JsonFormat(schema=msgspec.Raw(b'{"type":"object"}'), name="n", strict=True)
    assert found.reasoning == Reasoning(effort="high", visible=True)
    assert (found.max_output_tokens, found.temperature, found.top_p) == (99, 1.0, 0.5)
    assert found.dropped == ()


def test_allowed_tools_are_the_only_ones() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "go"}]}
    found = canonical(tools=[FUNCTION, {"type": "function", "name": "go"}], tool_choice=allowed)
    assert found.tools == (Tool(name="go"),)
    assert found.tool_choice == ToolChoice(mode="required")


def test_hints_are_dropped_and_named() -> None:
    found = canonical(
        store=True,
        truncation="auto",
        user="u",
        prompt_cache_key="k",
        service_tier="flex",
        safety_identifier="s",
        max_tool_calls=3,
        stream_options={"include_obfuscation": False},
        include=["reasoning.encrypted_content", "file_search_call.results"],
        text={"format": {"type": "text"}, "verbosity": "low"},
        metadata={"a": "b"},
        project_id="p",
        vendors=["x"],
    )
    assert set(found.dropped) == {
        "store", "truncation", "user", "prompt_cache_key", "service_tier", "safety_identifier", "max_tool_calls",
        "stream_options", "include", "text.verbosity",
    }  # fmt: skip
    quiet = canonical(store=False, truncation="disabled", user=None, include=["reasoning.encrypted_content"],
                      background=False, top_logprobs=0, previous_response_id=None, moderation=None)  # fmt: skip
    assert quiet.dropped == ()


_USER = {"role": "user"}


@pytest.mark.parametrize(
    ("fields", "param", "translatable"),
    [
        ({"surprise": 1}, "surprise", False),
        ({"moderation": {}}, "moderation", False),
        ({"top_logprobs": 2}, "top_logprobs", False),
        ({"include": ["message.output_text.logprobs"]}, "include[0]", False),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", False),
        ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0].type", False),
        ({"tools": [FUNCTION], "tool_choice": {"type": "file_search"}}, "tool_choice.type", False),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", False),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0].type", False),
        ({"input": [_USER | {"content": [{"type": "input_audio"}]}]}, "input[0].content[0].type", False),
        (
            {"input": [_USER | {"content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
            False,
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type", True),
        ({"input": [{"content": "x"}]}, "input[0].type", True),
        ({"input": [_USER | {"content": [{"text": "x"}]}]}, "input[0].content[0].type", True),
        ({"input": [_USER | {"content": [{"type": "input_text"}]}]}, "input[0].content[0].text", True),
        ({"input": [_USER | {"content": [{"type": "input_text", "text": 5}]}]}, "input[0].content[0].text", True),
        ({"input": [_USER | {"content": 5}]}, "input[0].content", True),
        ({"input": [_USER | {"content": "x", "colour": 1}]}, "input[0].colour", True),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", True),
        ({"input": []}, "input", True),
        (
            {"input": [_USER | {"content": [{"type": "input_image", "image_url": "ftp://x"}]}]},
            "input[0].content[0].image_url",
            True,
        ),
        (
            {"input": [_USER | {"content": [{"type": "input_image", "image_url": "data:image/png;base64,%"}]}]},
            "input[0].content[0].image_url",
            True,
        ),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id", True),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "n", "arguments": "[1]"}]},
            "input[0].arguments",
            True,
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "n", "arguments": '{"x":1e999}'}]},
            "input[0].arguments",
            True,
        ),
        (
            {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "https://x.test/"}]}]},
            "input[0].content",
            True,
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].name", True),
        ({"tools": [FUNCTION | {"parameters": 5}]}, "tools[0].parameters", True),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "no"}}, "tool_choice.name", True),
        ({"tool_choice": "sometimes"}, "tool_choice", True),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", True),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort", True),
        ({"temperature": "hot"}, "temperature", True),
        ({"metadata": {"a": 1}}, "metadata[...]", True),
        ({"max_output_tokens": -1}, "max_output_tokens", True),
        ({"previous_response_id": "resp_1"}, "previous_response_id", True),
    ],
)
def test_refusals_name_the_field(fields: dict[str, Any], param: str, translatable: bool) -> None:
    """`translatable` False: OpenAI itself might take it."""
    failure = refusal(**fields)
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)
    assert (failure.code is None) == translatable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b'{"input":"\\ud83d"}',
        b'{"input":"x","metadata":{"\\ud83d":"y"}}',
        b'{"input":"x","tools":[{"type":"function","name":"n","parameters":{"a":"\\ud83d"}}]}',
        b'{"input":"x","temperature":1e999}',
        b'{"input":"x","max_output_tokens":99999999999999999999999}',
        b'{"input":"\xff"}',
        b'{"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_no_body_is_an_exception(body: bytes) -> None:
    found = SURFACE.read(body, streaming=False)
    assert isinstance(found if isinstance(found, Failure) else found.canonical(), Failure)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "text", "name", "call_id", "output"]), inner)
    ),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    ["input", "tools", "tool_choice", "text", "reasoning", "metadata", "include", "stream", "store", "instructions",
     "context_management", "temperature", "prompt", "background", "parallel_tool_calls"]
)  # fmt: skip


@given(fields=st.dictionaries(_FIELDS, _JSON))
def test_whatever_stands_in_a_field_is_read_or_refused(fields: dict[str, Any]) -> None:
    body = json.dumps({"input": "hi"} | fields).encode("utf-8", "surrogatepass")
    found = SURFACE.read(body, streaming=False)
    request = found if isinstance(found, Failure) else found.canonical()
    assert isinstance(request, ChatRequest | Failure)
    if isinstance(request, Failure):
        assert request.http_status == 400
