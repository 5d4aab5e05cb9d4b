"""What a worker reads of Anthropic's requests: for routing, and in canonical form."""

import json
from typing import Any

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
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
    UserMessage,
)
from router_worker.surfaces.anthropic.messages import AnthropicCountTokens, AnthropicMessages
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure, FailureKind
from tests.router_worker.anthropic_samples import REQUEST

SURFACE = AnthropicMessages()
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}, "title": "t"}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Köln", "n": 1.50}}


def bytes_of(**changes: Any) -> bytes:
    return json.dumps(REQUEST | changes).encode()


def reading(**changes: Any) -> Reading:
    found = SURFACE.read(bytes_of(**changes), streaming=False)
    assert isinstance(found, Reading), found
    return found


def canonical(**changes: Any) -> ChatRequest:
    found = reading(**changes).canonical()
    assert isinstance(found, ChatRequest), found
    return found


def refused(**changes: Any) -> Failure:
    found = reading(**changes).canonical()
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.INVALID_REQUEST
    assert found.param is not None
    assert found.param in found.text
    return found


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def result(**changes: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", **changes}


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, set()),
        ({"stream": True}, {"streaming"}),
        ({"tools": [TOOL]}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tools"}),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools", "tool_choice"}),
        ({"tools": []}, set()),
        ({"messages": [user(PNG)]}, {"vision"}),
        ({"messages": [user(PDF)]}, {"documents"}),
        ({"messages": [assistant(USE), user(result(content=[PNG]))]}, {"vision"}),
        (
            {"messages": [user({"type": "document", "source": {"type": "content", "content": [PNG]}})]},
            {"vision", "documents"},
        ),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, {"structured_output"}),
        ({"output_format": {"type": "json_schema", "schema": {}}}, {"structured_output"}),
        ({"output_config": {"effort": "low"}, "tool_choice": None, "stream": None}, set()),
    ],
)
def test_what_a_route_must_be_capable_of(changes: dict[str, Any], needs: set[str]) -> None:
    found = reading(**changes)
    assert found.needs == needs
    assert found.has_media == bool(needs & {"vision", "documents"})
    assert found.streaming == ("streaming" in needs)
    assert (found.max_output_tokens, found.wants_usage, found.free) == (100, True, False)


def test_counting_is_free_and_only_for_vendors_of_this_format() -> None:
    found = AnthropicCountTokens().read(bytes_of(tools=[TOOL], stream=True), streaming=False)
    assert isinstance(found, Reading)
    assert (found.free, found.streaming, found.needs) == (True, False, frozenset({"tools"}))
    failure = found.canonical()
    assert isinstance(failure, Failure)
    assert failure.code == "unsupported_by_vendor"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.INVALID_JSON),
        (b"{", FailureKind.INVALID_JSON),
        (b'{"a":"\xff"}', FailureKind.INVALID_JSON),
        (b'{"a":' + b"[" * 100_000, FailureKind.INVALID_JSON),
        (b"[]", FailureKind.INVALID_REQUEST),
        (b'{"x":' + b"[" * 300 + b"]" * 300 + b"}", FailureKind.INVALID_REQUEST),
        (b'{"messages":[{"content":[1]}]}', FailureKind.INVALID_REQUEST),
    ],
)
def test_bodies_that_cannot_be_read(body: bytes, kind: FailureKind) -> None:
    found = SURFACE.read(body, streaming=False)
    assert isinstance(found, Failure)
    assert found.kind is kind


def test_a_conversation() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    found = canonical(
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "hi"},
            assistant(
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "enc"},
                {"type": "thinking", "thinking": "g", "signature": "tollhouse:gemini:xyz"},
                {"type": "thinking", "thinking": "n", "signature": ""},
                {"type": "text", "text": "let me see", "citations": None, "parsed_output": None},
                USE | {"caller": {"type": "direct"}, "toolset_name": None},
            ),
            {"role": "system", "content": "later"},
            user(
                {"type": "text", "text": "and?", "cache_control": mark},
                result(content="sun", is_error=True),
                PNG,
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                PDF,
            ),
        ],
    )
    assert found.system == (Text(text="be brief", cache="5m"), Text(text="later"))
    assert found.messages == (
        UserMessage(parts=(Text(text="hi"),)),
        AssistantMessage(
            parts=(
                Thinking(text="hm", signature="sig", made_by="anthropic"),
                Thinking(encrypted="enc", made_by="anthropic"),
                Thinking(text="g", signature="xyz", made_by="gemini"),
                Thinking(text="n", made_by="anthropic"),
                Text(text="let me see"),
                ToolCall(call_id="t1", name="weather", arguments='{"city":"K\\u00f6ln","n":1.5}'),
            )
        ),
        UserMessage(
            parts=(
                ToolResult(call_id="t1", name="weather", parts=(Text(text="sun"),), is_error=True),
                Text(text="and?", cache="1h"),
                Image(source=Inline(media_type="image/png", data="aGk=")),
                Image(source=Url(url="https://x.test/a.png")),
                Document(source=Inline(media_type="application/pdf", data="aGk="), name="t"),
            )
        ),
    )


def test_documents_of_text_and_search_results() -> None:
    def document(source: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"type": "document", "source": source, **more}

    found = canonical(
        messages=[
            user(
                document({"type": "text", "media_type": "text/plain", "data": "hi"}, context="c", title="t"),
                document({"type": "content", "content": "hi"}, citations={"enabled": False}),
                document({"type": "content", "content": [{"type": "text", "text": "x"}, PNG]}, title="t"),
                {
                    "type": "search_result",
                    "title": "T",
                    "source": "https://x.test",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
            )
        ]
    )
    plain = Inline(media_type="text/plain", data="aGk=")
    assert found.messages[0].parts == (
        Text(text="c"),
        Document(source=plain, name="t"),
        Document(source=plain),
        Text(text="t"),
        Text(text="x"),
        Image(source=Inline(media_type="image/png", data="aGk=")),
        Text(text="T\nhttps://x.test\n\na\nb"),
    )


def test_everything_around_the_conversation() -> None:
    found = canonical(
        stream=True,
        tools=[TOOL | {"type": "custom", "strict": True, "description": "d", "cache_control": {"type": "ephemeral"}}],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"b": 1, "a": 2}}},
        stop_sequences=["END"],
        temperature=1,
        top_p=0.5,
        top_k=3,
        models=["x"],
        customer="c",
        metadata={"user_id": "u"},
        service_tier="auto",
        container=None,
        unknown_but_null=None,
    )
    tool = found.tools[0]
    assert (tool.name, tool.description, tool.strict, tool.cache) == ("weather", "d", True, "5m")
    assert json.loads(bytes(tool.parameters or b"")) == {"type": "object"}
    assert found.tool_choice == ToolChoice(mode="tool", name="weather")
    assert found.parallel_tool_calls is False
    assert isinstance(found.response_format, JsonFormat)
    assert bytes(found.response_format.schema or b"") == b'{"b":1,"a":2}'
    assert (found.temperature, found.top_p, found.top_k, found.stop) == (1, 0.5, 3, ("END",))
    assert (found.streaming, found.max_output_tokens) == (True, 100)
    assert found.dropped == ("metadata", "service_tier")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget_tokens=2000, visible=True)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(effort="high", visible=True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(effort="max", visible=False),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_thinking(changes: dict[str, Any], expected: Reasoning | None) -> None:
    assert canonical(**changes).reasoning == expected


def in_user(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x"}, user({"type": "text", "text": "x"}, block)]}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": []}, "mcp_servers"),
        ({"context_management": {}}, "context_management"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"brand_new": 1}, "brand_new"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, TOOL | {"defer_loading": True}]}, "tools[1].defer_loading"),
        ({"tools": [TOOL | {"allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
        (in_user({"type": "container_upload", "file_id": "f"}), "messages[1].content[1].type"),
        (
            in_user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "messages[1].content[1].source.type",
        ),
        (in_user(PNG | {"transformations": {"a": 1}}), "messages[1].content[1].transformations"),
        (in_user(PDF | {"citations": {"enabled": True}}), "messages[1].content[1].citations"),
        (
            {"messages": [assistant(USE | {"caller": {"type": "code_execution_20250825", "tool_id": "x"}})]},
            "messages[0].content[0]",
        ),
        ({"messages": [assistant({"type": "server_tool_use", "id": "x"})]}, "messages[0].content[0].type"),
    ],
)
def test_what_only_anthropic_can_do_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    failure = refused(**changes)
    assert (failure.param, failure.code) == (param, "unsupported_by_vendor")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"system": 1}, "system"),
        ({"system": [PNG]}, "system[0].type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [user({"text": "x"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        ({"messages": [user({"type": "text", "text": "x", "odd": 1})]}, "messages[0].content[0].odd"),
        ({"messages": [user(USE)]}, "messages[0].content[0].type"),
        ({"messages": [assistant(PNG)]}, "messages[0].content[0].type"),
        ({"messages": [user(result())]}, "messages[0].content[0].tool_use_id"),
        ({"messages": [assistant(USE | {"input": "x"})]}, "messages[0].content[0].input"),
        (
            {"messages": [assistant(USE), user(result(content=[result()]))]},
            "messages[1].content[0].content[0].type",
        ),
        (
            in_user({"type": "image", "source": {"type": "base64", "data": "aGk="}}),
            "messages[1].content[1].source.media_type",
        ),
        (
            in_user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%"}}),
            "messages[1].content[1].source.data",
        ),
        (in_user({"type": "image", "source": {"type": "url", "url": "file:x"}}), "messages[1].content[1].source.url"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "x", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"task_budget": 1}}, "output_config.task_budget"),
        ({"output_format": {"type": "text"}}, "output_format.type"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
    ],
)
def test_mistakes_are_named_in_the_clients_own_path(changes: dict[str, Any], param: str) -> None:
    assert refused(**changes).param == param


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"\\ud83d","max_tokens":1,"messages":[]}',
        b'{"max_tokens":1e999}',
        b'{"max_tokens":' + b"9" * 5000 + b"}",
    ],
)
def test_strings_and_numbers_that_are_none(body: bytes) -> None:
    found = SURFACE.read(body, streaming=False)
    assert isinstance(found if isinstance(found, Failure) else found.canonical(), Failure)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLACES = (
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "stop_sequences",
    "max_tokens",
    "odd",
)
BLOCK = st.dictionaries(
    st.sampled_from(["type", "text", "source", "content", "id", "name", "input", "tool_use_id", "cache_control"]),
    JSON | st.sampled_from(["text", "image", "document", "tool_use", "tool_result", "search_result"]),
)


@given(st.dictionaries(st.sampled_from(PLACES), JSON), st.lists(BLOCK, max_size=3))
def test_malformed_requests_give_a_failure_or_a_request_never_an_exception(
    changes: dict[str, Any], blocks: list[dict[str, Any]]
) -> None:
    for extra in ({}, {"messages": [user(*blocks), assistant(*blocks)]}):
        found = SURFACE.read(bytes_of(**(changes | extra)), streaming=False)
        if isinstance(found, Reading):
            assert isinstance(found.canonical(), ChatRequest | Failure)
