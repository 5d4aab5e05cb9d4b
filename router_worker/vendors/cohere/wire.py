"""Cohere's API v2: chat and embeddings. Implements `wire.Wire` and `wire.EmbeddingsWire`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from router_worker.canonical.answer import Answer, Embeddings, Event, collect
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.vendors.cohere.answer import Call, Content, Pieces, Units, Usage, is_broken, read_tokens
from router_worker.vendors.cohere.errors import CohereRefusals
from router_worker.vendors.cohere.request import chat_body
from router_worker.vendors.cohere.stream import CohereEvents
from router_worker.vendors.json_fields import without_half_pairs
from router_worker.vendors.openai.vendor_row import ATTEMPT_ID_HEADER
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

CHAT_PATH = "/v2/chat"
EMBED_PATH = "/v2/embed"
MAX_TEXTS = 96
DIMENSIONS = (256, 512, 1024, 1536)
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)
_PURPOSES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


class _Message(msgspec.Struct):
    content: list[Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None


class _Chat(msgspec.Struct):
    finish_reason: str
    message: _Message
    id: str | None = None
    usage: Usage | None = None


class _Vectors(msgspec.Struct):
    float_: list[msgspec.Raw] = msgspec.field(name="float")


class _Meta(msgspec.Struct):
    billed_units: Units | None = None


class _Embed(msgspec.Struct):
    embeddings: _Vectors
    id: str | None = None
    meta: _Meta | None = None


_CHAT = msgspec.json.Decoder(_Chat)
_EMBED = msgspec.json.Decoder(_Embed)
_VECTOR = msgspec.json.Decoder(list[float])


class CohereWire(CohereRefusals):
    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        built = chat_body(request, call)
        if isinstance(built, Failure):
            return built
        body, dropped = built
        return VendorRequest(CHAT_PATH, self._headers(call), body, dropped)

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        try:
            chat = _CHAT.decode(without_half_pairs(body) if rb"\u" in body else body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED
        pieces = Pieces(call)
        events: list[Event] = []
        for content in chat.message.content or ():
            pieces.content(content, events.append)
        pieces.think(chat.message.tool_plan, events.append)
        for index, tool_call in enumerate(chat.message.tool_calls or ()):
            pieces.start_call(index, tool_call, events.append)
        if is_broken(chat.finish_reason):
            return Failure(kind=FailureKind.VENDOR_BROKE_OFF if pieces.generated else FailureKind.VENDOR_ERROR)
        answer = collect([*events, pieces.finished(chat.finish_reason)], read_tokens(chat.usage))
        return replace(answer, vendor_request_id=chat.id)

    def open_events(self, call: VendorCall) -> CohereEvents:
        return CohereEvents(call)

    def build_embeddings(self, request: EmbeddingsRequest, call: VendorCall) -> VendorRequest | Failure:
        """A text that is too long is refused rather than cut off, as OpenAI does."""
        if len(request.inputs) > MAX_TEXTS:
            return cannot_say("input", f"Cohere takes at most {MAX_TEXTS} texts at once")
        fields: dict[str, Any] = {
            "model": call.vendor_model,
            "texts": request.inputs,
            "input_type": _PURPOSES[request.purpose],
            "embedding_types": ["float"],
            "truncate": "NONE",
        }
        if request.dimensions is not None:
            if request.dimensions not in DIMENSIONS:
                return cannot_say("dimensions", f"Cohere has vectors of {', '.join(map(str, DIMENSIONS))} numbers")
            fields["output_dimension"] = request.dimensions
        return VendorRequest(EMBED_PATH, self._headers(call), msgspec.json.encode(fields))

    def read_embeddings(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> Embeddings | Failure:
        try:
            found = _EMBED.decode(body)
            vectors = tuple(bytes(raw) for raw in found.embeddings.float_)
            for vector in vectors:
                _VECTOR.decode(vector)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED
        units = None if found.meta is None else found.meta.billed_units
        counted = None if units is None or units.input_tokens is None else int(units.input_tokens)
        return Embeddings(
            vectors=vectors,
            tokens=None if counted is None else TokenCounts(input=counted),
            vendor_request_id=found.id,
        )

    def _headers(self, call: VendorCall) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if call.streaming else "application/json",
        }
        if call.api_key is not None:
            headers[self.row.key_header] = self.row.key_prefix + call.api_key
        if call.attempt_id is not None:
            headers[ATTEMPT_ID_HEADER] = call.attempt_id
        return headers
