"""One ConverseStream: frames of the AWS event stream, each an event or an exception. Implements `wire.EventReader`."""

from typing import TypeVar

import msgspec

from router_worker.canonical.answer import Event, Finished, Started
from router_worker.vendors.bedrock.answer import (
    MALFORMED,
    BlockDelta,
    BlockStart,
    EventWriter,
    MessageStop,
    Metadata,
    read_tokens,
)
from router_worker.vendors.bedrock.aws_event_stream import EventFrame, EventStreamDecoder
from router_worker.vendors.bedrock.errors import classify_exception
from router_worker.vendors.json_fields import without_half_pairs
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

_T = TypeVar("_T")


class BedrockStream:
    """Usage comes after the message's end, so that is not yet the stream's."""

    def __init__(self, *, by_tool: bool) -> None:
        self._frames = EventStreamDecoder()
        self._writer = EventWriter(by_tool=by_tool)
        self._started = False
        self._done = False
        self._malformed = False
        self._finished: Finished | None = None
        self.tokens: TokenCounts | None = None
        self.failure: Failure | None = None
        self.complete = False
        self.chunks = 0
        self.finish_reason: str | None = None
        self.vendor_request_id: str | None = None

    @property
    def output_bytes(self) -> int:
        return self._writer.output_bytes

    @property
    def ended(self) -> bool:
        return self._done or self.failure is not None

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self.ended:
            return events
        for frame in self._frames.feed(data):
            events += self._frame(frame)
        if self._frames.error is not None and not self.ended:
            self._fail(FailureKind.VENDOR_GARBLED)
        return events

    def finish(self) -> list[Event]:
        if self.ended:
            return []
        if self.finish_reason is None or self._frames.inside_frame:
            self._fail(FailureKind.VENDOR_BROKE_OFF)
        else:
            return self._end()
        return []

    def _frame(self, frame: EventFrame) -> list[Event]:
        if self.ended:
            return []
        match frame.text(":message-type"):
            case "event":
                try:
                    return self._event(frame.text(":event-type"), frame.payload)
                except (msgspec.DecodeError, ValueError, RecursionError):
                    self._fail(FailureKind.VENDOR_GARBLED)
            case "exception":
                self.failure = classify_exception(
                    frame.text(":exception-type"), frame.payload, after_chunks=self.chunks > 0
                )
            case "error":
                payload = msgspec.json.encode({"message": frame.text(":error-message")})
                self.failure = classify_exception(frame.text(":error-code"), payload, after_chunks=self.chunks > 0)
            case _:
                self._fail(FailureKind.VENDOR_GARBLED)
        return []

    def _event(self, name: str | None, payload: bytes) -> list[Event]:
        match name:
            case "contentBlockStart":
                self.chunks += 1
                return self._after_start(self._writer.block_start(_decode(payload, BlockStart)))
            case "contentBlockDelta":
                self.chunks += 1
                return self._after_start(self._writer.block_delta(_decode(payload, BlockDelta)))
            case "contentBlockStop":
                return self._after_start(self._writer.block_stop())
            case "messageStop":
                stop = _decode(payload, MessageStop)
                self.finish_reason = stop.stop_reason
                if stop.stop_reason in MALFORMED:
                    self._malformed = True
                    return []
                self._finished = self._writer.finished(stop.stop_reason, stop.additional_model_response_fields)
                return self._after_start(self._writer.block_stop())
            case "metadata":
                self.tokens = read_tokens(_decode(payload, Metadata).usage)
                if self.finish_reason is not None:
                    return self._end()
            case _:
                pass  # messageStart says nothing that is needed; others may be added by AWS
        return []

    def _after_start(self, events: list[Event]) -> list[Event]:
        """`Started` is held back until there is something to start with: an exception before that can still be met by
        another route."""
        if events and not self._started:
            self._started = True
            return [Started(), *events]
        return events

    def _end(self) -> list[Event]:
        """The reason is given out last: a client that had it would take what breaks off after it for whole."""
        if self._malformed:
            self._fail(FailureKind.VENDOR_GARBLED)
            return []
        self._done = self.complete = True
        return self._after_start([] if self._finished is None else [self._finished])

    def _fail(self, kind: FailureKind) -> None:
        self.failure = Failure(kind=kind)


def _decode(payload: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError:
        return msgspec.json.decode(without_half_pairs(payload), type=kind)
