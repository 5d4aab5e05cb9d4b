"""OpenAI Chat Completions at the ingress. Format: OpenAI API reference, "Chat completions" and "Error codes"."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingress.surfaces.openai_errors import error_body, error_event
from ingress.surfaces.surface import Call, GatewayFields, Name, bearer, comment, decode
from schemas.envelope import Surface
from schemas.failures import Failure


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Tool(msgspec.Struct):
    """Only that it is an object; building all of them for nothing would cost more than the rest of the check."""


class _Request(GatewayFields, kw_only=True):
    """Unknown fields are passed over here; the worker and the vendor decide on them."""

    model: Name
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    tools: list[_Tool] | None = None


_DECODER = msgspec.json.Decoder(_Request)


class OpenAiChat:
    name: Surface = "openai.chat"
    heartbeat = b": keep-alive\n\n"

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        return bearer(headers)

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        request = decode(_DECODER, body)
        if isinstance(request, Failure):
            return request
        cap = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
        return Call(
            model=request.model,
            streaming=bool(request.stream),
            max_output_tokens=cap,
            choices=request.n or 1,
            gateway=request,
        )

    def error_body(self, failure: Failure, request_id: str) -> bytes:
        return error_body(failure)

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        return error_event(failure)

    def metadata_event(self, metadata: bytes) -> bytes:
        return comment(metadata)
