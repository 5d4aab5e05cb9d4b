"""Embeddings of OpenAI-compatible vendors, passed through. Implements `vendor.Vendor`.

Vectors are never parsed, be they lists of numbers or base64.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import NULL, drop_fields, is_utf8, read_fields, to_raw, write_fields
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.openai.vendor_row import OpenAiRow
from router_worker.vendors.vendor import ParsedResponse, StreamParser, VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

EMBEDDINGS_PATH = "/embeddings"

_ABSENT = msgspec.Raw(NULL)
_Count = Annotated[int, Meta(ge=0, le=10**12)] | None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count = None
    total_tokens: _Count = None


_USAGE = msgspec.json.Decoder(_Usage)


class OpenAiEmbeddings(OpenAiRow):
    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        """Raises ValueError if the body is not a JSON object; the surface has checked that before."""
        fields = read_fields(call.body)
        if fields is None:
            raise ValueError("the body is not a JSON object")
        quirks = self._row.quirks
        drop_gateway_fields(fields)
        dropped = drop_fields(fields, quirks.dropped)
        fields["model"] = to_raw(call.vendor_model)
        fields = {
            quirks.embeddings_renamed.get(name, name): value
            for name, value in fields.items()
            if quirks.embeddings_renamed.get(name) not in fields
        }
        return VendorRequest(EMBEDDINGS_PATH, self.headers(call), write_fields(fields), dropped)

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        fields = read_fields(body)
        if fields is None:
            return Failure(kind=FailureKind.VENDOR_GARBLED)
        if bytes(fields.get("error", _ABSENT)) != NULL:
            return classify_in_answer(body, after_chunks=False)
        if bytes(fields.get("data", _ABSENT))[:1] != b"[" or not is_utf8(body):
            return Failure(kind=FailureKind.VENDOR_GARBLED)
        fields["model"] = to_raw(call.model_id)
        return ParsedResponse(
            body_for_client=write_fields(fields),
            tokens=_tokens(fields.get("usage", _ABSENT)),
            finish_reason=None,
            vendor_request_id=self.request_id(headers),
            output_bytes=0,
        )

    def open_stream(self, call: VendorCall) -> StreamParser:
        raise NotImplementedError("embeddings do not stream, and their surface reads no request that does")


def _tokens(raw: msgspec.Raw) -> TokenCounts | None:
    """None if the vendor gave no figures. Nothing is generated, so what some vendors count in all is the input."""
    try:
        usage = _USAGE.decode(raw)
    except msgspec.DecodeError:
        return None
    count = usage.prompt_tokens if usage.prompt_tokens is not None else usage.total_tokens
    return None if count is None else TokenCounts(input=count, output=0)
