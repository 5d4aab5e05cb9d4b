"""Anthropic's Messages and its token counting, for clients that speak the same format. Implements `vendor.Vendor`.

The body passes through with only the model, the gateway's own fields and the cap changed, the answer with only the
model's name changed.
"""

from collections.abc import Mapping

import msgspec

from router_worker.vendors.anthropic.errors import AnthropicRefusals, classify_event
from router_worker.vendors.anthropic.events import ABSENT, Block, block_bytes
from router_worker.vendors.anthropic.request import pass_through
from router_worker.vendors.anthropic.stream import AnthropicStream
from router_worker.vendors.anthropic.usage import RunningUsage
from router_worker.vendors.json_fields import read_fields, to_raw, with_model, without_half_pairs, write_fields
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import ParsedResponse, VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class _Answer(msgspec.Struct):
    content: list[Block]
    id: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = ABSENT


class _Count(msgspec.Struct):
    input_tokens: int


_ANSWER = msgspec.json.Decoder(_Answer)
_COUNT = msgspec.json.Decoder(_Count)


class AnthropicMessages(AnthropicRefusals):
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        return pass_through(call, self._row)

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        fields = read_fields(body)
        readable = body if fields is not None else without_half_pairs(body)
        if "error" in (fields or read_fields(readable) or {}):
            return classify_event(readable, after_chunks=False)
        try:
            body.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
            answer = _ANSWER.decode(readable)
            if fields is None:
                body_for_client = with_model(body, call.model_id)
            else:
                fields["model"] = to_raw(call.model_id)
                body_for_client = write_fields(fields)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED
        usage = RunningUsage()
        usage.update(answer.usage)
        return ParsedResponse(
            body_for_client=body_for_client,
            tokens=usage.final,
            finish_reason=answer.stop_reason,
            vendor_request_id=self.request_id(headers) or answer.id,
            output_bytes=sum(map(block_bytes, answer.content)),
        )

    def open_stream(self, call: VendorCall) -> AnthropicStream:
        return AnthropicStream(call)


class AnthropicCountTokens(AnthropicRefusals):
    """Anthropic charges nothing for it."""

    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        return pass_through(call, self._row, counting=True)

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        if "error" in (read_fields(body) or {}):
            return classify_event(body, after_chunks=False)
        try:
            body.decode()
            _COUNT.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _GARBLED
        return ParsedResponse(
            body_for_client=body,
            tokens=TokenCounts(),
            finish_reason=None,
            vendor_request_id=self.request_id(headers),
            output_bytes=0,
        )

    def open_stream(self, call: VendorCall) -> AnthropicStream:
        raise NotImplementedError("counting does not stream, and its surface reads no request that does")
