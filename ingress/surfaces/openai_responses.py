"""OpenAI Responses at the ingress. Format: OpenAI API reference, "Create a model response" and "Streaming events"."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingress.surfaces.openai_errors import error_body
from ingress.surfaces.surface import Call, GatewayFields, Name, bearer, comment, decode, invalid
from schemas.envelope import Surface
from schemas.failures import Failure

_NOT_STORED = "responses are not stored here; send the whole conversation in 'input'"
_NULL = msgspec.Raw(b"null")


class _Item(msgspec.Struct):
    """Only that it is an object; the worker reads what is in it."""


class _Tool(msgspec.Struct):
    """Only that it is an object."""


class _Metadata(msgspec.Struct):
    """Only that it is an object."""


class _Request(GatewayFields, kw_only=True):
    """Unknown fields are passed over here; the worker and the vendor decide on them."""

    model: Name
    input: str | Annotated[list[_Item], Meta(min_length=1)]
    stream: bool | None = None
    store: bool | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    metadata: _Metadata | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    tools: list[_Tool] | None = None


_DECODER = msgspec.json.Decoder(_Request)


class _Stored(msgspec.Struct):
    """What a request asks of earlier ones, looked at before `input` is missed: with these it need not be there."""

    background: bool | None = None
    previous_response_id: msgspec.Raw = _NULL
    conversation: msgspec.Raw = _NULL
    prompt: msgspec.Raw = _NULL

    def asked(self) -> str | None:
        for name in ("previous_response_id", "conversation", "prompt"):
            if bytes(getattr(self, name)) != b"null":
                return name
        return "background" if self.background else None


_STORED = msgspec.json.Decoder(_Stored)


class OpenAiResponses:
    name: Surface = "openai.responses"
    heartbeat = b": keep-alive\n\n"

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        return bearer(headers)

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        stored = decode(_STORED, body)
        if isinstance(stored, Failure):
            return stored
        asked = stored.asked()
        if asked is not None:
            return invalid(asked, _NOT_STORED)
        request = decode(_DECODER, body)
        if isinstance(request, Failure):
            return request
        return Call(
            model=request.model,
            streaming=bool(request.stream),
            max_output_tokens=request.max_output_tokens,
            gateway=request,
        )

    def error_body(self, failure: Failure, request_id: str) -> bytes:
        return error_body(failure)

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        """The event as documented, flat, with the same below `error`: that is what OpenAI sends, and what makes its
        clients raise. How many events went before is the worker's knowledge, so the number is always 0."""
        error = msgspec.json.decode(error_body(failure))["error"]
        flat = {name: error[name] for name in ("code", "message", "param")}
        event = {"type": "error", "sequence_number": 0, **flat, "error": error}
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"

    def metadata_event(self, metadata: bytes) -> bytes:
        return comment(metadata)
