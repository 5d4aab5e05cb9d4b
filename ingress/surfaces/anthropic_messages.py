"""Anthropic Messages and its token counting at the ingress. Format: Claude API reference, "Messages"."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingress.surfaces.anthropic_errors import error_body, error_event
from ingress.surfaces.surface import Call, GatewayFields, Name, bearer, comment, decode
from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind

_NULL = msgspec.Raw(b"null")
_NO_THREADS = Failure(
    kind=FailureKind.INVALID_REQUEST,
    message="Invalid 'thread': conversations are not stored here; send all of it in 'messages'.",
    param="thread",
    # By this word the SDKs' tool runner knows that it has to go on by itself, with the whole conversation each time.
    code="thread_unsupported_request",
)


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]


class _Tool(msgspec.Struct):
    """Only that it is an object; the worker and the vendor read the rest."""


class _Asked(GatewayFields, kw_only=True):
    """What both calls have. Unknown fields are passed over here; the worker and the vendor decide on them."""

    model: Name
    messages: Annotated[list[_Message], Meta(min_length=1)]
    tools: list[_Tool] | None = None


class _Request(_Asked, kw_only=True):
    max_tokens: Annotated[int, Meta(ge=0)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    thread: msgspec.Raw = _NULL


_REQUEST = msgspec.json.Decoder(_Request)
_COUNT = msgspec.json.Decoder(_Asked)


class _Anthropic:
    heartbeat = b'event: ping\ndata: {"type": "ping"}\n\n'

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        """From `x-api-key`, as the SDKs send a key, or as a bearer token, as they send `auth_token`."""
        key = headers.get("x-api-key", "").strip()
        if key:
            return key
        if headers.get("Authorization"):
            return bearer(headers)
        return Failure(
            kind=FailureKind.MISSING_API_KEY,
            message="No API key was given. Send it as 'x-api-key: <key>' or 'Authorization: Bearer <key>'.",
        )

    def error_body(self, failure: Failure, request_id: str) -> bytes:
        return error_body(failure, request_id)

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        return error_event(failure, request_id)

    def metadata_event(self, metadata: bytes) -> bytes:
        return comment(metadata)


class AnthropicMessages(_Anthropic):
    name: Surface = "anthropic.messages"

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        request = decode(_REQUEST, body)
        if isinstance(request, Failure):
            return request
        if bytes(request.thread) != b"null":
            return _NO_THREADS
        return Call(
            model=request.model,
            streaming=bool(request.stream),
            max_output_tokens=request.max_tokens,
            gateway=request,
        )


class AnthropicCountTokens(_Anthropic):
    name: Surface = "anthropic.count_tokens"

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        request = decode(_COUNT, body)
        if isinstance(request, Failure):
            return request
        return Call(model=request.model, streaming=False, max_output_tokens=0, gateway=request)
