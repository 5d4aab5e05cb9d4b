"""Anthropic's answers, whole or streamed, in canonical form. The whole one is read as the events that would have made
it, so both ways give the same."""

import dataclasses

import msgspec

from router_worker.canonical.answer import (
    Answer,
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.vendors.anthropic.errors import classify_event
from router_worker.vendors.anthropic.events import ABSENT, Block, Delta, EventStream, Seen, StreamEvent
from router_worker.vendors.anthropic.usage import RunningUsage
from router_worker.vendors.json_fields import NULL, read_fields, without_half_pairs
from schemas.failures import Failure, FailureKind

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_NO_INPUT = (NULL, b"{}")


class _Message(msgspec.Struct):
    content: list[Block]
    id: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: msgspec.Raw = ABSENT


_MESSAGE = msgspec.json.Decoder(_Message)


def read_message(body: bytes) -> Answer | Failure:
    fields = read_fields(body)
    readable = body if fields is not None else without_half_pairs(body)
    if "error" in (fields or read_fields(readable) or {}):
        return classify_event(readable, after_chunks=False)
    reader = _Reader()
    usage = RunningUsage()
    try:
        message = _MESSAGE.decode(readable)
        events: list[Event] = []
        for index, block in enumerate(message.content):
            events += reader.start(index, block)
            events += reader.stop(index)
        events.append(reader.finished(message.stop_reason, message.stop_sequence))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure(kind=FailureKind.VENDOR_GARBLED)
    usage.update(message.usage)
    return dataclasses.replace(collect(events, usage.final), vendor_request_id=message.id)


class AnthropicEvents(EventStream):
    """Implements `wire.EventReader`."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = _Reader()
        self._finished = False

    def feed(self, data: bytes) -> list[Event]:
        return self._events(self.read(data))

    def finish(self) -> list[Event]:
        return self._events(self.read_rest())

    def _events(self, seen: list[Seen]) -> list[Event]:
        events: list[Event] = []
        for event, _ in seen:
            try:
                events += self._of(event)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.fail(FailureKind.VENDOR_GARBLED)
                break
        return events

    def _of(self, event: StreamEvent) -> list[Event]:
        reader, delta = self._reader, event.delta
        match event.type:
            case "message_start":
                return [Started(tokens=self._usage.so_far)]
            case "content_block_start" if event.content_block is not None:
                return reader.start(event.index, event.content_block)
            case "content_block_delta" if delta is not None:
                return reader.delta(event.index, delta)
            case "content_block_stop":
                return reader.stop(event.index)
            case "message_delta" if delta is not None and delta.stop_reason is not None:
                return self._finish(delta.stop_reason, delta.stop_sequence)
            case "message_stop":
                return self._finish(None, None)
        return []

    def _finish(self, reason: str | None, stop_sequence: str | None) -> list[Event]:
        if self._finished:
            return []
        self._finished = True
        finished = self._reader.finished(reason, stop_sequence)
        self.finish_reason = finished.reason
        return [finished]


class _Reader:
    """Blocks as events. Blocks of Anthropic's own tools are passed over: nobody but its own clients can ask for those.

    Raises DecodeError for a text that is none.
    """

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._whole_input: dict[int, str] = {}

    def start(self, index: int, block: Block) -> list[Event]:
        match block.type:
            case "text":
                return _text(block.text)
            case "thinking":
                return _thinking(_string(block.thinking), block.signature)
            case "redacted_thinking" if block.data:
                return [ThinkingDelta(encrypted=block.data, made_by="anthropic")]
            case "tool_use":
                number = self._calls[index] = len(self._calls)
                if bytes(block.input) not in _NO_INPUT:
                    # Streams start with an empty input; some compatible servers give all of it here, and no deltas.
                    self._whole_input[index] = bytes(block.input).decode()
                return [ToolCallStarted(index=number, call_id=block.id or f"toolu_{number}", name=block.name or "")]
        return []

    def delta(self, index: int, delta: Delta) -> list[Event]:
        match delta.type:
            case "text_delta":
                return _text(delta.text)
            case "thinking_delta":
                return _thinking(_string(delta.thinking), None)
            case "signature_delta":
                return _thinking("", delta.signature)
            case "input_json_delta" if index in self._calls:
                piece = _string(delta.partial_json)
                if not piece:
                    return []
                self._whole_input.pop(index, None)
                return [ToolCallDelta(index=self._calls[index], arguments=piece)]
        return []

    def stop(self, index: int) -> list[Event]:
        whole = self._whole_input.pop(index, None)
        return [] if whole is None else [ToolCallDelta(index=self._calls[index], arguments=whole)]

    def finished(self, reason: str | None, stop_sequence: str | None) -> Finished:
        otherwise: FinishReason = "tool_calls" if self._calls else "stop"
        return Finished(reason=_REASONS.get(reason or "", otherwise), stop_sequence=stop_sequence)


def _text(raw: msgspec.Raw) -> list[Event]:
    text = _string(raw)
    return [TextDelta(text=text)] if text else []


def _thinking(text: str, signature: str | None) -> list[Event]:
    if not text and not signature:
        return []
    return [ThinkingDelta(text=text, signature=signature or None, made_by="anthropic")]


def _string(raw: msgspec.Raw) -> str:
    if bytes(raw) == NULL:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.json.decode(without_half_pairs(bytes(raw)), type=str)
