"""OpenAI's chat completions for clients that speak another format. Implements `wire.Wire`."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from router_worker.canonical.answer import Answer, collect
from router_worker.canonical.request import ChatRequest
from router_worker.vendors.json_fields import NULL, read_fields, without_half_pairs
from router_worker.vendors.openai.body import translated_body
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.openai.events import OpenAiEvents
from router_worker.vendors.openai.pieces import BROKEN_REASONS, Piece, PieceReader
from router_worker.vendors.openai.request import CHAT_PATH
from router_worker.vendors.openai.usage import find_tokens
from router_worker.vendors.openai.vendor_row import OpenAiRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

_ABSENT = msgspec.Raw(NULL)
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class _Choice(msgspec.Struct):
    message: Piece
    finish_reason: str | None = None
    usage: msgspec.Raw = _ABSENT


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = _ABSENT


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    usage: msgspec.Raw = _ABSENT
    x_groq: _Groq | None = None


_COMPLETION = msgspec.json.Decoder(_Completion)


class OpenAiWire(OpenAiRow):
    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        built = translated_body(request, call, self._row.quirks)
        if isinstance(built, Failure):
            return built
        body, dropped = built
        return VendorRequest(CHAT_PATH, self.headers(call), body, dropped)

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        # Never refused for half an emoji; what is skipped by `read_fields` would be found by the decoder.
        readable = without_half_pairs(body) if rb"\u" in body else body
        if bytes((read_fields(readable) or {}).get("error", _ABSENT)) != NULL:
            return classify_in_answer(readable, after_chunks=False)
        try:
            completion = _COMPLETION.decode(readable)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED
        if not completion.choices:
            return _GARBLED
        choice = completion.choices[0]
        if choice.finish_reason in BROKEN_REASONS:
            return Failure(kind=FailureKind.VENDOR_BROKE_OFF)
        pieces = PieceReader(call)
        events = pieces.read(choice.message)
        finished = pieces.finished(choice.finish_reason)
        if finished is None:
            return _GARBLED
        groq = [] if completion.x_groq is None else [completion.x_groq.usage]
        usages = [completion.usage, *groq, *(one.usage for one in completion.choices)]
        answer = collect([*events, finished], find_tokens(usages, reasoning_apart=self._row.quirks.reasoning_apart))
        return replace(answer, vendor_request_id=completion.id)

    def open_events(self, call: VendorCall) -> OpenAiEvents:
        return OpenAiEvents(call, self._row.quirks)
