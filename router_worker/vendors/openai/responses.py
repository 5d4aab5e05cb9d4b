"""OpenAI's Responses API for its own clients: bodies pass through. Implements `vendor.Vendor`.

OpenAI is always told not to store the response, whatever the client said: nothing here could read it again, and zero
retention is the default. So a reasoning item can be used again only with the content that OpenAI encrypted; those
without it, and those that other vendors wrote for the same conversation, are left out, because OpenAI refuses them.
"""

from collections.abc import Mapping

import msgspec

from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import (
    NULL,
    Fields,
    read_fields,
    to_raw,
    with_model,
    without_half_pairs,
    write_fields,
)
from router_worker.vendors.openai.responses_seal import is_openais
from router_worker.vendors.openai.responses_stream import (
    OpenAiResponsesStream,
    classify_response_error,
    ending,
    read_tokens,
)
from router_worker.vendors.openai.vendor_row import OpenAiRow
from router_worker.vendors.vendor import ParsedResponse, VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

RESPONSES_PATH = "/responses"

_ABSENT = msgspec.Raw(NULL)
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)
_FALSE = msgspec.Raw(b"false")


class _Item(msgspec.Struct):
    type: str | None = None
    encrypted_content: str | None = None


_ITEM = msgspec.json.Decoder(_Item)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_CAP = msgspec.json.Decoder(int)


class OpenAiResponses(OpenAiRow):
    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        """Raises ValueError if the body is not a JSON object; the surface has checked that before."""
        fields = read_fields(call.body)
        if fields is None:
            raise ValueError("the body is not a JSON object")
        drop_gateway_fields(fields)
        dropped = [name for name in sorted(self._row.quirks.dropped) if fields.pop(name, _ABSENT) is not _ABSENT]
        if bytes(fields.get("store", _FALSE)) == b"true":
            dropped.append("store")
        fields["store"] = _FALSE
        fields["model"] = to_raw(call.vendor_model)
        if "input" in fields:
            fields["input"] = _without_foreign_reasoning(fields["input"])
        _cap(fields, call.max_output_tokens)
        return VendorRequest(RESPONSES_PATH, self.headers(call), write_fields(fields), tuple(dropped))

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        readable = without_half_pairs(body) if rb"\u" in body else body
        fields = read_fields(readable)
        if fields is None:
            return _GARBLED
        if bytes(fields.get("error", _ABSENT)) != NULL:
            return classify_response_error(readable, after_chunks=False)
        end = ending(readable)
        if end is None or bytes(fields.get("output", _ABSENT))[:1] != b"[":
            return _GARBLED
        try:
            body.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
            body_for_client = with_model(body, call.model_id) if readable != body else _with_model(fields, call)
        except (ValueError, RecursionError):
            return _GARBLED
        return ParsedResponse(
            body_for_client=body_for_client,
            tokens=read_tokens(fields.get("usage", _ABSENT)),
            finish_reason=end.reason,
            vendor_request_id=self.request_id(headers) or end.response_id,
            output_bytes=len(bytes(fields["output"])),
        )

    def open_stream(self, call: VendorCall) -> OpenAiResponsesStream:
        return OpenAiResponsesStream(call)


def _with_model(fields: Fields, call: VendorCall) -> bytes:
    return write_fields(fields | {"model": to_raw(call.model_id)})


def _without_foreign_reasoning(raw: msgspec.Raw) -> msgspec.Raw:
    if b'"reasoning"' not in bytes(raw) or bytes(raw)[:1] != b"[":
        return raw
    try:
        kept = [item for item in _ITEMS.decode(raw) if not _is_foreign_reasoning(item)]
    except (msgspec.DecodeError, RecursionError):
        return raw
    return msgspec.Raw(msgspec.json.encode(kept))


def _is_foreign_reasoning(raw: msgspec.Raw) -> bool:
    try:
        item = _ITEM.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False  # OpenAI is the one to say what is wrong with it
    return item.type == "reasoning" and not is_openais(item.encrypted_content)


def _cap(fields: Fields, max_output_tokens: int | None) -> None:
    if max_output_tokens is None:
        return
    try:
        given = _CAP.decode(fields.get("max_output_tokens", _ABSENT))
    except msgspec.DecodeError:
        given = None
    if given is None or given > max_output_tokens:
        fields["max_output_tokens"] = to_raw(max_output_tokens)
