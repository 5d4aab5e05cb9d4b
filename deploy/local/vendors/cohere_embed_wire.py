"""Cohere's POST /v2/embed on the wire. Source: Cohere's API v2 reference."""

from typing import Any

import orjson

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, count_words
from deploy.local.vendors.cohere_envelope import CohereEnvelope, read_strictly
from deploy.local.vendors.cohere_request import EmbedRequest, EmbedTextPart
from deploy.local.vendors.embedding import embedding_vector
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.strict_body import StrictReader
from deploy.local.vendors.vector_encodings import base64_of_floats, binary, int8, ubinary, uint8
from deploy.local.vendors.wire import Incoming, Refused

DEFAULT_DIMENSIONS = 1536
_ENCODINGS = {
    "float": lambda vector: vector,
    "int8": int8,
    "uint8": uint8,
    "binary": binary,
    "ubinary": ubinary,
    "base64": base64_of_floats,
}


class CohereEmbedWire(CohereEnvelope):
    garbage_body = b'{"id":"garbage","embeddings":{"float":[[0.1,'

    def __init__(self) -> None:
        self._reader = StrictReader(EmbedRequest)

    def decode(self, incoming: Incoming) -> Ask:
        request = read_strictly(self._reader, incoming.body)
        given = [name for name in ("texts", "images", "inputs") if getattr(request, name) is not None]
        if len(given) != 1:
            raise Refused(400, "exactly one of texts, images and inputs must be specified", param="texts")
        if (request.input_type == "image") is not (request.images is not None):
            raise Refused(400, "valid input_type must be provided: image goes with images alone", param="input_type")
        images = len(request.images or ())
        texts = [*(request.texts or ()), *(request.images or ())]
        words = sum(map(count_words, request.texts or ()))
        for entry in request.inputs or ():
            said = [part.text for part in entry.content if isinstance(part, EmbedTextPart)]
            seen = [part.image_url.url for part in entry.content if not isinstance(part, EmbedTextPart)]
            images += len(seen)
            words += sum(map(count_words, said))
            texts.append(" ".join([*said, *seen]))
        return Ask(
            model=request.model,
            task="embed",
            prompt_tokens=max(1, words + NON_TEXT_PART_TOKENS * images),
            texts=tuple(texts),
            images=images,
            dimensions=request.output_dimension or DEFAULT_DIMENSIONS,
            extra=request,
        )

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        request: EmbedRequest = ask.extra
        vectors = [embedding_vector(text, ask.dimensions or DEFAULT_DIMENSIONS) for text in ask.texts]
        kinds = request.embedding_types or ["float"]
        answer: dict[str, Any] = {
            "id": answer_id,
            "response_type": "embeddings_by_type",
            "embeddings": {kind: [_ENCODINGS[kind](vector) for vector in vectors] for kind in kinds},
            "texts": request.texts or [],
            "meta": {"api_version": {"version": "2"}},
        }
        if usage_sent:
            answer["meta"]["billed_units"] = {"input_tokens": plan.prompt_tokens}
        return orjson.dumps(answer)
