"""Google Gemini, by API key or on Vertex, for clients that speak another format. Implements `wire.Wire`."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from router_worker.canonical.answer import Answer, Event, collect
from router_worker.canonical.request import ChatRequest
from router_worker.vendors.gemini.body import generate_body
from router_worker.vendors.gemini.call import generate_path, headers
from router_worker.vendors.gemini.chunks import decode_chunk
from router_worker.vendors.gemini.errors import classify_google_status, classify_in_answer
from router_worker.vendors.gemini.events import UNREADABLE, EventWriter, GeminiEvents, UnreadableAnswer
from router_worker.vendors.gemini.models import traits_of
from router_worker.vendors.gemini.turns import CannotSay
from router_worker.vendors.gemini.usage import read_tokens
from router_worker.vendors.json_fields import NULL
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class GeminiWire:
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        try:
            body, dropped = generate_body(request, call, traits_of(call.vendor_model))
        except CannotSay as refusal:
            return refusal.failure
        return VendorRequest(generate_path(self._row, call), headers(self._row, call), body, dropped)

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        try:
            whole = decode_chunk(body)
            if bytes(whole.error) != NULL:
                return classify_in_answer(body, after_chunks=False)
            reason = next((found.finish_reason for found in whole.candidates or () if found.is_finished), None)
            if reason in UNREADABLE or (reason is None and whole.block_reason is None):
                return _GARBLED
            writer = EventWriter(call.answer_id)
            events: list[Event] = list(writer.events(whole))
            events.append(writer.finished(reason, blocked=whole.block_reason is not None))
            answer = collect(events, read_tokens(whole.usage_metadata))
        except (msgspec.DecodeError, ValueError, RecursionError, UnreadableAnswer):
            return _GARBLED
        return replace(answer, vendor_request_id=whole.response_id)

    def open_events(self, call: VendorCall) -> GeminiEvents:
        return GeminiEvents(call.answer_id)

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return classify_google_status(status, headers, body, now_ms, self._row.quirks.kind_of_status)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return None  # only the body names the answer
