"""A stream of OpenAI-like chunks as canonical events. Ends and breaks are told as for what is passed through."""

from collections.abc import Callable

import msgspec

from router_worker.canonical.answer import Event, Started
from router_worker.vendors.json_fields import NULL, without_half_pairs
from router_worker.vendors.openai.chunks import ChunkReader
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.openai.pieces import BROKEN_REASONS, Piece, PieceReader
from router_worker.vendors.openai.usage import find_tokens
from router_worker.vendors.row import Quirks
from router_worker.vendors.vendor import VendorCall
from schemas.failures import FailureKind

_ABSENT = msgspec.Raw(NULL)


class _Choice(msgspec.Struct):
    index: int = 0
    delta: Piece | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = _ABSENT


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = _ABSENT


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: msgspec.Raw = _ABSENT
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    x_groq: _Groq | None = None
    error: msgspec.Raw = _ABSENT

    @property
    def is_error(self) -> bool:
        return bytes(self.error) != NULL or bytes(self.object) == b'"error"'

    def usages(self) -> list[msgspec.Raw]:
        groq = [] if self.x_groq is None else [self.x_groq.usage]
        return [self.usage, *groq, *(choice.usage for choice in self.choices or ())]


_CHUNK = msgspec.json.Decoder(_Chunk)


class OpenAiEvents(ChunkReader[Event]):
    """Implements `wire.EventReader`. Of several choices only the first is read: translated requests ask for one.

    The end of the answer is given out last, so nothing of it can follow, whatever a vendor sends after its reason.
    """

    def __init__(self, call: VendorCall, quirks: Quirks) -> None:
        super().__init__(choices=1)
        self._quirks = quirks
        self._pieces = PieceReader(call)
        self._vendor_reason: str | None = None

    def feed(self, data: bytes) -> list[Event]:
        return self._take(data)

    def finish(self) -> list[Event]:
        return self._close()

    def _read_chunk(self, name: bytes, payload: bytes, emit: Callable[[Event], None]) -> None:
        try:
            chunk = _decode(payload)
            if name == b"error" or chunk.is_error:
                self.failure = classify_in_answer(payload, after_chunks=self.chunks > 0)
                return
        except (msgspec.DecodeError, ValueError, RecursionError):
            self._fail(FailureKind.VENDOR_GARBLED)
            return
        tokens = find_tokens(chunk.usages(), reasoning_apart=self._quirks.reasoning_apart)
        if chunk.choices is None and tokens is None:
            return
        if self.chunks == 0:
            emit(Started())
        self.chunks += 1
        self.vendor_request_id = self.vendor_request_id or chunk.id
        if tokens is not None:
            if chunk.choices and not any(choice.finish_reason is not None for choice in chunk.choices):
                # Some vendors count along in each chunk: should the stream break, that is less than they charge.
                self._running_tokens = tokens
            else:
                self.tokens = tokens
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._read_choice(choice, emit)

    def _read_choice(self, choice: _Choice, emit: Callable[[Event], None]) -> None:
        if choice.delta is not None:
            for event in self._pieces.read(choice.delta):
                emit(event)
            self.output_bytes = self._pieces.output_bytes
        if choice.finish_reason in BROKEN_REASONS:
            self._fail(FailureKind.VENDOR_BROKE_OFF)
        elif choice.finish_reason is not None:
            self._vendor_reason = choice.finish_reason
            self._finished_choices.add(0)

    def _at_end(self, emit: Callable[[Event], None]) -> None:
        finished = self._pieces.finished(self._vendor_reason)
        if finished is None:
            self._fail(FailureKind.VENDOR_GARBLED)
        else:
            self.finish_reason = finished.reason
            emit(finished)


def _decode(payload: bytes) -> _Chunk:
    try:
        return _CHUNK.decode(payload)
    except msgspec.DecodeError:
        return _CHUNK.decode(without_half_pairs(payload))
