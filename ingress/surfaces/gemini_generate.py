"""Gemini's generateContent and streamGenerateContent at the ingress. Format: Gemini API reference.

Google's JSON parser takes every field also in snake case, so the few that are looked at here stand here twice. Model
and streaming come from the path.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ingress.surfaces.gemini_errors import error_body, error_event
from ingress.surfaces.surface import Call, GatewayFields, bearer, decode, invalid
from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind

KEY_HEADER = "x-goog-api-key"
_NO_KEY = (
    f"No API key was given. Send it in the header '{KEY_HEADER}', as '?key=<key>', or as 'Authorization: Bearer <key>'."
)

_Count = Annotated[int, Meta(ge=1)] | None


class _Content(msgspec.Struct):
    """Only that it is an object; what is in it is read by the worker."""


class _Tool(msgspec.Struct):
    """Like `_Content`."""


class _GenerationConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: _Count = None
    max_output_tokens_too: _Count = msgspec.field(name="max_output_tokens", default=None)
    candidate_count: Annotated[int, Meta(ge=1, le=8)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None

    @property
    def cap(self) -> int | None:
        return self.max_output_tokens if self.max_output_tokens is not None else self.max_output_tokens_too


class _Request(GatewayFields, kw_only=True):
    contents: Annotated[list[_Content], Meta(min_length=1)]
    tools: list[_Tool] | None = None
    generation_config: _GenerationConfig | None = msgspec.field(name="generationConfig", default=None)
    generation_config_too: _GenerationConfig | None = msgspec.field(name="generation_config", default=None)


_DECODER = msgspec.json.Decoder(_Request)


class GeminiGenerate:
    name: Surface = "gemini.generate"
    # Not a comment: the google-genai SDK takes every line that does not begin with "data: " for a piece of an error's
    # JSON, and fails. Empty lines it passes over, as do other SSE readers; the Go SDK needs them in pairs.
    heartbeat = b"\n\n"

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        key = headers.get(KEY_HEADER) or query.get("key")
        if key:
            return key.strip()
        if not headers.get("Authorization"):
            return Failure(kind=FailureKind.MISSING_API_KEY, message=_NO_KEY)
        return bearer(headers)

    def read_call(self, body: bytes, model: str | None, *, streaming: bool) -> Call | Failure:
        if not model:
            return invalid("model", "it is missing in the path")
        request = decode(_DECODER, body)
        if isinstance(request, Failure):
            return request
        configs = [config for config in (request.generation_config, request.generation_config_too) if config]
        cap = min((config.cap for config in configs if config.cap is not None), default=None)
        choices = max((config.candidate_count or 1 for config in configs), default=1)
        return Call(model=model, streaming=streaming, max_output_tokens=cap, choices=choices, gateway=request)

    def error_body(self, failure: Failure, request_id: str) -> bytes:
        return error_body(failure, request_id)

    def error_event(self, failure: Failure, request_id: str) -> bytes:
        return error_event(failure, request_id)

    def metadata_event(self, metadata: bytes) -> bytes:
        # A comment would make the google-genai SDK raise; of fields that it does not know it takes no notice.
        return b'data: {"routingMetadata":' + metadata + b"}\n\n"
