"""Anthropic's Messages API on the wire: requests in, messages, events and errors out.

Source: Anthropic's API reference ("Messages", "Streaming Messages", "Errors", "Prompt caching"). `input_tokens` are
what was neither read from the cache nor written to it; `output_tokens` contain the thinking.
"""

import re
from typing import Any, Generic, TypeVar

import msgspec
import orjson

from deploy.local.vendors import anthropic_request as types
from deploy.local.vendors.anthropic_reading import messages_ask
from deploy.local.vendors.ask import Ask
from deploy.local.vendors.complaints import BodyReader, Complaint, NotJson
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.signatures import sign
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

_VERSIONS = frozenset({"2023-01-01", "2023-06-01", "2026-10-21"})
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "stop_sequence": "stop_sequence"}
_LIST_INDEX = re.compile(r"\[(\d+)\]")
_MODEL_CREATED_AT = "2025-01-01T00:00:00Z"


def endpoints() -> tuple[Endpoint, ...]:
    messages = AnthropicWire(types.MessagesRequest)
    count_tokens = AnthropicWire(types.CountRequest)
    return (
        Endpoint("POST", "/v1/messages", messages),
        Endpoint("POST", "/v1/messages/count_tokens", count_tokens),
        Endpoint("GET", "/v1/models", messages, only_with_header="anthropic-version", lists_models=True),
    )


_Request = TypeVar("_Request", bound=types.CountRequest)


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


class AnthropicWire(Wire, Generic[_Request]):
    garbage_body = b'{"id":"msg_garbage","type":"message","content":[{"ty'
    garbage_events = b'event: message_start\ndata: {"type":"mess\n\nevent: nonsense\ndata: <html>\n\n\x00\xff\n\n'
    request_id_header = "request-id"

    def __init__(self, request_type: type[_Request]) -> None:
        self._reader = BodyReader(request_type)
        self._peeker = msgspec.json.Decoder(_Peeked)

    def authorize(self, incoming: Incoming) -> None:
        """The key as `x-api-key`, or as a Bearer token, as newer versions of the official client send it."""
        headers = incoming.headers
        key = headers.get("x-api-key", "").strip() or headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise Refused(401, "x-api-key header is required")
        if key == "bad":
            raise self.wrong_key()
        version = headers.get("anthropic-version")
        if version is None:
            raise Refused(400, "header is required", param="anthropic-version")
        if version not in _VERSIONS:
            raise Refused(400, f"{version!r} is not a valid version", param="anthropic-version")
        media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if incoming.method == "POST" and media_type != "application/json":
            raise Refused(400, f"{media_type!r} is not application/json", param="content-type")

    def decode(self, incoming: Incoming) -> Ask:
        try:
            request = self._reader.read(incoming.body)
        except Complaint as complaint:
            raise _refusal(complaint) from None
        except NotJson:
            raise Refused(400, "The request body is not valid JSON") from None
        return messages_ask(request)

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = self._peeker.decode(incoming.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        stream = seen.stream if isinstance(seen.stream, bool) else None
        return (seen.model if isinstance(seen.model, str) else None), stream

    def sends_usage(self, ask: Ask) -> bool:
        return ask.task == "generate"

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        if ask.task == "count":
            return orjson.dumps({"input_tokens": plan.prompt_tokens})
        content = [_content_block(answer_id, plan, block) for block in plan.blocks]
        if ask.reasoning == "hidden":
            content.insert(0, {"type": "thinking", "thinking": "", "signature": sign("")})
        return orjson.dumps(
            {
                **_message_head(answer_id, ask),
                "content": content,
                "stop_reason": _STOP_REASONS[plan.finish_reason],
                "stop_sequence": plan.stop_sequence,
                **({"usage": {**_input_usage(plan), **_output_usage(plan)}} if usage_sent else {}),
            }
        )

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "AnthropicFrames":
        return AnthropicFrames(answer_id, ask, plan, usage_sent)

    def error_body(self, refused: Refused) -> bytes:
        return orjson.dumps({**_error(refused), "request_id": None})

    def wrong_key(self) -> Refused:
        return Refused(401, "invalid x-api-key")

    def too_long(self, prompt_tokens: int) -> Refused:
        return Refused(400, f"prompt is too long: {prompt_tokens} tokens > 1 maximum")

    def models_body(self, vendor: str, models: list[str]) -> bytes:
        data = [
            {"type": "model", "id": model, "display_name": model, "created_at": _MODEL_CREATED_AT} for model in models
        ]
        ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
        return orjson.dumps({"data": data, "has_more": False, **ends})


class AnthropicFrames:
    """Server-sent events of one message: blocks numbered from 0, each with its start, deltas and stop."""

    __slots__ = ("_answer_id", "_ask", "_blocks_before", "_plan", "_usage_sent")

    def __init__(self, answer_id: str, ask: Ask, plan: Plan, usage_sent: bool) -> None:
        self._answer_id = answer_id
        self._ask = ask
        self._plan = plan
        self._usage_sent = usage_sent
        self._blocks_before = 1 if ask.reasoning == "hidden" else 0

    def opening(self) -> bytes:
        plan = self._plan
        usage = {**_input_usage(plan), "output_tokens": min(1, plan.completion_tokens)}
        message = {
            **_message_head(self._answer_id, self._ask),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **({"usage": usage} if self._usage_sent else {}),
        }
        opening = _event({"type": "message_start", "message": message}) + _event({"type": "ping"})
        if self._blocks_before:
            # Thinking that is not shown: an empty block, but signed, because it has to be sent back.
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            opening += self._start(0, empty) + self._delta(0, {"type": "signature_delta", "signature": sign("")})
            opening += self._stop(0)
        return opening

    def piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        number = block.number + self._blocks_before
        piece = plan.pieces[index]
        start: dict[str, Any]
        if block.kind == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": piece}
        elif block.kind == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            delta = {"type": "thinking_delta", "thinking": piece}
        else:
            start = _tool_use(self._answer_id, block, {})
            delta = {"type": "input_json_delta", "partial_json": piece}
        event = self._delta(number, delta)
        if plan.starts_block(index):
            event = self._start(number, start) + event
        if plan.ends_block(index):
            if block.kind == "thinking":
                signature = sign(plan.text_of(block))
                event += self._delta(number, {"type": "signature_delta", "signature": signature})
            event += self._stop(number)
        return event

    def closing(self) -> bytes:
        plan = self._plan
        delta = {"stop_reason": _STOP_REASONS[plan.finish_reason], "stop_sequence": plan.stop_sequence}
        usage = {**_input_usage(plan), **_output_usage(plan)}
        # Of the whole; the split of the cache writes is in message_start alone.
        del usage["cache_creation"], usage["service_tier"]
        end = {"type": "message_delta", "delta": delta, **({"usage": usage} if self._usage_sent else {})}
        return _event(end) + _event({"type": "message_stop"})

    def error(self, refused: Refused) -> bytes:
        return _event(_error(refused))

    def _start(self, number: int, block: dict[str, Any]) -> bytes:
        return _event({"type": "content_block_start", "index": number, "content_block": block})

    def _delta(self, number: int, delta: dict[str, Any]) -> bytes:
        return _event({"type": "content_block_delta", "index": number, "delta": delta})

    def _stop(self, number: int) -> bytes:
        return _event({"type": "content_block_stop", "index": number})


def _event(data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), orjson.dumps(data))


def _message_head(answer_id: str, ask: Ask) -> dict[str, Any]:
    return {"id": f"msg_{answer_id}", "type": "message", "role": "assistant", "model": ask.model}


def _content_block(answer_id: str, plan: Plan, block: Block) -> dict[str, Any]:
    text = plan.text_of(block)
    match block.kind:
        case "text":
            return {"type": "text", "text": text}
        case "thinking":
            return {"type": "thinking", "thinking": text, "signature": sign(text)}
        case "tool":
            try:
                arguments = orjson.loads(text)
            except orjson.JSONDecodeError:
                # Cut by the token cap: an answer that is no stream cannot hold half an object.
                arguments = {}
            return _tool_use(answer_id, block, arguments)


def _tool_use(answer_id: str, block: Block, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{answer_id}_{block.call}", "name": block.tool_name, "input": arguments}


def _input_usage(plan: Plan) -> dict[str, Any]:
    written = plan.cache_write_tokens + plan.cache_write_1h_tokens
    return {
        "input_tokens": plan.prompt_tokens - plan.cached_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": plan.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": plan.cache_write_tokens,
            "ephemeral_1h_input_tokens": plan.cache_write_1h_tokens,
        },
        "service_tier": "standard",
    }


def _output_usage(plan: Plan) -> dict[str, Any]:
    details = {"output_tokens_details": {"thinking_tokens": plan.reasoning_tokens}} if plan.reasoning_tokens else {}
    return {"output_tokens": plan.completion_tokens, **details}


def _refusal(complaint: Complaint) -> Refused:
    """In Anthropic's words."""
    what = {"unknown": "Extra inputs are not permitted", "missing": "Field required"}
    return Refused(400, what.get(complaint.wrong, complaint.what), param=complaint.field or None)


def _error(refused: Refused) -> dict[str, Any]:
    status = refused.status
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = refused.message
    if refused.param is not None:
        # Anthropic writes a place in a list as one more step: messages.0.content.1.
        place = _LIST_INDEX.sub(r".\1", refused.param)
        message = f"{place}: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}}
