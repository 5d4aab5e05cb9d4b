"""OpenAI Embeddings at the ingress. Format: OpenAI API reference, "Create embeddings"."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingress.surfaces.openai_errors import error_body, error_event
from ingress.surfaces.surface import Call, GatewayFields, Name, bearer, comment, decode, invalid
from schemas.envelope import Surface
from schemas.failures import Failure

MAX_INPUTS = 2048

_Token = Annotated[int, Meta(ge=0)]
_Text = Annotated[str, Meta(min_length=1)]
_Tokens = Annotated[list[_Token], Meta(min_length=1)]


class _Request(GatewayFields, kw_only=True):
    """Unknown fields are passed over here; the worker and the vendor decide on them."""

    model: Name
    input: _Text | Annotated[list[_Text | _Token | _Tokens], Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=10**6)] | None = None


_DECODER = msgspec.json.Decoder(_Request)


class OpenAiEmbeddings:
    name: Surface = "openai.embeddings"
    heartbeat = b""
    """Never sent: embeddings do not stream."""

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        return bearer(headers)

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        request = decode(_DECODER, body)
        if isinstance(request, Failure):
            return request
        if isinstance(request.input, list):
            kinds = {type(each) for each in request.input}
            if len(kinds) > 1:
                return invalid("input", "texts and tokens cannot be mixed")
            # A list of numbers is one input, of tokens.
            if kinds != {int} and len(request.input) > MAX_INPUTS:
                return invalid("input", f"at most {MAX_INPUTS} inputs in one request")
        return Call(model=request.model, streaming=False, max_output_tokens=0, gateway=request)

    def error_body(self, failure: Failure, request_id: str) -> bytes:
        return error_body(failure)

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        return error_event(failure)

    def metadata_event(self, metadata: bytes) -> bytes:
        return comment(metadata)
