"""The response object and its output items, as OpenAI's Responses API writes them.

Source: OpenAI API reference, "The response object", as mirrored in the types of the `openai` package 3.54. Whole
answers and streams build their objects here, so that they are the same.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from router_worker.canonical.answer import FinishReason
from router_worker.vendors.json_fields import Fields, read_fields
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts

Json = dict[str, Any]

_ECHOED: tuple[tuple[str, Any], ...] = (
    ("instructions", None),
    ("max_output_tokens", None),
    ("max_tool_calls", None),
    ("metadata", {}),
    ("parallel_tool_calls", True),
    ("prompt_cache_key", None),
    ("safety_identifier", None),
    ("temperature", 1.0),
    ("tool_choice", "auto"),
    ("tools", []),
    ("top_logprobs", 0),
    ("top_p", 1.0),
    ("truncation", "disabled"),
    ("user", None),
)
_NO_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_REASONING = {"effort": None, "summary": None}
_TEXT = {"format": {"type": "text"}}

_INCOMPLETE: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    # This API says a refusal by its text alone, which a stream has sent before the reason is known.
    "refusal": "content_filter",
}


@dataclass(frozen=True, slots=True)
class Ids:
    """Made of the attempt's answer id, so that a stream and its whole answer agree."""

    answer_id: str

    @property
    def response(self) -> str:
        return f"resp_{self.answer_id}"

    def item(self, kind: str, output_index: int) -> str:
        prefix = {"message": "msg", "reasoning": "rs", "function_call": "fc"}[kind]
        return f"{prefix}_{self.answer_id}_{output_index}"


class ResponseObject:
    """One response, in each of its states; what the client asked for is repeated in it."""

    def __init__(self, call: VendorCall) -> None:
        self._call = call
        self._asked = _given(read_fields(call.body))

    def write(
        self,
        output: list[Json],
        *,
        reason: FinishReason | None = None,
        tokens: TokenCounts | None = None,
    ) -> Json:
        """`reason` None: not finished yet."""
        incomplete = None if reason is None else _INCOMPLETE.get(reason)
        status = "in_progress" if reason is None else "incomplete" if incomplete else "completed"
        echoed = {name: self._asked.get(name, default) for name, default in _ECHOED}
        return {
            "id": Ids(self._call.answer_id).response,
            "object": "response",
            "created_at": self._call.now_ms // 1000,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": self._call.model_id,
            "output": output,
            "previous_response_id": None,
            "reasoning": _over(_REASONING, self._asked.get("reasoning")),
            "service_tier": "default",
            "store": False,
            "text": _over(_TEXT, self._asked.get("text")),
            "usage": None if tokens is None else _usage(tokens),
            **echoed,
        }


def reasoning_item(item_id: str, summary: list[str], encrypted_content: str | None, *, status: str) -> Json:
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [summary_part(text) for text in summary],
        "encrypted_content": encrypted_content,
        "status": status,
    }


def message_item(item_id: str, texts: list[str], *, status: str) -> Json:
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [text_part(text) for text in texts],
    }


def call_item(item_id: str, call_id: str, name: str, arguments: str, *, status: str) -> Json:
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary_part(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def is_incomplete(reason: FinishReason) -> bool:
    return reason in _INCOMPLETE


def _usage(tokens: TokenCounts) -> Json:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached_input, "cache_write_tokens": tokens.cache_write},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def _given(fields: Fields | None) -> Fields:
    """Without line ends: those between a value's parts would end the line, and so the event, that repeats it."""
    return {name: _in_one_line(raw) for name, raw in (fields or {}).items() if bytes(raw) != b"null"}


def _in_one_line(raw: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(bytes(raw).translate(_NO_LINE_ENDS))


def _over(defaults: Json, asked: msgspec.Raw | None) -> Json:
    given = None if asked is None else read_fields(bytes(asked))
    return {**defaults, **_given(given)}
