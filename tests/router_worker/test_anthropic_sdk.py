"""Anthropic's own SDK reads what the surface writes, and its types take what the wire builds."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from ingress.surfaces.anthropic_messages import AnthropicMessages as Ingress
from router_worker.canonical.answer import Event, Finished, TextDelta, ToolCallDelta, ToolCallStarted, collect
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
    UserMessage,
)
from router_worker.surfaces.anthropic.messages import AnthropicMessages
from router_worker.vendors.anthropic.messages import AnthropicMessages as Vendor
from router_worker.vendors.anthropic.wire import AnthropicWire
from router_worker.vendors.vendor import ParsedResponse, VendorRequest
from schemas.failures import Failure, FailureKind
from tests.router_worker.anthropic_samples import RICH, ROW, WHOLE, call, stream
from tests.router_worker.test_anthropic_writing import RICH as EVENTS
from tests.router_worker.test_anthropic_writing import TOKENS, streamed, whole

Handler = Callable[[httpx2.Request], httpx2.Response]


def client(handler: Handler) -> anthropic.Anthropic:
    transport = httpx2.MockTransport(handler)
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="k", base_url="http://gateway.test", http_client=http, max_retries=0)


def answering(body: bytes, media_type: str = "application/json", status: int = 200) -> anthropic.Anthropic:
    headers = {"content-type": media_type}
    return client(lambda _: httpx2.Response(status, headers=headers, content=body))


def ask(sdk: anthropic.Anthropic) -> anthropic.types.Message:
    return sdk.messages.create(model="cat-1", max_tokens=5, messages=[{"role": "user", "content": "hi"}])


def ask_streaming(body: bytes) -> anthropic.types.Message:
    sdk = answering(body, "text/event-stream")
    with sdk.messages.stream(model="cat-1", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as events:
        return events.get_final_message()


def dumped(message: anthropic.types.Message) -> Any:
    return json.loads(message.to_json(exclude_none=True, exclude_unset=True))


def plain(message: dict[str, Any]) -> Any:
    return {name: value for name, value in message.items() if value is not None}


def test_a_translated_answer() -> None:
    body = AnthropicMessages().write_answer(collect(EVENTS, TOKENS), call())
    assert dumped(ask(answering(body))) == plain(whole(EVENTS))


def test_a_translated_stream() -> None:
    assert dumped(ask_streaming(streamed(EVENTS))) == plain(whole(EVENTS))


def test_a_passed_answer_and_stream() -> None:
    parsed = Vendor(ROW).parse_response(call(), 200, {}, json.dumps(WHOLE).encode())
    assert isinstance(parsed, ParsedResponse)
    expected = plain(WHOLE | {"model": "cat-1"})
    assert dumped(ask(answering(parsed.body_for_client))) == expected
    parser = Vendor(ROW).open_stream(call(streaming=True))
    assert dumped(ask_streaming(parser.feed(stream(RICH)) + parser.finish())) == expected


def test_heartbeats_are_passed_over_and_errors_raised() -> None:
    events: list[Event] = [TextDelta(text="x"), Finished(reason="stop")]
    body = streamed(events)
    cut = body.index(b"event: content_block_stop")
    message = ask_streaming(body[:cut] + Ingress.heartbeat + body[cut:])
    assert message.content[0].type == "text"
    broken = Ingress().error_event(Failure(kind=FailureKind.VENDOR_BROKE_OFF), "req_1")
    with pytest.raises(anthropic.APIStatusError) as raised:
        ask_streaming(body[:cut] + broken)
    assert raised.value.type == "api_error"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(kind=FailureKind.INVALID_REQUEST, param="tools"), anthropic.BadRequestError),
        (Failure(kind=FailureKind.INVALID_API_KEY), anthropic.AuthenticationError),
        (Failure(kind=FailureKind.MODEL_NOT_FOUND), anthropic.NotFoundError),
        (Failure(kind=FailureKind.VENDOR_RATE_LIMITED), anthropic.RateLimitError),
        (Failure(kind=FailureKind.OVERLOADED), anthropic.InternalServerError),
    ],
)
def test_errors(failure: Failure, expected: type[anthropic.APIStatusError]) -> None:
    sdk = answering(Ingress().error_body(failure, "req_1"), status=failure.http_status)
    with pytest.raises(expected) as raised:
        ask(sdk)
    assert raised.value.body == json.loads(Ingress().error_body(failure, "req_1"))


def test_a_call_of_a_tool_streams_its_input() -> None:
    events: list[Event] = [
        ToolCallStarted(index=0, call_id="c", name="n"),
        ToolCallDelta(index=0, arguments='{"a"'),
        ToolCallDelta(index=0, arguments=":1}"),
        Finished(reason="tool_calls"),
    ]
    block = ask_streaming(streamed(events)).content[0]
    assert block.type == "tool_use"
    assert block.input == {"a": 1}


PARAMS: TypeAdapter[MessageCreateParamsNonStreaming] = TypeAdapter(MessageCreateParamsNonStreaming)


def settled(value: Any) -> Any:
    """The SDK's types read lists only when they are walked through, and leave out fields that they do not know."""
    if isinstance(value, dict):
        return {name: settled(each) for name, each in value.items()}
    return value if isinstance(value, str | int | float | None) else [settled(each) for each in value]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5-20250929", "claude-opus-4-7", "claude-opus-5"])
@pytest.mark.parametrize("reasoning", [None, Reasoning(effort="high", visible=False), Reasoning(effort="none")])
def test_what_the_wire_builds_is_what_the_sdk_would_send(model: str, reasoning: Reasoning | None) -> None:
    request = ChatRequest(
        system=(Text(text="s", cache="1h"),),
        messages=(
            UserMessage(parts=(Text(text="x"), Image(source=Inline(media_type="image/png", data="aGk=")))),
            AssistantMessage(
                parts=(
                    Thinking(text="hm", signature="s", made_by="anthropic"),
                    ToolCall(call_id="c", name="n", arguments='{"a":1}'),
                )
            ),
            UserMessage(
                parts=(
                    ToolResult(call_id="c", name="n", parts=(Text(text="r"),), is_error=True),
                    Document(source=Inline(media_type="text/plain", data="aGk="), name="d"),
                    Document(source=Inline(media_type="application/pdf", data="aGk=")),
                )
            ),
        ),
        tools=(Tool(name="n", parameters=msgspec.Raw(b'{"type":"object"}'), strict=True, cache="5m"),),
        tool_choice=ToolChoice(mode="auto"),
        parallel_tool_calls=False,
        response_format=JsonFormat(schema=msgspec.Raw(b'{"type":"object"}')),
        reasoning=reasoning,
        stop=("E",),
    )
    made = AnthropicWire(ROW).build(request, call(vendor_model=model))
    assert isinstance(made, VendorRequest)
    assert settled(PARAMS.validate_json(made.body)) == json.loads(made.body)
