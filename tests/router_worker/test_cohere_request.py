"""Canonical requests as Cohere takes them, checked against the documented request as strictly as the simulator does."""

import base64
import json
from typing import Any

import msgspec
import pytest

from deploy.local.vendors.cohere_request import ChatRequest as Documented
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
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from tests.router_worker.cohere_samples import WIRE, request
from tests.router_worker.openai_samples import call

SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}')
LOOK = Tool(name="look", description="d", parameters=SCHEMA)
GO = Tool(name="go")


def built(asked: ChatRequest, **changes: Any) -> tuple[dict[str, Any], VendorRequest]:
    made = WIRE.build(asked, call(**changes))
    assert isinstance(made, VendorRequest), made
    msgspec.json.decode(made.body, type=Documented)
    sent: dict[str, Any] = json.loads(made.body)
    return sent, made


def refused(**fields: Any) -> Failure:
    made = WIRE.build(request(**fields), call())
    assert isinstance(made, Failure)
    assert (made.kind, made.code) == (FailureKind.INVALID_REQUEST, "unsupported_by_vendor")
    return made


def test_the_least_request() -> None:
    sent, made = built(request(), attempt_id="t1")
    assert sent == {"model": "vendor/one", "stream": False, "messages": [{"role": "user", "content": "hi"}]}
    assert (made.url_path, made.dropped) == ("/v2/chat", ())
    assert made.headers["Authorization"] == "Bearer secret"
    assert made.headers["X-Tollhouse-Attempt-Id"] == "t1"
    assert built(request(), streaming=True)[1].headers["Accept"] == "text/event-stream"


def test_a_conversation() -> None:
    asked = request(
        system=(Text(text="be brief"), Text(text="be kind")),
        messages=(
            UserMessage(
                parts=(
                    Text(text="what is it?"),
                    Image(source=Inline(media_type="image/png", data="AAAA"), detail="low"),
                    Image(source=Url(url="https://x.test/a.png")),
                )
            ),
            AssistantMessage(
                parts=(
                    Thinking(text="I look."),
                    Thinking(text="of Claude", signature="s", made_by="anthropic"),
                    Text(text="One moment."),
                    ToolCall(call_id="c1", name="look", arguments='{"a":"b"}'),
                    ToolCall(call_id="c2", name="go", arguments="{}"),
                )
            ),
            UserMessage(
                parts=(
                    ToolResult(call_id="c1", name="look", parts=(Text(text="sun"),)),
                    ToolResult(call_id="c2", name="go", parts=(Text(text="a"), Text(text="b")), is_error=True),
                    Text(text="and?"),
                )
            ),
            AssistantMessage(parts=(Thinking(text="hm"),)),
            AssistantMessage(parts=(Thinking(text="hm"), Text(text="fine"))),
        ),
    )
    sent, made = built(asked)
    assert sent["messages"] == [
        {"role": "system", "content": "be brief\n\nbe kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "One moment."}],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":"b"}'}},
                {"id": "c2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
            ],
            "tool_plan": "I look.",
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": [{"type": "text", "text": "fine"}]},
    ]
    assert made.dropped == ("is_error", "thinking")


def test_a_plain_document_becomes_text() -> None:
    data = base64.b64encode("größe".encode()).decode()
    document = Document(source=Inline(media_type="text/plain", data=data), name="a.txt")
    sent, _ = built(request(messages=(UserMessage(parts=(document,)),)))
    assert sent["messages"] == [{"role": "user", "content": "a.txt\n\ngröße"}]


@pytest.mark.parametrize(
    ("choice", "names", "word"),
    [
        (None, ["look", "go"], None),
        (ToolChoice(mode="auto"), ["look", "go"], None),
        (ToolChoice(mode="none"), ["look", "go"], "NONE"),
        (ToolChoice(mode="required"), ["look", "go"], "REQUIRED"),
        (ToolChoice(mode="tool", name="go"), ["go"], "REQUIRED"),
    ],
)
def test_tools_and_their_choice(choice: ToolChoice | None, names: list[str], word: str | None) -> None:
    sent, _ = built(request(tools=(LOOK, GO), tool_choice=choice, parallel_tool_calls=True))
    assert [tool["function"]["name"] for tool in sent["tools"]] == names
    assert sent["tools"][-1] == {
        "type": "function",
        "function": {"name": "go", "parameters": {"type": "object", "properties": {}}},
    }
    assert sent.get("tool_choice") == word
    assert "strict_tools" not in sent


def test_one_strict_tool_makes_all_strict() -> None:
    strict = Tool(name="look", parameters=SCHEMA, strict=True)
    sent, _ = built(request(tools=(strict, GO)))
    assert sent["strict_tools"] is True
    assert "strict" not in sent["tools"][0]["function"]


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (JsonFormat(), {"type": "json_object"}),
        (JsonFormat(schema=SCHEMA), {"type": "json_object", "json_schema": json.loads(bytes(SCHEMA))}),
    ],
)
def test_structured_output(wanted: JsonFormat, sent: dict[str, Any]) -> None:
    assert built(request(response_format=wanted))[0]["response_format"] == sent


def test_sampling_within_bounds() -> None:
    sent, made = built(
        request(
            temperature=0.5, top_p=0.7, top_k=40, seed=7, frequency_penalty=0.5, stop=("a", "b"), max_output_tokens=9
        )
    )
    expected = {"temperature": 0.5, "p": 0.7, "k": 40, "seed": 7, "frequency_penalty": 0.5, "max_tokens": 9}
    assert {name: sent[name] for name in expected} == expected
    assert sent["stop_sequences"] == ["a", "b"]
    assert made.dropped == ()


def test_hints_out_of_bounds_are_dropped_and_named() -> None:
    sent, made = built(request(temperature=1.5, seed=-1, frequency_penalty=0.1, presence_penalty=0.2, top_p=1.0))
    assert made.dropped == ("presence_penalty", "seed", "temperature")
    assert sent["p"] == 0.99
    assert built(request(frequency_penalty=-1.0))[1].dropped == ("frequency_penalty",)
    assert built(request(frequency_penalty=0, presence_penalty=0.2))[0]["presence_penalty"] == 0.2
    assert built(request(system=(Text(text="x", cache="5m"),)))[1].dropped == ("cache_control",)


@pytest.mark.parametrize(
    ("asked", "cap", "sent"), [(None, None, None), (9, None, 9), (9, 5, 5), (3, 5, 3), (None, 5, 5)]
)
def test_the_lower_cap_holds(asked: int | None, cap: int | None, sent: int | None) -> None:
    assert built(request(max_output_tokens=asked), max_output_tokens=cap)[0].get("max_tokens") == sent


@pytest.mark.parametrize(
    ("reasoning", "sent"),
    [
        (None, None),
        (Reasoning(visible=True), {"type": "enabled"}),
        (Reasoning(effort="none"), {"type": "disabled"}),
        (Reasoning(budget_tokens=0), {"type": "disabled"}),
        (Reasoning(budget_tokens=300), {"type": "enabled", "token_budget": 300}),
        (Reasoning(budget_tokens=9999), {"type": "enabled", "token_budget": 999}),
        (Reasoning(effort="medium"), {"type": "enabled", "token_budget": 500}),
    ],
)
def test_thinking(reasoning: Reasoning | None, sent: dict[str, Any] | None) -> None:
    assert built(request(reasoning=reasoning, max_output_tokens=1000))[0].get("thinking") == sent


_PDF = Document(source=Inline(media_type="application/pdf", data="AAAA"))
_FAR = Document(source=Url(url="https://x.test/a.txt"))
_LATIN = Document(source=Inline(media_type="text/plain", data=base64.b64encode(b"\xff").decode()))
_SEEN = ToolResult(call_id="c", name="look", parts=(Image(source=Url(url="https://x.test/a.png")),))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": (LOOK,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": (LOOK,), "response_format": JsonFormat()}, "response_format"),
        ({"stop": ("1", "2", "3", "4", "5", "6")}, "stop"),
        ({"top_k": 501}, "top_k"),
        ({"messages": (UserMessage(parts=(_PDF,)),)}, "document"),
        ({"messages": (UserMessage(parts=(_FAR,)),)}, "document"),
        ({"messages": (UserMessage(parts=(_LATIN,)),)}, "document"),
        ({"messages": (UserMessage(parts=(_SEEN,)),)}, "tool result"),
    ],
)
def test_what_cohere_cannot_say_is_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


def test_one_call_of_a_named_tool_is_a_hint() -> None:
    """LangChain asks for it so, for every structured output."""
    named = ToolChoice(mode="tool", name=LOOK.name)
    _, sent = built(request(tools=(LOOK, GO), tool_choice=named, parallel_tool_calls=False))
    assert sent.dropped == ("parallel_tool_calls",)


def test_a_wire_is_stateless() -> None:
    assert WIRE.build(request(), call()) == WIRE.build(request(), call())
