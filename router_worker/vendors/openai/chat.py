"""The wire format of OpenAI's chat completions, which most vendors speak. Implements `vendor.Vendor`.

Client format and vendor format are the same here, so bodies pass through with only the fields changed that must be.
"""

from collections.abc import Mapping

import msgspec

from router_worker.vendors.json_fields import (
    NULL,
    read_fields,
    to_raw,
    with_model,
    without_half_pairs,
    write_fields,
)
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.openai.pieces import BROKEN_REASONS
from router_worker.vendors.openai.request import vendor_body
from router_worker.vendors.openai.stream import OpenAiStream
from router_worker.vendors.openai.thinking_parts import with_plain_thoughts
from router_worker.vendors.openai.usage import find_tokens
from router_worker.vendors.openai.vendor_row import ATTEMPT_ID_HEADER, OpenAiRow
from router_worker.vendors.vendor import ParsedResponse, VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

# Other wires take the header's name from here.
__all__ = ["ATTEMPT_ID_HEADER", "OpenAiChat"]

_ABSENT = msgspec.Raw(NULL)
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class _Message(msgspec.Struct):
    content: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    refusal: msgspec.Raw = _ABSENT
    tool_calls: msgspec.Raw = _ABSENT
    function_call: msgspec.Raw = _ABSENT


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = _ABSENT


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = _ABSENT


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    usage: msgspec.Raw = _ABSENT
    x_groq: _Groq | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAiChat(OpenAiRow):
    def build_request(self, call: VendorCall) -> VendorRequest | Failure:
        built = vendor_body(call, self._row.quirks)
        if isinstance(built, Failure):
            return built
        return VendorRequest(built.url_path, self.headers(call), built.body, built.dropped)

    def parse_response(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse | Failure:
        if self._row.quirks.thoughts == "thinking_parts":
            body = with_plain_thoughts(body, "message")
        fields = read_fields(body)
        readable = body if fields is not None else without_half_pairs(body)
        error = (fields or read_fields(readable) or {}).get("error", _ABSENT)
        if bytes(error) != NULL:
            return classify_in_answer(readable, after_chunks=False)
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
        if any(choice.finish_reason in BROKEN_REASONS for choice in answer.choices):
            return Failure(kind=FailureKind.VENDOR_BROKE_OFF)
        usages = [answer.usage, *([] if answer.x_groq is None else [answer.x_groq.usage])]
        usages += [choice.usage for choice in answer.choices]
        return ParsedResponse(
            body_for_client=body_for_client,
            tokens=find_tokens(usages, reasoning_apart=self._row.quirks.reasoning_apart),
            finish_reason=next((choice.finish_reason for choice in answer.choices), None),
            vendor_request_id=self.request_id(headers) or answer.id,
            output_bytes=sum(_generated_bytes(choice.message) for choice in answer.choices),
        )

    def open_stream(self, call: VendorCall) -> OpenAiStream:
        return OpenAiStream(call, self._row.quirks)


def _generated_bytes(message: _Message | None) -> int:
    """At least as many as there were tokens: each stands for a byte or more of what is written here."""
    if message is None:
        return 0
    parts = (
        message.content,
        message.reasoning_content,
        message.reasoning,
        message.refusal,
        message.tool_calls,
        message.function_call,
    )
    return sum(len(raw) for raw in map(bytes, parts) if raw != NULL)
