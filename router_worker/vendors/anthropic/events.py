"""A stream of Anthropic's events, read: its usage, its end, its failures. What is made of the events is up to who reads
it (`anthropic.stream` passes them on, `anthropic.answer` translates them).

Format: Claude API reference, "Streaming Messages".
"""

from typing import NamedTuple

import msgspec

from router_worker.vendors.anthropic.errors import classify_event
from router_worker.vendors.anthropic.usage import RunningUsage
from router_worker.vendors.json_fields import NULL, read_fields, without_half_pairs
from router_worker.vendors.sse import SseReader
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

MAX_EVENT_BYTES = 16 * 1024 * 1024
ABSENT = msgspec.Raw(NULL)


class Block(msgspec.Struct):
    """A content block, whole or as it starts. Its texts are still in JSON."""

    type: str = ""
    id: str | None = None
    name: str | None = None
    text: msgspec.Raw = ABSENT
    thinking: msgspec.Raw = ABSENT
    signature: str | None = None
    data: str | None = None
    input: msgspec.Raw = ABSENT


class Delta(msgspec.Struct):
    """Of a block, or of the message. Its texts are still in JSON."""

    type: str = ""
    text: msgspec.Raw = ABSENT
    thinking: msgspec.Raw = ABSENT
    partial_json: msgspec.Raw = ABSENT
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Opening(msgspec.Struct):
    id: str | None = None
    usage: msgspec.Raw = ABSENT


class StreamEvent(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: Opening | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: msgspec.Raw = ABSENT


_EVENT = msgspec.json.Decoder(StreamEvent)


class Seen(NamedTuple):
    """One event and its JSON, as the vendor wrote it."""

    event: StreamEvent
    payload: bytes


class EventStream:
    """The base of both readers; its attributes are those of `vendor.StreamParser`."""

    def __init__(self) -> None:
        self._sse = SseReader()
        self._usage = RunningUsage()
        self._not_sse: bytes | None = b""
        self._stopped = False
        self.tokens: TokenCounts | None = None
        self.failure: Failure | None = None
        self.complete = False
        self.chunks = 0
        self.output_bytes = 0
        self.finish_reason: str | None = None
        self.vendor_request_id: str | None = None

    @property
    def ended(self) -> bool:
        return self.complete or self.failure is not None

    @property
    def buffered_bytes(self) -> int:
        """Of an event that has not come whole yet."""
        return self._sse.buffered_bytes

    def read(self, data: bytes) -> list[Seen]:
        if self.ended:
            return []
        if self._not_sse is not None:
            self._keep_start(data)
        seen: list[Seen] = []
        for name, payload in self._sse.feed(data):
            self._take(name, payload, seen)
        if self._sse.buffered_bytes > MAX_EVENT_BYTES:
            self.fail(FailureKind.VENDOR_GARBLED)
        return seen

    def read_rest(self) -> list[Seen]:
        """The vendor closed the stream; afterwards `failure` or `complete` is set."""
        seen: list[Seen] = []
        if self.ended:
            return seen
        last = self._sse.rest()
        # What the end cut off is not JSON any more; then it is not garbled, but broken off.
        if last is not None and read_fields(last[1]) is not None:
            self._take(*last, seen)
        self._close(seen)
        return seen

    def fail(self, kind: FailureKind) -> None:
        self.complete = False
        self.failure = Failure(kind=kind)

    def _close(self, seen: list[Seen]) -> None:
        if self.ended:
            return
        if self._stopped:
            # Some compatible servers just close after the reason to stop; clients wait for the end marker.
            self._end()
            seen.append(Seen(StreamEvent(type="message_stop"), b'{"type":"message_stop"}'))
        elif self.chunks == 0 and self._not_sse:
            self._judge_what_is_no_stream(self._not_sse)
        else:
            self.fail(FailureKind.VENDOR_BROKE_OFF)

    def _take(self, name: bytes, payload: bytes, seen: list[Seen]) -> None:
        payload = payload.strip()
        if self.ended or not payload or payload == b"[DONE]":
            return
        try:
            event = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.fail(FailureKind.VENDOR_GARBLED)
            return
        event.type = event.type or name.decode(errors="replace")
        if event.type == "error":
            self.failure = classify_event(payload, after_chunks=self.chunks > 0)
            return
        if event.type == "message_stop":
            self._end()
        else:
            self._note(event)
        if self.failure is None:
            seen.append(Seen(event, payload))

    def _note(self, event: StreamEvent) -> None:
        delta = event.delta
        match event.type:
            case "message_start" if event.message is not None:
                self.vendor_request_id = self.vendor_request_id or event.message.id
                self._usage.update(event.message.usage, opening=True)
            case "content_block_start" if event.content_block is not None:
                self.chunks += 1
                self.output_bytes += block_bytes(event.content_block)
            case "content_block_delta" if delta is not None:
                self.chunks += 1
                self.output_bytes += _text_bytes(delta.text, delta.thinking, delta.partial_json)
            case "message_delta":
                self._usage.update(event.usage)
                if delta is not None and delta.stop_reason is not None:
                    self._stopped = True
                    self.finish_reason = delta.stop_reason
                if self._stopped:
                    self.tokens = self._usage.final

    def _end(self) -> None:
        if self.chunks == 0 and not self._stopped:
            self.fail(FailureKind.VENDOR_GARBLED)
            return
        self.complete = True
        self.tokens = self._usage.final

    def _keep_start(self, data: bytes) -> None:
        """Keeps what comes while it looks like one JSON object rather than events, to say at the end what it was."""
        start = (self._not_sse or b"") + data
        looks_like_json = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"")
        self._not_sse = start if looks_like_json and len(start) <= MAX_EVENT_BYTES else None

    def _judge_what_is_no_stream(self, data: bytes) -> None:
        fields = read_fields(data.strip())
        if fields is not None and "error" in fields:
            self.failure = classify_event(data, after_chunks=False)
        else:
            self.fail(FailureKind.VENDOR_GARBLED)


def block_bytes(block: Block) -> int:
    """Bytes of what was generated, JSON escapes included; each token stands for one or more of them."""
    size = _text_bytes(block.text, block.thinking) + len(block.data or "") + len((block.name or "").encode())
    return size + (0 if bytes(block.input) in (NULL, b"{}") else len(bytes(block.input)))


def _text_bytes(*texts: msgspec.Raw) -> int:
    return sum(max(0, len(bytes(text)) - 2) for text in texts if text is not ABSENT)


def _decode(payload: bytes) -> StreamEvent:
    payload.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
    try:
        return _EVENT.decode(payload)
    except msgspec.DecodeError:
        return _EVENT.decode(without_half_pairs(payload))
