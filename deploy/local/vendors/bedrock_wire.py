"""Amazon Bedrock's Converse and ConverseStream on the wire.

Sources: the service description of `bedrock-runtime` in botocore 1.44 and the Converse API reference. `inputTokens`
leaves out what was read from or written to the cache; `totalTokens` has it all. A text block of a stream has no
`contentBlockStart`, a tool call has one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.bedrock_conversation import read_request, signature_of, signs_thinking
from deploy.local.vendors.bedrock_events import CONTENT_TYPE, event, exception
from deploy.local.vendors.bedrock_request import ConverseRequest
from deploy.local.vendors.bedrock_signature import BadSignatureError, verify
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.strict_body import Misfit, NotJson, StrictReader
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

_ERROR_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_STREAM_EXCEPTIONS = {
    400: "validationException",
    429: "throttlingException",
    503: "serviceUnavailableException",
}
_STOP_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
_LATENCY_MS = 7


def endpoints(clock: Callable[[], float]) -> tuple[Endpoint, ...]:
    """`clock` in unix seconds: signatures expire."""
    return (
        Endpoint("POST", "/model/{model}/converse", BedrockWire(clock, stream=False)),
        Endpoint("POST", "/model/{model}/converse-stream", BedrockWire(clock, stream=True)),
    )


class BedrockWire(Wire):
    stream_content_type = CONTENT_TYPE
    garbage_body = b'{"output":{"message":{"content":[{"te'
    # A whole event, and one whose payload does not fit its checksum.
    garbage_events = event("messageStart", b'{"role":"assistant"}') + event(
        "messageStop", b'{"stopReason":"x"}'
    ).replace(b'"x"', b'"y"')
    request_id_header = "x-amzn-RequestId"

    def __init__(self, clock: Callable[[], float], stream: bool) -> None:
        self._clock = clock
        self._stream = stream
        self._reader = StrictReader(ConverseRequest)

    def authorize(self, incoming: Incoming) -> None:
        authorization = incoming.headers.get("Authorization", "")
        scheme, _, key = authorization.partition(" ")
        if not authorization:
            raise Refused(403, "Missing Authentication Token", code="MissingAuthenticationTokenException")
        if scheme.lower() == "bearer":
            if key.strip() in ("", "bad"):
                message = "Authentication failed: Please make sure your API Key is valid."
                raise Refused(403, message, code="AccessDeniedException")
        else:
            try:
                verify(incoming, self._clock())
            except BadSignatureError as bad:
                raise Refused(403, bad.message, code=bad.code) from None
        media_type = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(415, f"Unsupported content type: {media_type!r}.", code="UnsupportedMediaTypeException")

    def decode(self, incoming: Incoming) -> Ask:
        try:
            request = self._reader.read(incoming.body)
        except Misfit as misfit:
            place = misfit.dotted()
            raise Refused(400, f"Malformed input request: {misfit.what} at {place}.", param=place) from None
        except NotJson:
            raise Refused(400, "The request body is not valid JSON.", code="SerializationException") from None
        return read_request(incoming.path_params["model"], self._stream, request)

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        return incoming.path_params["model"], self._stream

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        content = [_content(answer_id, ask.model, plan, block) for block in plan.blocks]
        answer = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _STOP_REASONS[plan.finish_reason],
            "metrics": {"latencyMs": _LATENCY_MS},
            **_additional_fields(ask, plan),
        }
        if usage_sent:
            answer["usage"] = _usage(plan)
        return orjson.dumps(answer)

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "BedrockFrames":
        return BedrockFrames(answer_id, ask, plan, usage_sent)

    def error_body(self, refused: Refused) -> bytes:
        message = refused.message
        if refused.code == "context_length_exceeded":
            message = f"Input is too long for requested model. {message}"
        return orjson.dumps({"message": message})

    def error_headers(self, refused: Refused) -> Mapping[str, str]:
        return {"x-amzn-ErrorType": _error_type(refused)}


class BedrockFrames:
    """Events of one streamed answer."""

    __slots__ = ("_answer_id", "_ask", "_plan", "_usage_sent")

    def __init__(self, answer_id: str, ask: Ask, plan: Plan, usage_sent: bool) -> None:
        self._answer_id = answer_id
        self._ask = ask
        self._plan = plan
        self._usage_sent = usage_sent

    def opening(self) -> bytes:
        return _event("messageStart", {"role": "assistant"})

    def piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        piece = plan.pieces[index]
        start = b""
        if block.kind == "tool":
            if plan.starts_block(index):
                call = {"toolUseId": _tool_use_id(self._answer_id, block.call), "name": block.tool_name}
                start = _event("contentBlockStart", {"start": {"toolUse": call}, "contentBlockIndex": block.number})
            delta: dict[str, Any] = {"toolUse": {"input": piece}}
        elif block.kind == "thinking":
            delta = {"reasoningContent": {"text": piece}}
        else:
            delta = {"text": piece}
        events = start + _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": block.number})
        return events + self._end_of(block) if plan.ends_block(index) else events

    def closing(self) -> bytes:
        stop = {"stopReason": _STOP_REASONS[self._plan.finish_reason], **_additional_fields(self._ask, self._plan)}
        end = _event("messageStop", stop)
        metadata: dict[str, Any] = {"metrics": {"latencyMs": _LATENCY_MS}}
        if self._usage_sent:
            metadata["usage"] = _usage(self._plan)
        return end + _event("metadata", metadata)

    def error(self, refused: Refused) -> bytes:
        kind = _STREAM_EXCEPTIONS.get(refused.status, "modelStreamErrorException")
        payload: dict[str, Any] = {"message": refused.message}
        if kind == "modelStreamErrorException":
            payload |= {"originalStatusCode": refused.status, "originalMessage": refused.message}
        return exception(kind, orjson.dumps(payload))

    def _end_of(self, block: Block) -> bytes:
        signed = b""
        if block.kind == "thinking" and signs_thinking(self._ask.model):
            delta = {"reasoningContent": {"signature": signature_of(self._plan.text_of(block))}}
            signed = _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": block.number})
        return signed + _event("contentBlockStop", {"contentBlockIndex": block.number})


def _event(event_type: str, payload: dict[str, Any]) -> bytes:
    return event(event_type, orjson.dumps(payload))


def _content(answer_id: str, model: str, plan: Plan, block: Block) -> dict[str, Any]:
    text = plan.text_of(block)
    if block.kind == "tool":
        return {
            "toolUse": {
                "toolUseId": _tool_use_id(answer_id, block.call),
                "name": block.tool_name,
                "input": _whole_object(text),
            }
        }
    if block.kind == "thinking":
        signed = {"signature": signature_of(text)} if signs_thinking(model) else {}
        return {"reasoningContent": {"reasoningText": {"text": text, **signed}}}
    return {"text": text}


def _additional_fields(ask: Ask, plan: Plan) -> dict[str, Any]:
    """What was asked for of the model's own answer; the one field that is played is `/stop_sequence`."""
    if "/stop_sequence" not in ask.extra or plan.finish_reason != "stop_sequence":
        return {}
    return {"additionalModelResponseFields": {"stop_sequence": plan.stop_sequence}}


def _whole_object(arguments: str) -> Any:
    """A call that the token cap cut has no object to show; Bedrock then gives an empty one."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}


def _usage(plan: Plan) -> dict[str, Any]:
    written = plan.cache_write_tokens + plan.cache_write_1h_tokens
    usage: dict[str, Any] = {
        "inputTokens": plan.prompt_tokens - plan.cached_tokens - written,
        "outputTokens": plan.completion_tokens,
        "totalTokens": plan.prompt_tokens + plan.completion_tokens,
        "cacheReadInputTokens": plan.cached_tokens,
        "cacheWriteInputTokens": written,
    }
    details = [("5m", plan.cache_write_tokens), ("1h", plan.cache_write_1h_tokens)]
    if written:
        usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in details if tokens]
    return usage


def _tool_use_id(answer_id: str, call: int) -> str:
    return f"tooluse_{answer_id}_{call}"


def _error_type(refused: Refused) -> str:
    if refused.code is not None and refused.code.endswith("Exception"):
        return refused.code
    return _ERROR_TYPES.get(
        refused.status, "ValidationException" if refused.status < 500 else "InternalServerException"
    )
