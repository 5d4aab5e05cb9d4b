"""Calls to Bedrock, and botocore's own description of its API to hold requests and fixtures against."""

import base64
import re
from collections.abc import Iterable
from typing import Any

import botocore.session
import msgspec
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from router_worker.canonical.answer import Answer
from router_worker.canonical.request import ChatRequest, Message, Text, UserMessage
from router_worker.vendors.bedrock.converse import BedrockConverse
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure
from tests.router_worker.event_stream_frames import event

HOST = "bedrock-runtime.us-west-2.amazonaws.com"
WIRE = BedrockConverse(VendorRow(name="bedrock", base_url=f"https://{HOST}", api_key_env=None, wire="bedrock"))
HAIKU_45 = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_41 = "us.anthropic.claude-opus-4-1-20250805-v1:0"
OPUS_46 = "us.anthropic.claude-opus-4-6-v1"
OPUS_47 = "us.anthropic.claude-opus-4-7"
NOVA_PRO = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
COMMAND = "cohere.command-r-plus-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
HI: tuple[Message, ...] = (UserMessage(parts=(Text(text="Hi"),)),)

SERVICE: ServiceModel = botocore.session.Session().get_service_model("bedrock-runtime")


def call(request: ChatRequest | None = None, model: str = SONNET_45, **fields: Any) -> VendorCall:
    streaming = request.streaming if request is not None else fields.pop("streaming", False)
    return VendorCall(
        body=b"{}",
        model_id=fields.pop("model_id", "some-model"),
        vendor_model=model,
        streaming=streaming,
        api_key=fields.pop("api_key", None),
        canonical=request,
        **fields,
    )


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest(**({"messages": HI} | fields))


def built(request: ChatRequest, model: str = SONNET_45, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body as JSON, held against botocore's model of it, and what was left out."""
    made = WIRE.build(request, call(request, model, **fields))
    assert isinstance(made, VendorRequest), made
    body: dict[str, Any] = msgspec.json.decode(made.body)
    check_request(made, body, model, streaming=request.streaming)
    return body, made.dropped


def refused(request: ChatRequest, model: str = SONNET_45, **fields: Any) -> Failure:
    made = WIRE.build(request, call(request, model, **fields))
    assert isinstance(made, Failure), made
    assert made.code == "unsupported_by_vendor"
    return made


def check_request(made: VendorRequest, body: dict[str, Any], model: str, *, streaming: bool) -> None:
    """The request is one that botocore would send: same path, same body, all limits kept."""
    operation = SERVICE.operation_model("ConverseStream" if streaming else "Converse")
    parameters = {"modelId": model} | strict(body, operation.input_shape)
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    serialized = create_serializer("rest-json").serialize_to_request(parameters, operation)
    assert serialized["url_path"] == made.url_path
    assert msgspec.json.decode(serialized["body"]) == body


def check_fixture(value: object, shape_name: str) -> None:
    shape = SERVICE.shape_for(shape_name)
    report = ParamValidator().validate(strict(value, shape), shape)
    assert not report.has_errors(), report.generate_report()


def strict(value: Any, shape: Any) -> Any:
    """The value with blobs decoded; checks what botocore's validator leaves to the service."""
    if getattr(shape, "is_document_type", False):
        return value
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict), (shape.name, value)
            assert value.keys() <= shape.members.keys(), (shape.name, value)
            if limits.get("union") or getattr(shape, "is_tagged_union", False):
                assert len(value) == 1, (shape.name, value)
            return {name: strict(member, shape.members[name]) for name, member in value.items()}
        case "list":
            assert isinstance(value, list), (shape.name, value)
            assert len(value) <= limits.get("max", len(value)), shape.name
            return [strict(member, shape.member) for member in value]
        case "map":
            return {name: strict(member, shape.value) for name, member in value.items()}
        case "blob":
            return base64.b64decode(value, validate=True)
        case "string":
            assert isinstance(value, str), (shape.name, value)
            assert value in (limits.get("enum") or [value]), (shape.name, value)
            assert len(value) <= limits.get("max", len(value)), (shape.name, value)
            assert "pattern" not in limits or re.fullmatch(limits["pattern"], value), (shape.name, value)
    return value


_EVENT_SHAPES = {
    "messageStart": "MessageStartEvent",
    "contentBlockStart": "ContentBlockStartEvent",
    "contentBlockDelta": "ContentBlockDeltaEvent",
    "contentBlockStop": "ContentBlockStopEvent",
    "messageStop": "MessageStopEvent",
    "metadata": "ConverseStreamMetadataEvent",
}


def usage(**more: Any) -> dict[str, Any]:
    return {"inputTokens": 12, "outputTokens": 34, "totalTokens": 46} | more


def stream_events(
    blocks: Iterable[tuple[dict[str, Any] | None, list[dict[str, Any]]]],
    stop: dict[str, Any],
    usage_figures: dict[str, Any],
) -> list[tuple[str, dict[str, Any]]]:
    """blocks: what each one's `start` is, if it has one, and its deltas."""
    events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for index, (start, deltas) in enumerate(blocks):
        if start is not None:
            events.append(("contentBlockStart", {"start": start, "contentBlockIndex": index}))
        events += [("contentBlockDelta", {"delta": delta, "contentBlockIndex": index}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events += [("messageStop", stop), ("metadata", {"usage": usage_figures, "metrics": {"latencyMs": 7}})]
    for name, payload in events:
        check_fixture(payload, _EVENT_SHAPES[name])
    return events


def stream_bytes(events: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    # `p` is the padding that Bedrock adds against guesses by length.
    return b"".join(event(name, payload | {"p": "abcdefgh"[: len(name) % 8]}) for name, payload in events)


def whole_body(content: list[dict[str, Any]], stop: dict[str, Any], usage_figures: dict[str, Any]) -> bytes:
    body = {
        "output": {"message": {"role": "assistant", "content": content}},
        "usage": usage_figures,
        "metrics": {"latencyMs": 7},
        **stop,
    }
    check_fixture(body, "ConverseResponse")
    return msgspec.json.encode(body)


def whole_answer(body: bytes, made_for: VendorCall | None = None) -> Answer:
    answer = WIRE.read_answer(made_for or call(), 200, {"x-amzn-requestid": "id-1"}, body)
    assert isinstance(answer, Answer), answer
    return answer
