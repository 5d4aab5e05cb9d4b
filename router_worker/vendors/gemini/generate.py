"""Gemini's own format on both sides: bodies pass through. Implements `vendor.Vendor` for the wires "gemini" and
"gemini_vertex". Format: Gemini API reference, "Generating content"; Vertex AI, "Generate content".
"""

from collections.abc import Mapping

import msgspec

from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.gemini.call import generate_path, headers
from router_worker.vendors.gemini.chunks import ChunkReader, decode_chunk
from router_worker.vendors.gemini.errors import classify_google_status, classify_in_answer
from router_worker.vendors.gemini.signature import without_wrapped
from router_worker.vendors.gemini.usage import read_tokens
from router_worker.vendors.json_fields import (
    NULL,
    Fields,
    drop_fields,
    read_fields,
    to_raw,
    without_half_pairs,
    write_fields,
)
from router_worker.vendors.row import Quirks, VendorRow
from router_worker.vendors.stream_facts import FactsOf
from router_worker.vendors.vendor import ParsedResponse, VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

_CONFIG_NAMES = ("generationConfig", "generation_config")
_CAP_NAMES = ("maxOutputTokens", "max_output_tokens")
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class GeminiGenerate:
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build_request(self, call: VendorCall) -> VendorRequest:
        body, dropped = vendor_body(call, self._row.quirks)
        return VendorRequest(generate_path(self._row, call), headers(self._row, call), body, dropped)

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        try:
            answer = decode_chunk(body)
            if bytes(answer.error) != NULL:
                return classify_in_answer(body, after_chunks=False)
            if not answer.is_answer:
                return _GARBLED
            body_for_client = _for_client(body, call.model_id)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED
        reasons = [candidate.finish_reason for candidate in answer.candidates or ()]
        return ParsedResponse(
            body_for_client=body_for_client,
            tokens=read_tokens(answer.usage_metadata),
            finish_reason=next(iter(reasons), None) or answer.block_reason,
            vendor_request_id=answer.response_id,
            output_bytes=answer.generated_bytes(),
        )

    def open_stream(self, call: VendorCall) -> "GeminiStream":
        return GeminiStream(call)

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return classify_google_status(status, headers, body, now_ms, self._row.quirks.kind_of_status)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return None  # only the body names the answer


class GeminiStream(FactsOf):
    """Implements `vendor.StreamParser`."""

    def __init__(self, call: VendorCall) -> None:
        self._model_id = call.model_id
        self._reader = ChunkReader(call.choices)
        super().__init__(self._reader)

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._event(payload) for payload, _ in self._reader.feed(data))

    def finish(self) -> bytes:
        return b"".join(self._event(payload) for payload, _ in self._reader.finish())

    def _event(self, payload: bytes) -> bytes:
        try:
            for_client = _for_client(payload, self._model_id)
        except ValueError:
            self._reader.fail(FailureKind.VENDOR_GARBLED)
            return b""
        # A chunk over several lines has its line ends between its fields: in a string they would be no JSON.
        return b"data: " + for_client.replace(b"\n", b" ") + b"\n\n"


def vendor_body(call: VendorCall, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """And the names of the fields that were left out. Raises ValueError if the body is not a JSON object, which the
    surface has checked before."""
    fields = read_fields(without_wrapped(call.body))
    if fields is None:
        raise ValueError("the body is not a JSON object")
    drop_gateway_fields(fields)
    fields.pop("model", None)  # it stands in the path, and must be the same in both places
    dropped = drop_fields(fields, quirks.dropped)
    if call.max_output_tokens is not None:
        _cap(fields, call.max_output_tokens)
    return write_fields(fields), dropped


def _cap(fields: Fields, max_output_tokens: int) -> None:
    name = next((name for name in _CONFIG_NAMES if name in fields), _CONFIG_NAMES[0])
    config = read_fields(bytes(fields[name])) if name in fields and bytes(fields[name]) != NULL else {}
    if config is None:
        return  # not an object: the vendor refuses it
    caps = [cap for cap in (_number(config.pop(cap_name, None)) for cap_name in _CAP_NAMES) if cap is not None]
    config[_CAP_NAMES[0]] = to_raw(min([*caps, max_output_tokens]))
    fields[name] = msgspec.Raw(write_fields(config))


def _number(raw: msgspec.Raw | None) -> int | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=int | None)
    except msgspec.DecodeError:
        return None


def _for_client(payload: bytes, model_id: str) -> bytes:
    """Raises ValueError if it is not a JSON object."""
    fields = read_fields(payload)
    if fields is None:
        fields = read_fields(without_half_pairs(payload))
    if fields is None:
        raise ValueError("the answer is not a JSON object")
    fields["modelVersion"] = to_raw(model_id)
    return write_fields(fields)
