"""A stream of OpenAI's Responses API: its events for the client, its usage, and whether it ended as it should.

Source: OpenAI API reference, "Streaming events". Every stream begins with events that only say that it began; they are
held back until something follows, so that an error in their place can still be answered by another route.
"""

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.vendors.json_fields import NULL, read_fields, to_raw, without_half_pairs, write_fields
from router_worker.vendors.openai.errors import classify_in_answer, redact
from router_worker.vendors.sse import SseReader
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

MAX_EVENT_BYTES = 16 * 1024 * 1024
_ABSENT = msgspec.Raw(NULL)
# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[int, Meta(ge=0, le=10**12)]

_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
# Errors of a response that are the client's own, by `error.code`; the others are the vendor's.
_REFUSALS = ("invalid_prompt", "bio_policy", "misalignment_policy_violation")
_REFUSAL_MARK = "image"
# Anything else in the place of an event's name could end the line, and the event.
_NAME = re.compile(r"[\w.]{1,100}", re.ASCII)


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct):
    input_tokens: _Count
    output_tokens: _Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    usage: msgspec.Raw = _ABSENT
    error: _Error | None = None


class _Item(msgspec.Struct):
    name: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = _ABSENT
    item: _Item | None = None
    response: msgspec.Raw = _ABSENT


_USAGE = msgspec.json.Decoder(_Usage)
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class Ending:
    """reason: "completed", or why it is incomplete."""

    reason: str
    response_id: str | None


def ending(response: bytes) -> Ending | None:
    """How a response object says that it ended; None if it is none, or did not end as one that answers."""
    try:
        read = _RESPONSE.decode(response)
    except (msgspec.DecodeError, RecursionError):
        return None
    if read.status == "completed":
        return Ending("completed", read.id)
    if read.status == "incomplete":
        reason = None if read.incomplete_details is None else read.incomplete_details.reason
        return Ending(reason or "incomplete", read.id)
    return None


def read_tokens(usage: msgspec.Raw) -> TokenCounts | None:
    try:
        read = _USAGE.decode(usage)
    except msgspec.DecodeError:
        return None
    cache = read.input_tokens_details or _InputDetails()
    thought = read.output_tokens_details or _OutputDetails()
    return TokenCounts(
        input=read.input_tokens,
        cached_input=cache.cached_tokens or 0,
        cache_write=cache.cache_write_tokens or 0,
        output=read.output_tokens,
        reasoning=thought.reasoning_tokens or 0,
    )


def classify_response_error(around: bytes, *, after_chunks: bool) -> Failure:
    """The Failure of an `error` object in a response or in an event, given the JSON around it."""
    if not after_chunks:
        try:
            error = _RESPONSE.decode(around).error
        except (msgspec.DecodeError, RecursionError):
            error = None
        code = None if error is None else error.code
        if error is not None and code is not None and (code in _REFUSALS or _REFUSAL_MARK in code):
            message = redact(error.message) if error.message else None
            return Failure(kind=FailureKind.VENDOR_REFUSED_REQUEST, message=message, code=redact(code), status=400)
    return classify_in_answer(around, after_chunks=after_chunks)


class OpenAiResponsesStream:
    """Implements `vendor.StreamParser`."""

    def __init__(self, call: VendorCall) -> None:
        self._model = to_raw(call.model_id)
        self._sse = SseReader()
        self._held: list[bytes] = []
        self._start: bytes | None = b""
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

    def feed(self, data: bytes) -> bytes:
        if self.ended:
            return b""
        if self._start is not None:
            self._start += data
            looks_like_json = self._start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"")
            if not looks_like_json or len(self._start) > MAX_EVENT_BYTES:
                self._start = None
        out = b"".join([self._event(name, payload) for name, payload in self._sse.feed(data)])
        if self._sse.buffered_bytes > MAX_EVENT_BYTES:
            self._fail(FailureKind.VENDOR_GARBLED)
        return out

    def finish(self) -> bytes:
        if self.ended:
            return b""
        last = self._sse.rest()
        # What the end cut off is not JSON any more; then it is not garbled, but broken off.
        out = self._event(*last) if last is not None and read_fields(last[1]) is not None else b""
        if not self.ended:
            self._judge_early_end()
        return out

    def _judge_early_end(self) -> None:
        fields = read_fields(self._start.strip()) if self._start else None
        if fields is not None and self._start is not None:
            self.failure = classify_response_error(self._start.strip(), after_chunks=False)
        else:
            self._fail(FailureKind.VENDOR_BROKE_OFF)

    def _event(self, name: bytes, payload: bytes) -> bytes:
        if self.ended or not payload.strip() or payload.strip() == b"[DONE]":
            return b""
        readable = without_half_pairs(payload) if rb"\u" in payload else payload
        try:
            payload.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
            event = _EVENT.decode(readable)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._fail(FailureKind.VENDOR_GARBLED)
            return b""
        kind = event.type or name.decode(errors="replace")
        if kind in ("error", "response.failed"):
            self._fail_as_said(kind, event, readable)
            return b""
        if kind in _ENDS and not self._end(event):
            return b""
        if b'"model"' in payload and event.response is not _ABSENT:
            payload = self._with_model(payload)
        # An event over several lines has its line ends between its fields: in a string they would be no JSON.
        label = b"event: %s\n" % kind.encode() if _NAME.fullmatch(kind) else b""
        written = label + b"data: %s\n\n" % payload.replace(b"\n", b" ")
        if kind in _BEGINNINGS and self.chunks == 0:
            self._held.append(written)
            return b""
        self.chunks += 1
        delta = bytes(event.delta)
        if delta[:1] == b'"':
            # Each token stands for at least one byte between the quotes.
            self.output_bytes += len(delta) - 2
        elif kind == "response.output_item.added" and event.item is not None:
            self.output_bytes += len((event.item.name or "").encode())
        held, self._held = self._held, []
        return b"".join([*held, written])

    def _fail_as_said(self, kind: str, event: _Event, readable: bytes) -> None:
        around = bytes(event.response) if kind == "response.failed" else readable
        fields = read_fields(around) or {}
        self.tokens = read_tokens(fields.get("usage", _ABSENT)) or self.tokens
        self.failure = classify_response_error(around, after_chunks=self.chunks > 0)

    def _end(self, event: _Event) -> bool:
        end = ending(bytes(event.response))
        if end is None:
            self._fail(FailureKind.VENDOR_GARBLED)
            return False
        fields = read_fields(bytes(event.response)) or {}
        self.tokens = read_tokens(fields.get("usage", _ABSENT))
        self.finish_reason = end.reason
        self.vendor_request_id = end.response_id
        self.complete = True
        return True

    def _with_model(self, payload: bytes) -> bytes:
        """Values are not parsed, so half an emoji in one of them does no harm."""
        fields = read_fields(payload)
        response = None if fields is None else read_fields(bytes(fields["response"]))
        if fields is None or response is None:
            return payload
        if "model" in response:
            response["model"] = self._model
        fields["response"] = msgspec.Raw(write_fields(response))
        return write_fields(fields)

    def _fail(self, kind: FailureKind) -> None:
        self.failure = Failure(kind=kind)
