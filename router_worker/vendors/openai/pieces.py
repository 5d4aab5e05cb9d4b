"""From OpenAI-like messages, and the deltas that they come in, to canonical events.

A whole message is read as one delta, so an answer is the same whether it streamed or not. What vendors do otherwise
than OpenAI: reasoning in `reasoning_content`, in `reasoning`, or as parts of `content` (Mistral); tool calls that come
whole, without an index, with the same index again, without an id, or with an object for the arguments.
"""

from typing import Any

import msgspec

from router_worker.canonical.answer import (
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router_worker.canonical.request import ChatRequest
from router_worker.vendors.vendor import VendorCall


class _Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None
    thinking: Any = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class Piece(msgspec.Struct):
    """A message, or a part of one. What is not of the form expected, of fields of no standard, is passed over."""

    content: str | list[_Part] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # Z.ai
}
BROKEN_REASONS = frozenset({"error", "network_error", "insufficient_system_resource"})
"""Mistral and OpenRouter, Z.ai, DeepSeek: the answer ends here because the vendor failed."""

# Mistral's SDK writes the first for no id.
_NO_IDS = (None, "", "null")


class _KnownCall:
    """`number` is None until the name is known: only then the call starts."""

    def __init__(self, vendor_index: int | None, call_id: str | None) -> None:
        self.vendor_index = vendor_index
        self.call_id = call_id
        self.number: int | None = None
        self.held = ""


class PieceReader:
    """One answer. A tool call that came without an id gets one made of `call.answer_id`. Thoughts that the client does
    not want to see are counted and left out: few of these vendors can be told so."""

    def __init__(self, call: VendorCall) -> None:
        self._answer_id = call.answer_id
        reasoning = call.canonical.reasoning if isinstance(call.canonical, ChatRequest) else None
        self._hides_thoughts = reasoning is not None and reasoning.visible is False
        self._calls: list[_KnownCall] = []
        self._started = 0
        self._refused = False
        self.output_bytes = 0

    def read(self, piece: Piece) -> list[Event]:
        events: list[Event] = []
        thought = next((text for text in (piece.reasoning_content, piece.reasoning) if _is_text(text)), None)
        if thought is not None:
            events.append(ThinkingDelta(text=thought))
        if isinstance(piece.content, str):
            events.append(TextDelta(text=piece.content))
        else:
            events += [_of_part(part) for part in piece.content or ()]
        if piece.refusal:
            self._refused = True
            events.append(TextDelta(text=piece.refusal))
        for call in piece.tool_calls or ():
            events += self._read_call(call.index, None if call.id in _NO_IDS else call.id, call.function)
        if piece.function_call is not None:
            events += self._read_call(0, None, piece.function_call)
        events = [event for event in events if not isinstance(event, TextDelta | ThinkingDelta) or event.text]
        self.output_bytes += sum(map(_size, events))
        return [event for event in events if not (self._hides_thoughts and isinstance(event, ThinkingDelta))]

    def finished(self, reason: str | None) -> Finished | None:
        """None if a call was begun that never got its name."""
        if any(call.number is None for call in self._calls):
            return None
        canonical = _REASONS.get(reason or "stop", "stop")
        if canonical == "stop" and self._started:
            # Some vendors write "stop" all the same; a client's tool loop would end without running its tools.
            canonical = "tool_calls"
        elif canonical == "stop" and self._refused:
            canonical = "refusal"
        return Finished(reason=canonical)

    def _read_call(self, index: int | None, call_id: str | None, function: _Function | None) -> list[Event]:
        name = (function.name if function is not None else None) or None
        call = self._known(index, call_id, name)
        if call is None:
            call = _KnownCall(index, call_id)
            self._calls.append(call)
        call.call_id = call.call_id or call_id
        events: list[Event] = []
        if call.number is None and name is not None:
            call.number = self._started
            self._started += 1
            made = f"call_{self._answer_id}_{call.number}"
            events.append(ToolCallStarted(index=call.number, call_id=call.call_id or made, name=name))
        call.held += _arguments(function)
        if call.number is not None and call.held:
            events.append(ToolCallDelta(index=call.number, arguments=call.held))
            call.held = ""
        return events

    def _known(self, index: int | None, call_id: str | None, name: str | None) -> _KnownCall | None:
        """The call that a piece continues; None if it begins one."""
        if index is not None:
            found = next((call for call in reversed(self._calls) if call.vendor_index == index), None)
            is_other = found is not None and call_id is not None and found.call_id not in (None, call_id)
            return None if is_other and name is not None else found
        if call_id is not None:
            return next((call for call in self._calls if call.call_id == call_id), None)
        return None if name is not None or not self._calls else self._calls[-1]


def _of_part(part: _Part) -> TextDelta | ThinkingDelta:
    if part.type != "thinking":
        return TextDelta(text=part.text or "")
    thinking = part.thinking
    if isinstance(thinking, list):
        texts = [inner.get("text") for inner in thinking if isinstance(inner, dict)]
        return ThinkingDelta(text="".join(text for text in texts if isinstance(text, str)))
    return ThinkingDelta(text=thinking if isinstance(thinking, str) else "")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _arguments(function: _Function | None) -> str:
    given = None if function is None else function.arguments
    if isinstance(given, str):
        return given
    return "" if given is None else msgspec.json.encode(given).decode()


def _size(event: Event) -> int:
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text):
            return len(text.encode())
        case ToolCallStarted(name=name):
            return len(name.encode())
        case ToolCallDelta(arguments=arguments):
            return len(arguments.encode())
        case _:
            return 0
