"""OpenAI's POST /v1/embeddings on the wire. Source: OpenAI's API reference."""

from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta

from deploy.local.vendors.ask import Ask, count_words
from deploy.local.vendors.embedding import embedding_vector
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.openai_misfit import NOT_JSON, refusal_of
from deploy.local.vendors.openai_wire import check_bearer, error_envelope
from deploy.local.vendors.strict_body import Misfit, NotJson, StrictReader
from deploy.local.vendors.vector_encodings import base64_of_floats
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

MAX_INPUTS = 2048
MAX_TOKENS_OF_INPUT = 8192
_Text = Annotated[str, Meta(min_length=1)]
_Token = Annotated[int, Meta(ge=0)]
_Tokens = Annotated[list[_Token], Meta(min_length=1, max_length=MAX_TOKENS_OF_INPUT)]


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`input`: one text or many; or one text as its tokens, or many of these."""

    input: _Text | Annotated[list[_Text | _Token | _Tokens], Meta(min_length=1)]
    model: _Text
    dimensions: Annotated[int, Meta(ge=1, le=3072)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


def endpoints() -> tuple[Endpoint, ...]:
    return (Endpoint("POST", "/embeddings", EmbeddingsWire()),)


class _Peeked(msgspec.Struct):
    model: Any = None


class EmbeddingsWire(Wire):
    garbage_body = b'{"object":"list","data":[{"object":"embedding","embedding":[0.1,'

    def __init__(self) -> None:
        self._reader = StrictReader(EmbeddingsRequest)

    def authorize(self, incoming: Incoming) -> None:
        check_bearer(incoming)

    def decode(self, incoming: Incoming) -> Ask:
        try:
            request = self._reader.read(incoming.body)
        except Misfit as misfit:
            raise refusal_of(misfit) from None
        except NotJson:
            raise Refused(400, NOT_JSON) from None
        if request.dimensions is not None and "ada-002" in request.model:
            raise Refused(400, "This model does not support specifying dimensions.", param="dimensions", code="")
        if isinstance(request.input, list) and len({type(entry) for entry in request.input}) > 1:
            message = "Invalid type for 'input': expected strings, or tokens, or arrays of tokens."
            raise Refused(400, message, param="input", code="invalid_type")
        texts, tokens = _inputs(request.input)
        if len(texts) > MAX_INPUTS:
            raise Refused(400, f"'$.input' is too long: at most {MAX_INPUTS} inputs.", param="input", code="")
        return Ask(
            model=request.model,
            task="embed",
            prompt_tokens=max(1, tokens),
            texts=texts,
            dimensions=request.dimensions or (3072 if "3-large" in request.model else 1536),
            extra=request.encoding_format,
        )

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = msgspec.json.decode(incoming.body, type=_Peeked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        return (seen.model if isinstance(seen.model, str) else None), False

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        vectors = [embedding_vector(text, ask.dimensions or 1536) for text in ask.texts]
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64_of_floats(vector) if ask.extra == "base64" else vector,
            }
            for index, vector in enumerate(vectors)
        ]
        answer: dict[str, Any] = {"object": "list", "data": data, "model": ask.model}
        if usage_sent:
            answer["usage"] = {"prompt_tokens": plan.prompt_tokens, "total_tokens": plan.prompt_tokens}
        return orjson.dumps(answer)

    def error_body(self, refused: Refused) -> bytes:
        return error_envelope(refused)


def _inputs(given: str | list[Any]) -> tuple[tuple[str, ...], int]:
    """The inputs as texts (tokens written out), and how many tokens they have together."""
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    texts = tuple(entry if isinstance(entry, str) else " ".join(map(str, entry)) for entry in given)
    return texts, sum(map(count_words, texts))
