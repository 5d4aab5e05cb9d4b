"""OpenAI Embeddings at the worker. Format: OpenAI API reference, "Create embeddings" and "The embedding object".

Inputs given as tokens are refused where another vendor would have to read them: the numbers mean something only to the
model whose tokenizer made them. `input_type` is no field of OpenAI's, but what clients of other vendors' models send to
say what the vectors are for; it is understood in the words of Cohere and Voyage.
"""

import base64
import sys
from array import array
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Embeddings
from router_worker.canonical.request import EmbeddingsRequest
from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.surface import Reading
from router_worker.surfaces.typed_fields import BadFieldError, check_whole, is_null, read_typed, untranslatable, wrong
from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure, FailureKind

MAX_DEPTH = 20

_PURPOSES: dict[str, Literal["query", "document", "classification", "clustering"]] = {
    "query": "query",
    "search_query": "query",
    "document": "document",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
}
_HINTS = frozenset({"user", "safety_identifier"})
_READ = frozenset({"model", "input", "encoding_format", "dimensions", "input_type"})

_Text = Annotated[str, Meta(min_length=1)]


class _Request(msgspec.Struct, frozen=True):
    model: str
    input: msgspec.Raw
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    input_type: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_TEXT = msgspec.json.Decoder(_Text)
_TEXTS = msgspec.json.Decoder(Annotated[list[_Text], Meta(min_length=1)])
_FIRST = msgspec.json.Decoder(list[msgspec.Raw])
_FLOATS = msgspec.json.Decoder(list[float])
_ENCODER = msgspec.json.Encoder()


class OpenAiEmbeddings:
    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        try:
            body.decode()
            read_typed(_REQUEST, body, "")
        except UnicodeDecodeError:
            return Failure(kind=FailureKind.INVALID_JSON)
        except BadFieldError as bad:
            return bad.failure
        if is_deeper_than(MAX_DEPTH, body):
            text = f"The body is nested more than {MAX_DEPTH} deep."
            return Failure(kind=FailureKind.INVALID_REQUEST, message=text)
        return Reading(streaming=False, canonical=partial(_read_request, body), kind="embeddings")

    def write_embeddings(self, embeddings: Embeddings, call: VendorCall) -> bytes:
        request = call.canonical
        as_base64 = isinstance(request, EmbeddingsRequest) and request.base64
        count = 0 if embeddings.tokens is None else embeddings.tokens.input
        return _ENCODER.encode(
            {
                "object": "list",
                "data": [
                    {
                        "object": "embedding",
                        "index": index,
                        "embedding": _as_base64(vector) if as_base64 else msgspec.Raw(vector),
                    }
                    for index, vector in enumerate(embeddings.vectors)
                ],
                "model": call.model_id,
                "usage": {"prompt_tokens": count, "total_tokens": count},
            }
        )


def _read_request(body: bytes) -> EmbeddingsRequest | Failure:
    try:
        check_whole(body)
        request = read_typed(_REQUEST, body, "")
        fields = read_fields(body) or {}
        drop_gateway_fields(fields)
        given = {name for name, raw in fields.items() if not is_null(raw)}
        for name in sorted(given - _READ - _HINTS):
            raise untranslatable(name, "unknown here, and only passed on to vendors of this API")
        purpose = _PURPOSES.get(request.input_type or "document")
        if purpose is None:
            raise wrong("input_type", f"one of {', '.join(sorted(_PURPOSES))}")
        return EmbeddingsRequest(
            inputs=_texts(request.input),
            dimensions=request.dimensions,
            base64=request.encoding_format == "base64",
            purpose=purpose,
            dropped=tuple(sorted(given & _HINTS)),
        )
    except BadFieldError as bad:
        return bad.failure


def _texts(raw: msgspec.Raw) -> tuple[str, ...]:
    if bytes(raw)[:1] != b"[":
        return (read_typed(_TEXT, raw, "input"),)
    first = bytes((read_typed(_FIRST, raw, "input") or [msgspec.Raw()])[0])
    if first[:1] == b"[" or first[:1].isdigit():
        raise untranslatable("input", "tokens are numbers of OpenAI's tokenizer; send the text itself")
    return tuple(read_typed(_TEXTS, raw, "input"))


def _as_base64(vector: bytes) -> str:
    """Little-endian floats of 32 bits, as OpenAI's clients expect them."""
    floats = array("f", _FLOATS.decode(vector))
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
