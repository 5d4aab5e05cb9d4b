"""Tools, the choice among them and structured output in requests to Converse, each held against botocore's model."""

from typing import Any

import msgspec
import pytest

from router_worker.canonical.request import (
    AssistantMessage,
    Image,
    Inline,
    JsonFormat,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UserMessage,
)
from tests.router_worker.bedrock_samples import (
    COMMAND,
    HAIKU_45,
    HI,
    MISTRAL,
    NOVA_2,
    NOVA_PRO,
    OPUS_41,
    OPUS_46,
    OPUS_47,
    SONNET_45,
    built,
    chat,
    refused,
)

ASK = {"role": "user", "content": [{"text": "Hi"}]}
PNG = Inline(media_type="image/png", data="iVBORw0KGgo=")
CLOSED = msgspec.Raw(
    b'{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}'
)
OPEN = msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer"}}}')
WEATHER = Tool(name="weather", description="Tells it.", parameters=OPEN)
WEATHER_SPEC: dict[str, Any] = {
    "name": "weather",
    "description": "Tells it.",
    "inputSchema": {"json": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}
USED_TOOLS = (
    *HI,
    AssistantMessage(
        parts=(
            Text(text="Let me look."),
            ToolCall(call_id="t1", name="weather", arguments='{"n": 12345678901234567890}'),
            ToolCall(call_id="t2", name="weather", arguments=""),
        )
    ),
    UserMessage(parts=(ToolResult(call_id="t1", name="weather", parts=(Text(text="Rain"), Image(source=PNG))),)),
    UserMessage(parts=(ToolResult(call_id="t2", name="weather", parts=(Text(text="no"),), is_error=True),)),
    UserMessage(parts=(Text(text="And?"),)),
)


def test_tools_and_their_results() -> None:
    body, dropped = built(chat(messages=USED_TOOLS, tools=(WEATHER, Tool(name="now", strict=True))))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "Let me look."},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"n": 12345678901234567890}}},
                {"toolUse": {"toolUseId": "t2", "name": "weather", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "t1",
                        "content": [
                            {"text": "Rain"},
                            {"image": {"format": "png", "source": {"bytes": PNG.data}}},
                        ],
                    }
                },
                {"toolResult": {"toolUseId": "t2", "content": [{"text": "no"}], "status": "error"}},
                {"text": "And?"},
            ],
        },
    ]
    now = {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": WEATHER_SPEC}, {"toolSpec": now | {"strict": True}}]}
    assert dropped == ()
    body, dropped = built(chat(messages=USED_TOOLS, tools=(WEATHER, Tool(name="now", strict=True))), COMMAND)
    assert "status" not in body["messages"][2]["content"][1]["toolResult"]
    assert body["toolConfig"]["tools"][1] == {"toolSpec": now}
    assert dropped == ("strict", "is_error")


def test_ids_of_other_vendors_are_replaced_alike_in_call_and_result() -> None:
    odd = "chatcmpl|tool/1 " + "x" * 80
    messages = (
        *HI,
        AssistantMessage(parts=(ToolCall(call_id=odd, name="weather", arguments="{}"),)),
        UserMessage(parts=(ToolResult(call_id=odd, name="weather", parts=()),)),
    )
    body, _ = built(chat(messages=messages, tools=(WEATHER,)))
    (use,), (result,) = body["messages"][1]["content"], body["messages"][2]["content"]
    assert use["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"]
    assert result["toolResult"]["content"] == []


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", name="weather"), {"tool": {"name": "weather"}}),
    ],
)
def test_tool_choice(mode: ToolChoice, sent: dict[str, Any]) -> None:
    for model in (OPUS_41, NOVA_PRO):
        body, _ = built(chat(tools=(WEATHER,), tool_choice=mode, parallel_tool_calls=True), model)
        assert body["toolConfig"] == {"tools": [{"toolSpec": WEATHER_SPEC}], "toolChoice": sent}
    if mode.mode != "auto":
        assert refused(chat(tools=(WEATHER,), tool_choice=mode), COMMAND).param == "tool_choice"


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        (None, {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="tool", name="weather"), {"type": "tool", "name": "weather"}),
    ],
)
def test_one_call_at_a_time(mode: ToolChoice | None, sent: dict[str, Any]) -> None:
    request = chat(tools=(WEATHER,), tool_choice=mode, parallel_tool_calls=False)
    body, _ = built(request, SONNET_45)
    assert body["toolConfig"] == {"tools": [{"toolSpec": WEATHER_SPEC}]}
    assert body["additionalModelRequestFields"] == {"tool_choice": sent | {"disable_parallel_tool_use": True}}
    if request.names_a_tool:
        assert built(request, NOVA_PRO)[1] == ("parallel_tool_calls",)
    else:
        assert refused(request, NOVA_PRO).param == "parallel_tool_calls"
    built(chat(parallel_tool_calls=False), NOVA_PRO)


def test_no_tools_now() -> None:
    none = ToolChoice(mode="none")
    assert built(chat(tools=(WEATHER,), tool_choice=none)) == ({"messages": [ASK]}, ())
    body, _ = built(chat(messages=USED_TOOLS, tools=(WEATHER,), tool_choice=none))
    assert body["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    assert refused(chat(messages=USED_TOOLS, tools=(WEATHER,), tool_choice=none), NOVA_PRO).param == "tool_choice"
    assert refused(chat(messages=USED_TOOLS)).param == "tools"


@pytest.mark.parametrize(
    ("request_fields", "param"),
    [
        ({"tools": (Tool(name="a.b"),)}, "tool name"),
        ({"tools": (Tool(name="x" * 65),)}, "tool name"),
        (
            {"messages": (*HI, AssistantMessage(parts=(ToolCall(call_id="1", name="f", arguments="[1]"),)))},
            "tool call arguments",
        ),
        (
            {"messages": (*HI, AssistantMessage(parts=(ToolCall(call_id="1", name="f", arguments='{"a":'),)))},
            "tool call arguments",
        ),
    ],
)
def test_tools_that_bedrock_would_refuse(request_fields: dict[str, Any], param: str) -> None:
    assert refused(chat(**{"tools": (WEATHER,)} | request_fields)).param == param


NATIVE = {
    "textFormat": {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": bytes(CLOSED).decode(), "name": "numbers", "description": "Some"}},
    }
}


@pytest.mark.parametrize(
    ("model", "fields", "way"),
    [
        (SONNET_45, {}, "native"),
        (SONNET_45, {"tools": (WEATHER,)}, "native"),
        (OPUS_46, {"reasoning": Reasoning(effort="high")}, "native"),
        (MISTRAL, {}, "native"),
        (HAIKU_45, {}, "tool"),
        (HAIKU_45, {"tools": (WEATHER,)}, "native"),
        (OPUS_41, {}, "tool"),
        (OPUS_47, {}, "tool"),
        (NOVA_PRO, {}, "tool"),
        (NOVA_2, {"reasoning": Reasoning(effort="none")}, "tool"),
        (OPUS_41, {"tools": (WEATHER,)}, "refused"),
        (OPUS_47, {"reasoning": Reasoning(effort="high")}, "tool"),
        (OPUS_47, {"tools": (WEATHER,)}, "refused"),
        (HAIKU_45, {"reasoning": Reasoning(effort="high")}, "native"),
        (COMMAND, {}, "refused"),
    ],
)
def test_structured_output(model: str, fields: dict[str, Any], way: str) -> None:
    request = chat(response_format=JsonFormat(schema=CLOSED, name="numbers", description="Some"), **fields)
    if way == "refused":
        assert refused(request, model).param == "response_format"
        return
    body, _ = built(request, model)
    if way == "native":
        assert body["outputConfig"]["textFormat"] == NATIVE["textFormat"]
        assert "toolChoice" not in body.get("toolConfig", {})
    else:
        assert "textFormat" not in body.get("outputConfig", {})
        spec = {
            "name": "answer",
            "description": "Some",
            "inputSchema": {"json": msgspec.json.decode(CLOSED)},
        }
        assert body["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}


@pytest.mark.parametrize("model", [NOVA_2, OPUS_41])
def test_thinking_yields_to_the_shape_of_the_answer(model: str) -> None:
    request = chat(response_format=JsonFormat(schema=CLOSED), reasoning=Reasoning(effort="low"))
    body, dropped = built(request, model)
    assert "toolConfig" in body
    assert "additionalModelRequestFields" not in body
    assert dropped == ("reasoning",)
    assert refused(request, NOVA_PRO).param == "reasoning"
    thinks, dropped = built(request, OPUS_47)
    assert thinks["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}
    assert dropped == ()


def test_schemas_that_structured_output_refuses_go_by_a_tool() -> None:
    assert "toolConfig" in built(chat(response_format=JsonFormat(schema=OPEN)))[0]
    assert "outputConfig" in built(chat(response_format=JsonFormat(schema=OPEN), tools=(WEATHER,)))[0]
    thinks = chat(response_format=JsonFormat(schema=OPEN), reasoning=Reasoning(effort="high"))
    assert "outputConfig" in built(thinks, SONNET_45)[0]
    assert refused(chat(response_format=JsonFormat())).param == "response_format"
    array = JsonFormat(schema=msgspec.Raw(b'{"type":"array","items":{"type":"string"}}'))
    assert refused(chat(response_format=array), NOVA_PRO).param == "response_format"


def test_json_by_a_tool_is_not_for_conversations_that_have_used_others() -> None:
    request = chat(messages=USED_TOOLS, response_format=JsonFormat(schema=CLOSED))
    assert refused(request, NOVA_PRO).param == "response_format"
