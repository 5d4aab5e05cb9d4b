"""Joins a client's format and a vendor's through the canonical form. Both joints implement `vendor.Vendor`."""

from collections.abc import Mapping
from dataclasses import replace

from router_worker.canonical.answer import Answer, Event, Started
from router_worker.canonical.conversation import misfit
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest, Text, Thinking
from router_worker.surfaces.field_names import in_clients_words
from router_worker.surfaces.surface import AnswerWriter, ChatSurface, EmbeddingsSurface
from router_worker.vendors.stream_facts import FactsOf
from router_worker.vendors.vendor import ParsedResponse, StreamParser, VendorCall, VendorRequest
from router_worker.vendors.wire import EmbeddingsWire, EventReader, Refusals, Wire
from schemas.failures import Failure, FailureKind


class _Refusing:
    """What both joints leave to the wire as it is."""

    def __init__(self, wire: Refusals) -> None:
        self._refusals = wire

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return self._refusals.classify_error(status, headers, body, now_ms)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return self._refusals.request_id(headers)


class Translated(_Refusing):
    """`field_names`: what the client calls canonical fields, where it has another name."""

    def __init__(self, surface: ChatSurface, wire: Wire, field_names: Mapping[str, str]) -> None:
        super().__init__(wire)
        self._surface = surface
        self._wire = wire
        self._field_names = field_names

    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        request = call.canonical
        if isinstance(request, Failure):
            return request
        assert isinstance(request, ChatRequest), "a translated call comes with its canonical request"
        unpaired = misfit(request.messages)
        if unpaired is not None:
            return unpaired
        built = self._wire.build(request, call)
        if isinstance(built, Failure):
            return in_clients_words(built, self._field_names)
        names = (self._field_names.get(name, name) for name in built.dropped)
        return _with_dropped(built, (*request.dropped, *names))

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        answer = self._wire.read_answer(call, status, headers, body)
        if isinstance(answer, Failure):
            return answer
        return ParsedResponse(
            body_for_client=self._surface.write_answer(answer, call),
            tokens=answer.tokens,
            finish_reason=answer.finish_reason,
            vendor_request_id=self.request_id(headers) or answer.vendor_request_id,
            output_bytes=_generated_bytes(answer),
        )

    def open_stream(self, call: VendorCall) -> StreamParser:
        return TranslatedStream(self._wire.open_events(call), self._surface.open_writer(call))


class TranslatedStream(FactsOf):
    """Until something was generated the client gets nothing, so that another route may still be tried (G2)."""

    def __init__(self, reader: EventReader, writer: AnswerWriter) -> None:
        super().__init__(reader)
        self._reader = reader
        self._writer = writer
        self._held: list[Event] = []
        self._begun = False
        self._closed = False

    def feed(self, data: bytes) -> bytes:
        return self._pass_on(self._reader.feed(data))

    def finish(self) -> bytes:
        return self._pass_on(self._reader.finish())

    def _pass_on(self, events: list[Event]) -> bytes:
        reader = self._reader
        if not self._begun:
            self._held += events
            nothing_generated = all(isinstance(event, Started) for event in self._held)
            if reader.failure is not None or (nothing_generated and not reader.complete):
                return b""
            events, self._held, self._begun = self._held, [], True
        output = self._writer.write(events) if events else b""
        if reader.complete and not self._closed:
            self._closed = True
            output += self._writer.finish(reader.tokens)
        return output


class TranslatedEmbeddings(_Refusing):
    def __init__(self, surface: EmbeddingsSurface, wire: EmbeddingsWire) -> None:
        super().__init__(wire)
        self._surface = surface
        self._wire = wire

    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        request = call.canonical
        if isinstance(request, Failure):
            return request
        assert isinstance(request, EmbeddingsRequest), "a translated call comes with its canonical request"
        built = self._wire.build_embeddings(request, call)
        return built if isinstance(built, Failure) else _with_dropped(built, (*request.dropped, *built.dropped))

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        found = self._wire.read_embeddings(call, status, headers, body)
        if isinstance(found, Failure):
            return found
        request = call.canonical
        if isinstance(request, EmbeddingsRequest) and len(found.vectors) != len(request.inputs):
            # The client would put vectors beside the wrong texts, and nothing would ever tell it.
            return Failure(kind=FailureKind.VENDOR_GARBLED)
        return ParsedResponse(
            body_for_client=self._surface.write_embeddings(found, call),
            tokens=found.tokens,
            finish_reason=None,
            vendor_request_id=self.request_id(headers) or found.vendor_request_id,
            output_bytes=0,
        )

    def open_stream(self, call: VendorCall) -> StreamParser:
        raise NotImplementedError("embeddings do not stream, and their surface reads no request that does")


def _with_dropped(built: VendorRequest, dropped: tuple[str, ...]) -> VendorRequest:
    return replace(built, dropped=tuple(dict.fromkeys(dropped)))


def _generated_bytes(answer: Answer) -> int:
    """At least as many as there were tokens: each stands for a byte or more of what is written here."""
    size = 0
    for part in answer.parts:
        if isinstance(part, Text):
            size += len(part.text.encode())
        elif isinstance(part, Thinking):
            size += len(part.text.encode()) + len(part.encrypted or "")
        else:
            size += len(part.name.encode()) + len(part.arguments.encode())
    return size
