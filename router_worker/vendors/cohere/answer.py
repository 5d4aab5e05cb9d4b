"""What whole and streamed answers of Cohere's chat have in common: pieces of it as canonical events, usage, endings.

Source: Cohere API reference, "Chat"; for the usage, Cohere docs, "How Does Cohere's Pricing Work?": what is charged is
`billed_units`, while `tokens` counts also those that Cohere adds itself. Thinking is part of the output, and not
counted apart. Citations have no place in other formats and are left out.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

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
from schemas.usage import TokenCounts

# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[float, Meta(ge=0, le=10**12)] | None

_REASONS: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
_BROKEN = ("ERROR", "TIMEOUT", "USER_CANCEL")


class Units(msgspec.Struct):
    input_tokens: _Count = None
    output_tokens: _Count = None


class Usage(msgspec.Struct):
    billed_units: Units | None = None
    tokens: Units | None = None
    cached_tokens: _Count = None


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    id: str | None = None
    function: Function | None = None


class Content(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


def is_broken(finish_reason: str) -> bool:
    return finish_reason.startswith(_BROKEN)


def read_tokens(usage: Usage | None) -> TokenCounts | None:
    """None without both figures."""
    if usage is None:
        return None
    for units in (usage.billed_units, usage.tokens):
        if units is not None and units.input_tokens is not None and units.output_tokens is not None:
            cached = min(int(usage.cached_tokens or 0), int(units.input_tokens))
            return TokenCounts(input=int(units.input_tokens), cached_input=cached, output=int(units.output_tokens))
    return None


class Pieces:
    """Gives events to `emit`, and counts what was generated."""

    def __init__(self, call: VendorCall) -> None:
        request = call.canonical
        reasoning = request.reasoning if isinstance(request, ChatRequest) else None
        # Cohere cannot be told to think in secret.
        self._shows_thinking = reasoning is None or reasoning.visible is not False
        self._answer_id = call.answer_id
        self._calls: dict[int, int] = {}
        self.output_bytes = 0
        self.generated = False

    def content(self, content: Content, emit: Callable[[Event], None]) -> None:
        self.think(content.thinking, emit)
        if content.text:
            self._count(content.text)
            emit(TextDelta(text=content.text))

    def think(self, text: str | None, emit: Callable[[Event], None]) -> None:
        if text:
            self._count(text)
            if self._shows_thinking:
                emit(ThinkingDelta(text=text))

    def start_call(self, vendor_index: int, call: Call, emit: Callable[[Event], None]) -> None:
        index = self._calls[vendor_index] = len(self._calls)
        function = call.function or Function()
        name = function.name or ""
        self._count(name)
        emit(ToolCallStarted(index=index, call_id=call.id or f"call_{self._answer_id}_{index}", name=name))
        self.argue(vendor_index, function.arguments, emit)

    def argue(self, vendor_index: int, arguments: str | None, emit: Callable[[Event], None]) -> bool:
        """False for a piece of a call that has not started."""
        if not arguments:
            return True
        index = self._calls.get(vendor_index)
        if index is None:
            return False
        self._count(arguments)
        emit(ToolCallDelta(index=index, arguments=arguments))
        return True

    def finished(self, finish_reason: str) -> Finished:
        reason = _REASONS.get(finish_reason, "stop")
        # Some models say COMPLETE beside their calls; clients look at the reason to know that there are any.
        return Finished(reason="tool_calls" if self._calls and reason == "stop" else reason)

    def _count(self, text: str) -> None:
        self.generated = True
        self.output_bytes += len(text.encode())
