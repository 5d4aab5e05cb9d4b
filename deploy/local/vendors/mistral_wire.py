"""Mistral's chat and FIM completions on the wire, where they differ from OpenAI's.

Sources: Mistral's API reference, the types of the official `mistralai` package (3.7), errors that callers report.
Thinking is a chunk of its own in a list of content; tool calls come whole, with ids of nine letters and digits; in a
stream the figures come unasked in the chunk that ends it.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.mistral_conversation import ERROR_TYPES, read_chat, read_fim
from deploy.local.vendors.mistral_request import ChatRequest, FimRequest
from deploy.local.vendors.strict_body import Misfit, NotJson, StrictReader
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

VENDORS = frozenset({"mistral", "sim-mistral"})
_MISFITS = {
    "unknown": ("extra_forbidden", "Extra inputs are not permitted"),
    "missing": ("missing", "Field required"),
    "type": ("type_error", ""),
    "value": ("value_error", ""),
}
_STATUS_ERRORS = {
    404: ("invalid_model", "1500"),
    429: ("rate_limited", "1300"),
}
_Request = TypeVar("_Request")


def endpoints() -> tuple[Endpoint, ...]:
    return (
        MistralEndpoint("POST", "/chat/completions", MistralChatWire()),
        MistralEndpoint("POST", "/fim/completions", MistralFimWire()),
    )


class MistralEndpoint(Endpoint):
    """Of Mistral alone: with any other vendor the path is OpenAI's, or there is no such path."""

    def matches(self, path: str) -> Mapping[str, str] | None:
        return super().matches(path) if path.split("/", 2)[1] in VENDORS else None


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


class _MistralWire(Wire):
    stream_content_type = "text/event-stream; charset=utf-8"
    garbage_body = b'{"id":"garbage","object":"chat.completion","choices":[{"index":0,"mess'
    request_id_header = "mistral-correlation-id"

    def authorize(self, incoming: Incoming) -> None:
        scheme, _, key = incoming.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key.strip() in ("", "bad"):
            raise Refused(401, "Unauthorized")
        media_type = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(415, f"Unsupported content type: {media_type!r}")

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = msgspec.json.decode(incoming.body, type=_Peeked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        stream = seen.stream if isinstance(seen.stream, bool) else None
        return (seen.model if isinstance(seen.model, str) else None), stream

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": _content(plan), "prefix": False, "tool_calls": None}
        calls = plan.all_of("tool")
        if calls:
            message["tool_calls"] = [_call(answer_id, plan, call) for call in calls]
        choices = [
            {"index": index, "message": message, "finish_reason": _finish(plan)} for index in range(plan.choices)
        ]
        answer = {**_head("chat.completion", answer_id, created, ask.model), "choices": choices}
        if usage_sent:
            answer["usage"] = _usage(plan)
        return orjson.dumps(answer)

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "MistralFrames":
        return MistralFrames(answer_id, created, ask.model, plan, usage_sent)

    def error_body(self, refused: Refused) -> bytes:
        return orjson.dumps(_error(refused))


class MistralChatWire(_MistralWire):
    def __init__(self) -> None:
        self._reader = StrictReader(ChatRequest)

    def decode(self, incoming: Incoming) -> Ask:
        return read_chat(_read(self._reader, incoming.body))


class MistralFimWire(_MistralWire):
    def __init__(self) -> None:
        self._reader = StrictReader(FimRequest)

    def decode(self, incoming: Incoming) -> Ask:
        return read_fim(_read(self._reader, incoming.body))


class MistralFrames:
    """Server-sent events of one streamed completion. With several choices each piece is sent for every one."""

    __slots__ = ("_answer_id", "_head", "_plan", "_usage_sent")

    def __init__(self, answer_id: str, created: int, model: str, plan: Plan, usage_sent: bool) -> None:
        self._answer_id = answer_id
        self._head = _head("chat.completion.chunk", answer_id, created, model)
        self._plan = plan
        self._usage_sent = usage_sent

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        if block.kind == "tool":
            call = _call(self._answer_id, plan, block)
            return self._chunk({"content": "", "tool_calls": [call]}) if plan.ends_block(index) else b""
        if block.kind == "thinking":
            return self._chunk({"content": [_thinking(plan.pieces[index])]})
        return self._chunk({"content": plan.pieces[index]})

    def closing(self) -> bytes:
        usage = _usage(self._plan) if self._usage_sent else None
        return self._chunk({"content": ""}, _finish(self._plan), usage) + b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        return b"data: %b\n\n" % orjson.dumps(_error(refused))

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
        events = []
        for index in range(self._plan.choices):
            chunk = {**self._head, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
            if usage is not None and index == self._plan.choices - 1:
                chunk["usage"] = usage
            events.append(b"data: %b\n\n" % orjson.dumps(chunk))
        return b"".join(events)


def _read(reader: StrictReader[_Request], body: bytes) -> _Request:
    try:
        return reader.read(body)
    except Misfit as misfit:
        raise _Unprocessable(misfit, body) from None
    except NotJson:
        raise Refused(400, "Invalid JSON in request body") from None


class _Unprocessable(Refused):
    """Answered with 422 and a list of what does not fit, each with the way that leads to it."""

    def __init__(self, misfit: Misfit, body: bytes) -> None:
        error_type, message = _MISFITS[misfit.kind]
        super().__init__(422, f"{misfit.indexed()}: {message or misfit.what}", param=misfit.indexed(), code=error_type)
        place: list[str | int] = ["body", *misfit.place]
        if len(place) > 3 and place[1] == "messages":
            # Between the index of a message and its field the vendor names the role.
            # A number beyond measure elsewhere in the body is what this parser stumbles over.
            with contextlib.suppress(orjson.JSONDecodeError):
                place.insert(3, str(orjson.loads(body)["messages"][misfit.place[1]].get("role")))
        self.detail = [{"type": error_type, "loc": place, "msg": message or misfit.what, "input": None}]


def _error(refused: Refused) -> dict[str, Any]:
    if refused.status == 401:
        return {"message": "Unauthorized", "request_id": "simulated"}
    if isinstance(refused, _Unprocessable):
        message: Any = {"detail": refused.detail}
        return {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": None}
    error_type, code = _STATUS_ERRORS.get(refused.status, ("invalid_request_error", refused.code))
    if refused.status >= 500:
        error_type, code = "internal_server_error", "1000"
    elif refused.code in ERROR_TYPES:
        error_type, code = ERROR_TYPES[refused.code], refused.code
    elif refused.code == "context_length_exceeded":
        error_type, code = "invalid_request_prompt", "3051"
    return {
        "object": "error",
        "message": refused.message,
        "type": error_type,
        "param": None,
        "code": code,
        "raw_status_code": refused.status,
    }


def _head(kind: str, answer_id: str, created: int, model: str) -> dict[str, Any]:
    return {"id": answer_id, "object": kind, "created": created, "model": model}


def _content(plan: Plan) -> str | list[dict[str, Any]]:
    thinking = plan.thinking()
    if not thinking:
        return plan.text()
    return [_thinking(thinking), {"type": "text", "text": plan.text()}]


def _thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _call(answer_id: str, plan: Plan, block: Block) -> dict[str, Any]:
    digest = hashlib.sha256(f"{answer_id} {block.call}".encode()).hexdigest()
    function = {"name": block.tool_name, "arguments": plan.text_of(block)}
    return {"id": digest[:9], "type": "function", "function": function, "index": block.call}


def _finish(plan: Plan) -> str:
    return "stop" if plan.finish_reason == "stop_sequence" else plan.finish_reason


def _usage(plan: Plan) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": plan.prompt_tokens,
        "completion_tokens": plan.completion_tokens,
        "total_tokens": plan.prompt_tokens + plan.completion_tokens,
    }
    if plan.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": plan.cached_tokens}
    return usage
