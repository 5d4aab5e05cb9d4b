"""Reading a generateContent body at the worker: what routing needs, and the whole of it in canonical form."""

import base64
from typing import Any

import orjson
import pytest

from router_worker.canonical.request import (
    AssistantMessage,
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
from router_worker.vendors.gemini.signature import wrapped
from tests.router_worker.gemini_bodies import PNG, USER, canonical, config, reading


def test_a_fast_reading_knows_what_routing_needs() -> None:
    body = {
        "contents": [
            {
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"fileData": {"fileUri": "https://x/y.pdf", "mimeType": "application/pdf"}},
                ]
            }
        ],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 9, "responseSchema": {"type": "OBJECT"}, "candidateCount": 2},
    }
    found = reading(body, streaming=True)
    assert found.needs == {"streaming", "tools", "tool_choice", "structured_output", "vision", "documents"}
    assert (found.max_output_tokens, found.choices, found.has_media, found.streaming) == (9, 2, True, True)
    assert reading({"contents": [USER]}).needs == frozenset()


def test_a_fast_reading_takes_snake_case() -> None:
    body = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
        "tools": [{"function_declarations": [{"name": "f"}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "generation_config": {"max_output_tokens": 9, "response_json_schema": {}, "candidate_count": 3},
    }
    found = reading(body)
    assert found.needs == {"tools", "tool_choice", "structured_output", "vision"}
    assert (found.max_output_tokens, found.choices, found.has_media) == (9, 3, True)


def test_a_whole_conversation() -> None:
    found = canonical(
        {"parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/PNG", "data": PNG}}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"text": "two calls", "thoughtSignature": "ignored"},
                {"functionCall": {"name": "f", "args": {"n": 12345678901234567890123}}, "thoughtSignature": "sig"},
                {"functionCall": {"name": "f", "args": {"n": 2}}},
                {"functionCall": {"name": "g", "id": "own"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"text": "here"},
                {"functionResponse": {"name": "g", "id": "own", "response": {"error": "broken"}}},
                {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                {
                    "functionResponse": {
                        "name": "f",
                        "response": {"result": [1, 2.50]},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                    }
                },
            ],
        },
        systemInstruction={"parts": [{"text": "be brief"}]},
    )
    image = Image(source=Inline(media_type="image/png", data=PNG))
    assert found.system == (Text(text="be brief"),)
    assert found.messages == (
        UserMessage(parts=(Text(text="look"), image)),
        AssistantMessage(
            parts=(
                Thinking(text="hm", made_by="gemini"),
                Text(text="two calls"),
                ToolCall(call_id="call_0", name="f", arguments='{"n": 12345678901234567890123}', signature="sig"),
                ToolCall(call_id="call_1", name="f", arguments='{"n": 2}'),
                ToolCall(call_id="own", name="g", arguments="{}"),
            )
        ),
        UserMessage(
            parts=(
                ToolResult(call_id="own", name="g", parts=(Text(text="broken"),), is_error=True),
                ToolResult(call_id="call_0", name="f", parts=(Text(text="one"),)),
                ToolResult(call_id="call_1", name="f", parts=(Text(text='{"result": [1, 2.5]}'), image)),
                Text(text="here"),
            )
        ),
    )


def test_made_ids_keep_clear_of_given_ones() -> None:
    found = canonical(
        USER,
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "id": "call_0"}}]},
    )
    calls = found.messages[1].parts
    assert [call.call_id for call in calls if isinstance(call, ToolCall)] == ["call_1", "call_0"]


def test_another_vendors_thought_comes_back_as_it_was() -> None:
    for thought in (
        Thinking(text="t", signature="a+/b==", made_by="anthropic"),
        Thinking(text="", encrypted="gAAA:x", made_by="openai"),
    ):
        signature = wrapped(thought)
        assert signature is not None
        for spelt in (signature, signature.replace("+", "-").replace("/", "_").rstrip("=")):
            part = {"text": thought.text, "thought": True, "thoughtSignature": spelt}
            found = canonical(USER, {"role": "model", "parts": [part]})
            assert found.messages[1] == AssistantMessage(parts=(thought,))


def test_files_by_address() -> None:
    found = canonical(
        {
            "parts": [
                {"fileData": {"fileUri": "https://x/a.pdf", "mimeType": "application/pdf", "displayName": "a"}},
                {"file_data": {"file_uri": "http://x/b", "mime_type": "image/webp"}},
            ]
        }
    )
    assert found.messages[0].parts == (
        Document(source=Url(url="https://x/a.pdf", media_type="application/pdf"), name="a"),
        Image(source=Url(url="http://x/b", media_type="image/webp")),
    )


def test_base64_is_taken_in_both_alphabets_and_given_on_in_the_standard_one() -> None:
    data = base64.urlsafe_b64encode(b"\xfb\xff\xfe!").decode().rstrip("=")
    found = canonical({"parts": [{"inlineData": {"mimeType": "text/plain", "data": data}}]})
    document = found.messages[0].parts[0]
    assert isinstance(document, Document)
    assert isinstance(document.source, Inline)
    assert document.source.data == base64.b64encode(b"\xfb\xff\xfe!").decode()


def test_settings() -> None:
    found = config(
        temperature=0.5,
        topP=0.9,
        topK=40.0,
        maxOutputTokens=100,
        stopSequences=["a", "b"],
        seed=7,
        presencePenalty=0.1,
        frequencyPenalty=0.2,
        candidateCount=1,
        responseModalities=["TEXT"],
        responseLogprobs=False,
    )
    assert (found.temperature, found.top_p, found.top_k, found.max_output_tokens) == (0.5, 0.9, 40, 100)
    assert (found.stop, found.seed, found.presence_penalty, found.frequency_penalty) == (("a", "b"), 7, 0.1, 0.2)
    assert found.dropped == ()


def test_snake_case_and_null_mean_the_same() -> None:
    snake = canonical(
        system_instruction={"parts": [{"text": "s"}]},
        generation_config={"max_output_tokens": 5, "top_k": 3, "thinking_config": {"include_thoughts": True}},
        tool_config=None,
        something_unknown=None,
        project_id="p",
        model="models/x",
    )
    camel = canonical(
        systemInstruction={"parts": [{"text": "s"}]},
        generationConfig={"maxOutputTokens": 5, "topK": 3, "thinkingConfig": {"includeThoughts": True}},
    )
    assert snake == camel


def test_arguments_and_schemas_are_not_renamed() -> None:
    found = canonical(
        USER,
        {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"mime_type": {"file_uri": 1}}}}]},
        tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": {"max_items": 1}}]}],
    )
    call = found.messages[1].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"mime_type": {"file_uri": 1}}'
    assert found.tools[0].parameters is not None
    assert bytes(found.tools[0].parameters) == b'{"max_items": 1}'


def test_googles_schema_becomes_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "nullable": True,
        "propertyOrdering": ["b", "a"],
        "required": ["a"],
        "properties": {
            "a": {"type": "STRING", "format": "enum", "enum": ["x", "y"], "nullable": True},
            "b": {"type": "ARRAY", "min_items": "1", "maxItems": "3", "items": {"type": "INTEGER", "minimum": 0}},
            "type": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": True},
        },
    }
    found = canonical(tools=[{"functionDeclarations": [{"name": "f", "description": "d", "parameters": schema}]}])
    (tool,) = found.tools
    assert (tool.name, tool.description, tool.strict) == ("f", "d", None)
    assert tool.parameters is not None
    converted = orjson.loads(bytes(tool.parameters))
    assert converted == {
        "type": ["object", "null"],
        "required": ["a"],
        "properties": {
            "b": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer", "minimum": 0}},
            "a": {"type": ["string", "null"], "enum": ["x", "y", None]},
            "type": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]},
        },
    }
    assert list(converted["properties"]) == ["b", "a", "type"]


@pytest.mark.parametrize(
    ("calling", "choice", "shown"),
    [
        (None, None, ["f", "g"]),
        ({"mode": "MODE_UNSPECIFIED"}, None, ["f", "g"]),
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), ["f", "g"]),
        ({"mode": "NONE", "allowedFunctionNames": ["f"]}, ToolChoice(mode="none"), ["f", "g"]),
        ({"mode": "ANY"}, ToolChoice(mode="required"), ["f", "g"]),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="required"), ["f", "g"]),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice(mode="tool", name="g"), ["g"]),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, ToolChoice(mode="auto"), ["g"]),
    ],
)
def test_tool_choice(calling: dict[str, Any] | None, choice: ToolChoice | None, shown: list[str]) -> None:
    found = canonical(
        tools=[{"functionDeclarations": [{"name": "f"}]}, {"functionDeclarations": [{"name": "g"}]}],
        toolConfig={"functionCallingConfig": calling},
    )
    assert found.tool_choice == choice
    assert [tool.name for tool in found.tools] == shown


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, (None,)),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}, (b'{"type":"string"}',)),
        ({"responseJsonSchema": {"type": "string"}}, (b'{"type": "string"}',)),
    ],
)
def test_response_format(fields: dict[str, Any], wanted: tuple[bytes | None] | None) -> None:
    found = config(**fields).response_format
    if wanted is None:
        assert found is None
    else:
        assert isinstance(found, JsonFormat)
        assert (None if found.schema is None else bytes(found.schema)) == wanted[0]


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        ({}, None),
        ({"thinkingBudget": 0}, Reasoning(budget_tokens=0)),
        ({"thinkingBudget": 500, "includeThoughts": True}, Reasoning(budget_tokens=500, visible=True)),
        ({"thinkingBudget": -1}, Reasoning()),
        ({"thinkingLevel": "low"}, Reasoning(effort="low")),
        ({"thinkingLevel": "MINIMAL", "includeThoughts": False}, Reasoning(effort="minimal", visible=False)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
    ],
)
def test_reasoning(thinking: dict[str, Any], wanted: Reasoning | None) -> None:
    assert config(thinkingConfig=thinking).reasoning == wanted


def test_hints_are_dropped_by_name() -> None:
    found = canonical(
        {"parts": [{"text": "hi", "mediaResolution": {"level": "LOW"}, "partMetadata": {"a": 1}}]},
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        labels={"team": "a"},
        serviceTier="flex",
        store=False,
        tools=[{"functionDeclarations": [{"name": "f", "response": {"type": "STRING"}}]}],
        toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}},
        generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"},
    )
    assert found.dropped == (
        "safetySettings",
        "serviceTier",
        "labels",
        "store",
        "generationConfig.mediaResolution",
        "tools.functionDeclarations.response",
        "toolConfig.functionCallingConfig.mode",
        "mediaResolution",
        "partMetadata",
    )
