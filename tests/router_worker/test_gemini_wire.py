"""Requests for Gemini from the canonical form."""

from typing import Any

import msgspec
import orjson
import pytest

from router_worker.canonical.request import (
    AssistantMessage,
    AssistantPart,
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
    UserPart,
)
from router_worker.vendors.gemini.signature import NO_SIGNATURE
from router_worker.vendors.gemini.wire import GeminiWire
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from tests.router_worker.gemini_samples import (
    ROW,
    VERTEX_ROW,
    call,
)

WIRE = GeminiWire(ROW)
PRO_3 = "gemini-3-pro-preview"
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer"}}}')
PNG = Inline(media_type="image/png", data="iVBORw==")


def user(*parts: UserPart | str) -> UserMessage:
    return UserMessage(parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: AssistantPart) -> AssistantMessage:
    return AssistantMessage(parts=parts)


def build(*messages: Message, model: str = "gemini-2.5-flash", **fields: Any) -> VendorRequest | Failure:
    request = ChatRequest(messages=messages or (user("hi"),), **fields)
    return WIRE.build(request, call(vendor_model=model, canonical=request, route_max_output_tokens=8192))


def body(*messages: Message, **fields: Any) -> Any:
    built = build(*messages, **fields)
    assert isinstance(built, VendorRequest), built
    return orjson.loads(built.body)


def refusal(*messages: Message, **fields: Any) -> str | None:
    built = build(*messages, **fields)
    assert isinstance(built, Failure), built
    assert (built.kind, built.code) == (FailureKind.INVALID_REQUEST, "unsupported_by_vendor")
    return built.param


def test_the_least_request() -> None:
    built = build()
    assert isinstance(built, VendorRequest)
    assert built.url_path == "/models/gemini-2.5-flash:generateContent"
    assert built.headers["x-goog-api-key"] == "secret"
    assert orjson.loads(built.body) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    request = ChatRequest(messages=(user("hi"),), streaming=True)
    vertex = GeminiWire(VERTEX_ROW).build(request, call(streaming=True))
    assert isinstance(vertex, VendorRequest)
    assert vertex.url_path == "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"


def test_all_settings() -> None:
    request = ChatRequest(
        messages=(user("hi"),),
        system=(Text(text="be"), Text(text="brief")),
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("a",),
        seed=7,
        response_format=JsonFormat(schema=SCHEMA),
        reasoning=Reasoning(budget_tokens=50, visible=True),
    )
    built = WIRE.build(request, call(max_output_tokens=80))
    assert isinstance(built, VendorRequest)
    assert built.dropped == ()
    found = orjson.loads(built.body)
    assert found["systemInstruction"] == {"parts": [{"text": "be"}, {"text": "brief"}]}
    assert found["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 80,
        "stopSequences": ["a"],
        "seed": 7,
        "responseMimeType": "application/json",
        "responseJsonSchema": orjson.loads(bytes(SCHEMA)),
        "thinkingConfig": {"thinkingBudget": 50, "includeThoughts": True},
    }


HISTORY: tuple[Message, ...] = (
    user("look", Image(source=PNG)),
    assistant(
        Thinking(text="t", signature="s", made_by="anthropic"),
        Thinking(text="own", signature="sig0", made_by="gemini"),
        Text(text="two calls"),
        ToolCall(call_id="c0", name="f", arguments='{"a":1.50}', signature="sig1"),
    ),
    assistant(ToolCall(call_id="c1", name="g", arguments="{}")),
    user(ToolResult(call_id="c0", name="f", parts=(Text(text="one"), Image(source=PNG))), "and"),
    user(ToolResult(call_id="c1", name="g", parts=(Text(text="no"),), is_error=True)),
)
IMAGE_PART = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}


def test_a_conversation_takes_turns() -> None:
    assert body(*HISTORY)["contents"] == [
        {"role": "user", "parts": [{"text": "look"}, IMAGE_PART]},
        {
            "role": "model",
            "parts": [
                {"text": "own", "thought": True, "thoughtSignature": "sig0"},
                {"text": "two calls"},
                {"functionCall": {"id": "c0", "name": "f", "args": {"a": 1.5}}, "thoughtSignature": "sig1"},
                {"functionCall": {"id": "c1", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c0", "name": "f", "response": {"output": "one"}}},
                IMAGE_PART,
                {"functionResponse": {"id": "c1", "name": "g", "response": {"error": "no"}}},
                {"text": "and"},
            ],
        },
    ]


def test_media_stand_inside_the_result_where_the_model_takes_that() -> None:
    response = body(*HISTORY, model=PRO_3)["contents"][2]["parts"][0]["functionResponse"]
    assert response == {"id": "c0", "name": "f", "response": {"output": "one"}, "parts": [IMAGE_PART]}


@pytest.mark.parametrize(
    ("model", "signatures", "wanted"),
    [
        (PRO_3, (None, None), (NO_SIGNATURE, None)),
        (PRO_3, ("own", None), ("own", None)),
        (PRO_3, (None, "own"), (NO_SIGNATURE, "own")),
        ("gemini-2.5-pro", (None, None), (None, None)),
    ],
)
def test_the_first_call_of_a_turn_is_signed(
    model: str, signatures: tuple[str | None, ...], wanted: tuple[str | None, ...]
) -> None:
    calls = [
        ToolCall(call_id=f"c{number}", name="f", arguments="{}", signature=signature)
        for number, signature in enumerate(signatures)
    ]
    results = [ToolResult(call_id=made.call_id, name="f", parts=()) for made in calls]
    parts = body(user("q"), assistant(*calls), user(*results), model=model)["contents"][1]["parts"]
    assert tuple(part.get("thoughtSignature") for part in parts) == wanted


def test_documents_and_addresses() -> None:
    pdf = Document(source=Inline(media_type="application/pdf", data="JVBE"), name="a.pdf")
    known = Image(source=Url(url="https://x/y", media_type="image/webp"))
    guessed = Image(source=Url(url="https://x/y.JPG?z=1"))
    assert body(user(pdf, known, guessed))["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/y"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/y.JPG?z=1"}},
    ]
    assert refusal(user(Image(source=Url(url="https://x/y")))) == "image URL"
    assert refusal(user(Document(source=Url(url="https://[x/y.pdf")))) == "document URL"


TOOL = Tool(name="f", description="d", parameters=SCHEMA)


@pytest.mark.parametrize(
    ("choice", "tool", "wanted"),
    [
        (None, TOOL, None),
        (ToolChoice(mode="auto"), TOOL, {"mode": "AUTO"}),
        (ToolChoice(mode="none"), TOOL, {"mode": "NONE"}),
        (ToolChoice(mode="required"), TOOL, {"mode": "ANY"}),
        (ToolChoice(mode="tool", name="f"), TOOL, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (None, Tool(name="f", strict=True), {"mode": "VALIDATED"}),
        (ToolChoice(mode="required"), Tool(name="f", strict=True), {"mode": "ANY"}),
    ],
)
def test_tools(choice: ToolChoice | None, tool: Tool, wanted: dict[str, Any] | None) -> None:
    found = body(tools=(tool,), tool_choice=choice)
    (declared,) = found["tools"][0]["functionDeclarations"]
    if tool is TOOL:
        assert declared == {"name": "f", "description": "d", "parametersJsonSchema": orjson.loads(bytes(SCHEMA))}
    else:
        assert declared == {"name": "f"}
    assert found.get("toolConfig") == (None if wanted is None else {"functionCallingConfig": wanted})


@pytest.mark.parametrize(
    ("model", "reasoning", "wanted"),
    [
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(effort="medium"), {"thinkingBudget": 4096}),
        ("gemini-2.5-flash", Reasoning(budget_tokens=99999), {"thinkingBudget": 8191}),
        ("gemini-2.5-flash-lite", Reasoning(budget_tokens=1), {"thinkingBudget": 512}),
        (
            "gemini-2.5-flash-lite",
            Reasoning(budget_tokens=0, visible=False),
            {"thinkingBudget": 0, "includeThoughts": False},
        ),
        ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128}),
        ("models/gemini-2.5-pro", Reasoning(visible=True), {"includeThoughts": True}),
        ("gemini-2.5-pro", Reasoning(), None),
        (PRO_3, Reasoning(effort="medium"), {"thinkingLevel": "HIGH"}),
        (PRO_3, Reasoning(effort="none"), {"thinkingLevel": "LOW"}),
        ("gemini-3-flash-preview", Reasoning(effort="none"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", Reasoning(effort="minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro", Reasoning(effort="medium"), {"thinkingLevel": "MEDIUM"}),
        (
            "gemini-flash-latest",
            Reasoning(effort="max", visible=True),
            {"thinkingLevel": "HIGH", "includeThoughts": True},
        ),
        (PRO_3, Reasoning(budget_tokens=20000), {"thinkingLevel": "HIGH"}),
        ("gemini-2.0-flash", Reasoning(effort="none"), None),
    ],
)
def test_reasoning(model: str, reasoning: Reasoning, wanted: dict[str, Any] | None) -> None:
    assert body(model=model, reasoning=reasoning).get("generationConfig", {}).get("thinkingConfig") == wanted


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": tuple("abcdef")}, "stop"),
        ({"tools": (TOOL,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": (TOOL,), "response_format": JsonFormat()}, "response_format"),
        ({"model": "gemini-2.0-flash", "reasoning": Reasoning(effort="low")}, "reasoning"),
    ],
)
def test_what_gemini_cannot_be_told(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields) == param


def test_one_call_of_a_named_tool_is_a_hint() -> None:
    """LangChain asks for it so, for every structured output."""
    named = ToolChoice(mode="tool", name=TOOL.name)
    built = build(user("q"), tools=(TOOL,), tool_choice=named, parallel_tool_calls=False)
    assert isinstance(built, VendorRequest)
    assert built.dropped == ("parallel_tool_calls",)


def test_what_it_cannot_be_shown() -> None:
    assert refusal(user("")) == "messages"
    broken = assistant(ToolCall(call_id="c", name="f", arguments='{"a":'))
    assert refusal(user("q"), broken) == "tool call arguments"
    request = ChatRequest(messages=(user("q"),))
    assert isinstance(WIRE.build(request, call(choices=2)), Failure)


def test_json_beside_tools_where_the_model_can() -> None:
    wanted = {"tools": (TOOL,), "response_format": JsonFormat()}
    assert body(model=PRO_3, **wanted)["generationConfig"] == {"responseMimeType": "application/json"}
    assert body(tool_choice=ToolChoice(mode="none"), **wanted)["generationConfig"]["responseMimeType"]


def test_hints_are_dropped_by_name() -> None:
    built = build(
        user(Text(text="hi", cache="5m"), Image(source=PNG, detail="high")),
        presence_penalty=0.5,
        frequency_penalty=0.0,
    )
    assert isinstance(built, VendorRequest)
    assert built.dropped == ("presence_penalty", "cache_control", "detail")
    older = body(model="gemini-2.0-flash", presence_penalty=0.5, frequency_penalty=0.0)
    assert older["generationConfig"] == {"presencePenalty": 0.5}
