"""Answers as GenerateContentResponse, whole or as a stream of them. Format: Gemini API reference.

A function call has no pieces in this format. So from the first call on a stream is held back until the answer is
finished: what comes after it would else stand before it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from router_worker.canonical.answer import Answer, Event, Finished, FinishReason, Started, TextDelta, ThinkingDelta
from router_worker.canonical.answer import collect as collected
from router_worker.canonical.request import AssistantPart, Text, Thinking, ToolCall
from router_worker.vendors.gemini.signature import NO_SIGNATURE, wrapped
from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts

Part = dict[str, Any]

_FINISH_REASONS: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
}
_MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"


def answer_body(answer: Answer, call: VendorCall) -> bytes:
    parts, all_readable = _written(answer.parts)
    reason = _FINISH_REASONS[answer.finish_reason] if all_readable else _MALFORMED_CALL
    return _response(call, parts, finish_reason=reason, tokens=answer.tokens)


class GeminiWriter:
    """Implements `surface.AnswerWriter`."""

    def __init__(self, call: VendorCall) -> None:
        self._call = call
        self._held: list[Event] = []
        self._holds = False
        self._last_parts: list[Part] = []
        self._finish_reason = "STOP"

    def write(self, events: Sequence[Event]) -> bytes:
        """A response for each piece, so that a stream's bytes do not depend on how the vendor's arrived."""
        parts: list[AssistantPart] = []
        for event in events:
            if isinstance(event, Finished):
                self._finish(event)
            elif isinstance(event, Started):
                pass
            elif self._holds or not isinstance(event, TextDelta | ThinkingDelta):
                self._holds = True
                self._held.append(event)
            elif isinstance(event, TextDelta):
                if event.text:
                    parts.append(Text(text=event.text))
            elif event.text or event.signature is not None or event.encrypted is not None:
                parts.append(
                    Thinking(
                        text=event.text, signature=event.signature, encrypted=event.encrypted, made_by=event.made_by
                    )
                )
        return b"".join(b"data: " + _response(self._call, _written((part,))[0]) + b"\n\n" for part in parts)

    def finish(self, tokens: TokenCounts | None) -> bytes:
        last = _response(self._call, self._last_parts, finish_reason=self._finish_reason, tokens=tokens)
        return b"data: " + last + b"\n\n"

    def _finish(self, event: Finished) -> None:
        answer = collected((*self._held, event))
        self._last_parts, all_readable = _written(answer.parts)
        self._finish_reason = _FINISH_REASONS[event.reason] if all_readable else _MALFORMED_CALL


def _written(parts: Sequence[AssistantPart]) -> tuple[list[Part], bool]:
    """The parts, and whether all could be written: arguments that are no object (cut off, say) have no form here, and
    Google's own word for that is a finish reason."""
    written: list[Part] = []
    all_readable = True
    for part in parts:
        if isinstance(part, Text):
            if written and written[-1].keys() == {"text"}:
                written[-1]["text"] += part.text
            else:
                written.append({"text": part.text})
        elif isinstance(part, Thinking):
            signature = wrapped(part)
            thought: Part = {"text": part.text, "thought": True}
            written.append(thought if signature is None else {**thought, "thoughtSignature": signature})
        else:
            function_call = _function_call(part)
            all_readable = all_readable and function_call is not None
            if function_call is not None:
                written.append(function_call)
    first_call = next((part for part in written if "functionCall" in part), None)
    if first_call is not None:
        # The next turn may go to Gemini, with this call in its history.
        first_call.setdefault("thoughtSignature", NO_SIGNATURE)
    return written, all_readable


def _function_call(call: ToolCall) -> Part | None:
    arguments = call.arguments.encode()
    if read_fields(arguments) is None:
        return None
    part: Part = {"functionCall": {"id": call.call_id, "name": call.name, "args": msgspec.Raw(arguments)}}
    if call.signature is not None:
        part["thoughtSignature"] = call.signature
    return part


def _response(
    call: VendorCall, parts: list[Part], *, finish_reason: str | None = None, tokens: TokenCounts | None = None
) -> bytes:
    content = {"parts": parts or [{"text": ""}], "role": "model"}
    candidate: dict[str, Any] = {"content": content, "index": 0}
    if finish_reason is not None:
        candidate["finishReason"] = finish_reason
    response: dict[str, Any] = {"candidates": [candidate]}
    if tokens is not None:
        response["usageMetadata"] = _usage(tokens)
    response |= {"modelVersion": call.model_id, "responseId": call.answer_id}
    return msgspec.json.encode(response)


def _usage(tokens: TokenCounts) -> dict[str, int]:
    """Google's candidatesTokenCount does not include the thoughts; the total includes all."""
    usage = {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": max(0, tokens.output - tokens.reasoning),
        "totalTokenCount": tokens.input + tokens.output,
    }
    if tokens.cached_input:
        usage["cachedContentTokenCount"] = tokens.cached_input
    if tokens.reasoning:
        usage["thoughtsTokenCount"] = tokens.reasoning
    return usage
