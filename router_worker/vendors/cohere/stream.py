"""A stream of Cohere's chat as canonical events.

Source: Cohere docs, "Streaming Responses" and "Streaming for tool use".
"""

from collections.abc import Callable

import msgspec

from router_worker.canonical.answer import Event, Started
from router_worker.vendors.cohere.answer import Call, Content, Pieces, Usage, is_broken, read_tokens
from router_worker.vendors.json_fields import without_half_pairs
from router_worker.vendors.openai.chunks import ChunkReader
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.vendor import VendorCall
from schemas.failures import FailureKind


class _Event(msgspec.Struct):
    """`delta` has another shape in each type of event."""

    type: str | None = None
    id: str | None = None
    index: int | None = None
    delta: msgspec.Raw = msgspec.Raw(b"{}")


class _ContentMessage(msgspec.Struct):
    content: Content


class _ContentDelta(msgspec.Struct):
    message: _ContentMessage


class _PlanMessage(msgspec.Struct):
    tool_plan: str | None = None


class _PlanDelta(msgspec.Struct):
    message: _PlanMessage


class _CallMessage(msgspec.Struct):
    tool_calls: Call


class _CallDelta(msgspec.Struct):
    message: _CallMessage


class _End(msgspec.Struct):
    finish_reason: str
    usage: Usage | None = None
    error: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_CONTENT = msgspec.json.Decoder(_ContentDelta)
_PLAN = msgspec.json.Decoder(_PlanDelta)
_CALL = msgspec.json.Decoder(_CallDelta)
_END = msgspec.json.Decoder(_End)


class CohereEvents(ChunkReader[Event]):
    """Implements `wire.EventReader`. Only pieces of the answer count as chunks, so that an error right after the first
    event can still be answered by another route."""

    def __init__(self, call: VendorCall) -> None:
        super().__init__(choices=1)
        self._pieces = Pieces(call)
        self._reason = ""

    def feed(self, data: bytes) -> list[Event]:
        return self._take(data)

    def finish(self) -> list[Event]:
        return self._close()

    def _read_chunk(self, name: bytes, payload: bytes, emit: Callable[[Event], None]) -> None:
        if rb"\u" in payload:
            payload = without_half_pairs(payload)
        try:
            event = _EVENT.decode(payload)
            if event.type is None or event.type == "error" or name == b"error":
                self.failure = classify_in_answer(payload, after_chunks=self._pieces.generated)
                return
            self._read_event(event, emit)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self._fail(FailureKind.VENDOR_GARBLED)
            return
        self.output_bytes = self._pieces.output_bytes

    def _read_event(self, event: _Event, emit: Callable[[Event], None]) -> None:
        pieces = self._pieces
        index = event.index or 0
        match event.type:
            case "message-start":
                self.vendor_request_id = event.id
                emit(Started())
            case "content-start" | "content-delta":
                pieces.content(_CONTENT.decode(event.delta).message.content, emit)
            case "tool-plan-delta":
                pieces.think(_PLAN.decode(event.delta).message.tool_plan, emit)
            case "tool-call-start":
                pieces.start_call(index, _CALL.decode(event.delta).message.tool_calls, emit)
            case "tool-call-delta":
                function = _CALL.decode(event.delta).message.tool_calls.function
                if function is not None and not pieces.argue(index, function.arguments, emit):
                    self._fail(FailureKind.VENDOR_GARBLED)
            case "message-end":
                self._read_end(_END.decode(event.delta), emit)
            case _:
                pass
        if pieces.generated and event.type != "message-end":
            self.chunks += 1

    def _read_end(self, end: _End, emit: Callable[[Event], None]) -> None:
        self.tokens = read_tokens(end.usage)
        if is_broken(end.finish_reason):
            generated = self._pieces.generated
            self._fail(FailureKind.VENDOR_BROKE_OFF if generated else FailureKind.VENDOR_ERROR)
            return
        self._reason = end.finish_reason
        # An answer may be empty.
        self.chunks = max(self.chunks, 1)
        self._end(emit)

    def _at_end(self, emit: Callable[[Event], None]) -> None:
        finished = self._pieces.finished(self._reason)
        self.finish_reason = finished.reason
        emit(finished)
