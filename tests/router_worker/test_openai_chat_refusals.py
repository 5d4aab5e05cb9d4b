"""Chat requests that cannot be put into canonical form: refused under the name that the client wrote, never raised."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.request import ChatRequest
from router_worker.surfaces.openai_chat.request import read_canonical
from schemas.failures import Failure, FailureKind

HI = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "add"}}


def refused(**fields: Any) -> Failure:
    failure = read_canonical(orjson.dumps({"model": "m", "messages": [HI], **fields}))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.INVALID_REQUEST
    return failure


def call_of(call_id: str, arguments: str = "{}", name: str = "add") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"suffix": "x"}, "suffix"),
        ({"x_unknown": 1}, "x_unknown"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {}}]}]},
            "messages[0].tool_calls[0].type",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "x"}}]}, "messages[0].audio"),
    ],
)
def test_what_shapes_the_answer_and_cannot_be_said_elsewhere_is_refused(fields: dict[str, Any], param: str) -> None:
    failure = refused(**fields)
    assert (failure.param, failure.code) == (param, "unsupported_by_vendor")
    assert failure.message is not None
    assert failure.message.startswith(param)


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [HI, fields]}


def part(**fields: Any) -> dict[str, Any]:
    return message(role="user", content=[{"type": "text", "text": "a"}, fields])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": "x"}, "messages"),
        (message(role="wizard", content="x"), "messages[1].role"),
        (message(content="x"), "messages[1].role"),
        (message(role="user"), "messages[1].content"),
        (message(role="user", content=5), "messages[1].content"),
        (part(type="video_url"), "messages[1].content[1].type"),
        (part(type="text"), "messages[1].content[1].text"),
        (part(type="text", text="a", more=1), "messages[1].content[1].more"),
        (part(type="image_url", image_url={"url": "ftp://x"}), "messages[1].content[1].image_url.url"),
        (part(type="image_url", image_url={"url": "data:image/png;base64,%%"}), "messages[1].content[1].image_url.url"),
        (part(type="image_url", image_url={"url": "data:image/png,hi"}), "messages[1].content[1].image_url.url"),
        (
            part(type="image_url", image_url={"url": "https://x", "detail": "no"}),
            "messages[1].content[1].image_url.detail",
        ),
        (part(type="file", file={}), "messages[1].content[1].file.file_data"),
        (message(role="tool", content="x"), "messages[1].tool_call_id"),
        (message(role="tool", content="x", tool_call_id="z"), "messages[1].tool_call_id"),
        (message(role="function", content="x", name="z"), "messages[1].name"),
        (message(role="assistant", tool_calls=[call_of("a", "{")]), "messages[1].tool_calls[0].function.arguments"),
        (message(role="assistant", tool_calls=[call_of("a", "[]")]), "messages[1].tool_calls[0].function.arguments"),
        # A vendor that gets arguments as JSON, not as text, could not read these.
        (
            message(role="assistant", tool_calls=[call_of("a", '{"x":1e999}')]),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (
            message(role="assistant", tool_calls=[call_of("a", '{"x":"\\ud83d"}')]),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (
            message(role="assistant", tool_calls=[call_of("a", '{"x":' * 201 + "1" + "}" * 201)]),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (message(role="assistant", tool_calls=[{"id": "a"}]), "messages[1].tool_calls[0].function"),
        (message(role="assistant", tool_calls=[{"function": {"name": "x"}}]), "messages[1].tool_calls[0].id"),
        (message(role="system", content=[{"type": "image_url", "image_url": "x"}]), "messages[1].content[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": 5}}]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "z"}}},
            "tool_choice.function.name",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": []}}},
            "response_format.json_schema.schema",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"seed": 2**70}, "seed"),
        ({"stop": [1]}, "stop[0]"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning": {"effort": "low", "more": 1}}, "reasoning.more"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
    ],
)
def test_a_wrong_field_is_named_as_the_client_wrote_it(fields: dict[str, Any], param: str) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}],"seed":1180591620717411303424}'
    failure = read_canonical(body) if param == "seed" else refused(**fields)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)


def test_messages_are_required() -> None:
    failure = read_canonical(b'{"model":"m"}')
    assert isinstance(failure, Failure)
    assert failure.param == "messages"


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user","content":"\\ud83d"}]}',
        b'{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"a",'
        b'"parameters":{"\\ud83d":1}}}]}',
        b'{"messages":[{"role":"user","content":"a"}],"temperature":1e999}',
        b'{"messages":[{"role":"user","content":"a"}],"seed":' + b"9" * 5000 + b"}",
        b"[]",
        b"null",
        b"",
        b"\xff",
    ],
)
def test_what_no_text_can_be_made_of_is_a_failure(body: bytes) -> None:
    failure = read_canonical(body)
    assert isinstance(failure, Failure)
    assert failure.kind in (FailureKind.INVALID_JSON, FailureKind.INVALID_REQUEST)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    [
        *("role", "content", "type", "text", "image_url", "url", "file", "file_data", "function", "name", "arguments"),
        *("tool_calls", "id", "tool_call_id", "reasoning_details", "cache_control"),
    ]
)
_VALUES = st.sampled_from(["user", "assistant", "tool", "system", "text", "image_url", "file", "function", "a", "{}"])
_LIKE_MESSAGES = st.recursive(
    _VALUES | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=20,
)
_TOP = st.sampled_from(
    [
        *("tools", "tool_choice", "functions", "function_call", "response_format", "reasoning", "thinking", "stop"),
        *("n", "stream_options", "seed", "max_tokens", "logit_bias"),
    ]
)


@given(
    messages=st.lists(st.dictionaries(_NAMES, _LIKE_MESSAGES, max_size=5), max_size=4) | _JSON,
    fields=st.dictionaries(_TOP, _JSON | _LIKE_MESSAGES, max_size=3),
)
def test_no_body_raises(messages: Any, fields: dict[str, Any]) -> None:
    body = msgspec.json.encode({"messages": messages, **fields})
    assert isinstance(read_canonical(body), ChatRequest | Failure)


@given(st.binary(max_size=100))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(read_canonical(body), ChatRequest | Failure)
