"""Canonical requests as Anthropic's."""

import base64
import json
from typing import Any

import msgspec
import pytest

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
from router_worker.vendors.anthropic.models import traits_of
from router_worker.vendors.anthropic.schema import closed
from router_worker.vendors.anthropic.wire import AnthropicWire
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from tests.router_worker.anthropic_samples import ROW, VERTEX, call

WIRE = AnthropicWire(ROW)
HI = UserMessage(parts=(Text(text="hi"),))
TOOL = Tool(name="weather", description="d", parameters=msgspec.Raw(b'{"type":"object","properties":{}}'))
CALL = ToolCall(call_id="c1", name="weather", arguments='{"a":1.50}')
RESULT = UserMessage(parts=(ToolResult(call_id="c1", name="weather", parts=(Text(text="sun"),)),))
OWN = Thinking(text="hm", signature="sig", made_by="anthropic")
BUDGETED, ADAPTIVE = "claude-sonnet-4-5-20250929", "claude-opus-4-7"


def chat(*messages: UserMessage | AssistantMessage, **changes: Any) -> ChatRequest:
    return ChatRequest(messages=messages or (HI,), **changes)


def built(request: ChatRequest, model: str = BUDGETED, **changes: Any) -> tuple[Any, tuple[str, ...]]:
    made = WIRE.build(request, call(vendor_model=model, **changes))
    assert isinstance(made, VendorRequest), made
    return json.loads(made.body), made.dropped


def refused(request: ChatRequest, model: str = BUDGETED) -> str | None:
    failure = WIRE.build(request, call(vendor_model=model))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (FailureKind.INVALID_REQUEST, "unsupported_by_vendor")
    return failure.param


def test_a_plain_request() -> None:
    made = WIRE.build(chat(system=(Text(text="be brief"),), streaming=True, stop=("END",)), call(streaming=True))
    assert isinstance(made, VendorRequest)
    assert json.loads(made.body) == {
        "model": BUDGETED,
        "max_tokens": 64_000,
        "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stop_sequences": ["END"],
        "stream": True,
    }
    assert (made.url_path, made.headers["x-api-key"]) == ("/messages", "secret")


def test_claude_on_vertex() -> None:
    made = AnthropicWire(VERTEX).build(chat(), call(vendor_model="claude-opus-4-6"))
    assert isinstance(made, VendorRequest)
    assert made.url_path == "/publishers/anthropic/models/claude-opus-4-6:rawPredict"
    body = json.loads(made.body)
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body


def test_the_lowest_cap_is_sent() -> None:
    assert built(chat(max_output_tokens=10))[0]["max_tokens"] == 10
    assert built(chat(max_output_tokens=10), max_output_tokens=5)[0]["max_tokens"] == 5
    assert built(chat(max_output_tokens=100_000))[0]["max_tokens"] == 64_000


def test_neighbours_of_one_role_are_joined_and_results_come_first() -> None:
    first = AssistantMessage(parts=(Text(text="let me see"), CALL))
    second = AssistantMessage(parts=(Text(text="  "), ToolCall(call_id="functions.x:0", name="x", arguments="")))
    late = UserMessage(
        parts=(ToolResult(call_id="functions.x:0", name="x", parts=(Text(text=""),), is_error=True, cache="1h"),)
    )
    body, _ = built(chat(HI, first, second, AssistantMessage(parts=()), RESULT, HI, late))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    called = body["messages"][1]["content"]
    assert [block["type"] for block in called] == ["text", "tool_use", "tool_use"]
    assert (called[1]["input"], called[2]["input"]) == ({"a": 1.5}, {})
    results = body["messages"][2]["content"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert results[1]["tool_use_id"] == called[2]["id"]
    assert called[2]["id"].replace("_", "").replace("-", "").isalnum()
    assert results[0]["content"] == [{"type": "text", "text": "sun"}]
    assert results[1] == {
        "type": "tool_result",
        "tool_use_id": called[2]["id"],
        "content": [],
        "is_error": True,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }


def test_images_and_documents() -> None:
    plain = base64.b64encode("Grüße".encode()).decode()
    parts = (
        Image(source=Inline(media_type="image/png", data="aaaa"), detail="low", cache="5m"),
        Image(source=Url(url="https://x.test/a.png")),
        Document(source=Inline(media_type="application/pdf", data="bbbb"), name="paper"),
        Document(source=Url(url="https://x.test/a.pdf")),
        Document(source=Inline(media_type="text/plain", data=plain)),
    )
    body, dropped = built(chat(UserMessage(parts=parts)))
    assert dropped == ("detail",)
    assert body["messages"][0]["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "bbbb"},
            "title": "paper",
        },
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
    ]


@pytest.mark.parametrize(
    ("request_", "model", "field"),
    [
        (chat(UserMessage(parts=(Image(source=Inline(media_type="image/tiff", data="aaaa")),))), BUDGETED, "image"),
        (
            chat(UserMessage(parts=(Document(source=Inline(media_type="application/zip", data="aaaa")),))),
            BUDGETED,
            "document",
        ),
        (
            chat(UserMessage(parts=(Document(source=Inline(media_type="text/plain", data="//8=")),))),
            BUDGETED,
            "document",
        ),
        (
            chat(AssistantMessage(parts=(ToolCall(call_id="c", name="n", arguments="[1]"),))),
            BUDGETED,
            "tool call arguments",
        ),
        (chat(UserMessage(parts=(Image(source=Url(url="http://x.test/a.png")),))), BUDGETED, "URL"),
        (chat(stop=("\n\n",)), BUDGETED, "stop"),
        (chat(response_format=JsonFormat()), BUDGETED, "response_format"),
        (chat(response_format=JsonFormat(schema=msgspec.Raw(b"{}"))), "claude-sonnet-4-20250514", "response_format"),
        (chat(tools=(TOOL,), tool_choice=ToolChoice(mode="required")), "claude-opus-5-5", "tool_choice"),
    ],
)
def test_what_anthropic_has_no_word_for_is_refused(request_: ChatRequest, model: str, field: str) -> None:
    assert refused(request_, model) == field


def test_hints_without_a_word_are_dropped_by_name() -> None:
    body, dropped = built(chat(seed=1, presence_penalty=0.5, frequency_penalty=0.0))
    assert dropped == ("seed", "presence_penalty", "frequency_penalty")
    assert body.keys() == {"model", "max_tokens", "messages"}


def test_tools() -> None:
    bare = Tool(name="now", strict=True, cache="5m")
    odd = Tool(name="odd", parameters=msgspec.Raw(b'{"properties":{"a":{}}}'), strict=False)
    body, dropped = built(chat(tools=(TOOL, bare, odd)))
    assert body["tools"] == [
        {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}},
        {
            "name": "now",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        },
        {"name": "odd", "input_schema": {"type": "object", "properties": {"a": {}}}},
    ]
    assert "tool_choice" not in body
    assert dropped == ()
    assert built(chat(tools=(bare,)), "claude-sonnet-4-20250514")[1] == ("strict",)


@pytest.mark.parametrize(
    ("choice", "parallel", "told"),
    [
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
        (ToolChoice(mode="required"), None, {"type": "any"}),
        (
            ToolChoice(mode="tool", name="weather"),
            False,
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, None),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, told: Any) -> None:
    body, _ = built(chat(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel))
    assert body.get("tool_choice") == told
    assert "tool_choice" not in built(chat(tool_choice=ToolChoice(mode="auto")))[0], "refused without tools"


def test_structured_output() -> None:
    schema = msgspec.Raw(b'{"type":"object","properties":{"b":{},"a":{}}}')
    body, _ = built(
        chat(response_format=JsonFormat(schema=schema, strict=True), reasoning=Reasoning(effort="high")), ADAPTIVE
    )
    assert body["output_config"] == {
        "effort": "high",
        "format": {
            "type": "json_schema",
            "schema": {"type": "object", "properties": {"b": {}, "a": {}}, "additionalProperties": False},
        },
    }


def test_objects_of_schemas_are_closed_unless_they_say_otherwise() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "object", "additionalProperties": True}}}
    schema = {"type": "array", "items": {"anyOf": [inner, {"type": "null"}]}, "$defs": {"d": {"properties": {}}}}
    found = json.loads(bytes(closed(msgspec.Raw(json.dumps(schema).encode()))))
    assert found["items"]["anyOf"] == [inner | {"additionalProperties": False}, {"type": "null"}]
    assert found["$defs"] == {"d": {"properties": {}, "additionalProperties": False}}
    assert found.keys() == schema.keys()


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "dropped"),
    [
        (BUDGETED, Reasoning(budget_tokens=5000), {"type": "enabled", "budget_tokens": 5000}, None, ()),
        (BUDGETED, Reasoning(budget_tokens=5), {"type": "enabled", "budget_tokens": 1024}, None, ()),
        (BUDGETED, Reasoning(budget_tokens=99_999), {"type": "enabled", "budget_tokens": 63_999}, None, ()),
        (BUDGETED, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 12_800}, None, ()),
        (BUDGETED, Reasoning(effort="none"), None, None, ()),
        (BUDGETED, Reasoning(budget_tokens=0), None, None, ()),
        (
            "claude-opus-4-5-20251101",
            Reasoning(effort="max", budget_tokens=2000),
            {"type": "enabled", "budget_tokens": 2000},
            "high",
            (),
        ),
        ("claude-opus-4-6", Reasoning(effort="xhigh"), {"type": "adaptive"}, "high", ()),
        ("claude-opus-4-6", Reasoning(effort="max"), {"type": "adaptive"}, "max", ()),
        (ADAPTIVE, Reasoning(effort="minimal", visible=True), {"type": "adaptive", "display": "summarized"}, "low", ()),
        (ADAPTIVE, Reasoning(budget_tokens=3000), {"type": "adaptive"}, "low", ()),
        (ADAPTIVE, Reasoning(effort="none"), None, None, ()),
        ("claude-opus-5", Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        ("claude-sonnet-5-5", Reasoning(effort="none"), {"type": "between_tools"}, None, ()),
        ("claude-fable-5", Reasoning(effort="none"), None, "low", ("reasoning",)),
        ("claude-3-5-haiku-20241022", Reasoning(effort="high"), None, None, ("reasoning",)),
        (BUDGETED, None, None, None, ()),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: str, reasoning: Reasoning | None, thinking: Any, effort: str | None, dropped: tuple[str, ...]
) -> None:
    body, left_out = built(chat(reasoning=reasoning), model)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert left_out == dropped


def test_thinking_by_budget_is_left_out_where_anthropic_would_refuse_it() -> None:
    wanted = Reasoning(budget_tokens=2000)
    forced = chat(reasoning=wanted, tools=(TOOL,), tool_choice=ToolChoice(mode="required"))
    narrow = chat(reasoning=wanted, max_output_tokens=1024)
    loop = chat(HI, AssistantMessage(parts=(CALL,)), RESULT, reasoning=wanted)
    foreign = Thinking(text="hm", signature="s", made_by="gemini")
    other = chat(HI, AssistantMessage(parts=(foreign, CALL)), RESULT, reasoning=wanted)
    for request, names in ((forced, ()), (narrow, ()), (loop, ()), (other, ("thinking",))):
        body, dropped = built(request)
        assert "thinking" not in body
        assert dropped == ("reasoning", *names)
    assert built(loop, ADAPTIVE)[0]["thinking"] == {"type": "adaptive"}
    assert built(forced, "claude-opus-4-8")[0]["thinking"] == {"type": "adaptive"}
    # Up to 4.7 a tool cannot be demanded of a model that thinks, adaptively or not.
    for model in ("claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-7"):
        body, dropped = built(forced, model)
        assert ("thinking" in body, body["tool_choice"]["type"], dropped) == (False, "any", ("reasoning",))
    assert built(
        chat(
            HI, AssistantMessage(parts=(CALL,)), RESULT, AssistantMessage(parts=(Text(text="x"),)), HI, reasoning=wanted
        )
    )[0]["thinking"]


def test_claudes_own_thoughts_go_back_while_it_thinks() -> None:
    hidden = Thinking(encrypted="enc", made_by="bedrock")
    bare = Thinking(text="no proof", made_by="anthropic")
    said = AssistantMessage(parts=(OWN, hidden, bare, CALL))
    body, dropped = built(chat(HI, said, RESULT, reasoning=Reasoning(budget_tokens=2000)))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "enc"},
    ]
    assert dropped == ("thinking",)
    body, _ = built(chat(HI, said, RESULT))
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]
    body, _ = built(chat(HI, said, RESULT), "claude-opus-5")
    assert len(body["messages"][1]["content"]) == 3, "it thinks without being asked"


@pytest.mark.parametrize(
    ("model", "given", "sent", "dropped"),
    [
        (
            "claude-sonnet-4-20250514",
            {"temperature": 0.2, "top_p": 0.9, "top_k": 3},
            ("temperature", "top_p", "top_k"),
            (),
        ),
        (BUDGETED, {"temperature": 0.2, "top_p": 0.9}, ("temperature",), ("top_p",)),
        (BUDGETED, {"top_p": 0.9}, ("top_p",), ()),
        (BUDGETED, {"temperature": 1.7}, (), ("temperature",)),
        (ADAPTIVE, {"temperature": 0.2, "top_p": 0.9, "top_k": 3}, (), ("temperature", "top_p", "top_k")),
        (ADAPTIVE, {"temperature": 1.0}, (), ()),
        (
            BUDGETED,
            {"temperature": 0.2, "top_k": 3, "reasoning": Reasoning(effort="low")},
            (),
            ("temperature", "top_k"),
        ),
        (BUDGETED, {"top_p": 0.97, "reasoning": Reasoning(effort="low")}, ("top_p",), ()),
    ],
)
def test_sampling(model: str, given: dict[str, Any], sent: tuple[str, ...], dropped: tuple[str, ...]) -> None:
    body, left_out = built(chat(**given), model)
    assert tuple(name for name in ("temperature", "top_p", "top_k") if name in body) == sent
    assert left_out == dropped


def test_models_are_known_by_prefix() -> None:
    assert traits_of("claude-opus-4@20250514") == traits_of("claude-opus-4-20250514")
    assert traits_of("anthropic/claude-opus-4-8") == traits_of("claude-opus-4-8") == traits_of("claude-new-9")
    assert traits_of("glm-4.6").thinking == "budget"


def test_half_a_surrogate_pair_is_refused() -> None:
    failure = WIRE.build(chat(UserMessage(parts=(Text(text="\ud83d"),))), call())
    assert isinstance(failure, Failure)
