"""Gemini's embeddings by batchEmbedContents. Implements `wire.EmbeddingsWire`. Format: Gemini API reference.

Usage came to the answer only with the newer models; without it the call is estimated.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Embeddings
from router_worker.canonical.request import EmbeddingsRequest
from router_worker.vendors.gemini.call import headers, model_path
from router_worker.vendors.gemini.errors import classify_google_status, classify_in_answer
from router_worker.vendors.json_fields import NULL
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

MAX_INPUTS = 100

_TASK_TYPES = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_ABSENT = msgspec.Raw(NULL)
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)


class _Vector(msgspec.Struct):
    values: msgspec.Raw = _ABSENT


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector] = []
    usage_metadata: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


_ANSWER = msgspec.json.Decoder(_Answer)
_VALUES = msgspec.json.Decoder(list[float])
_USAGE = msgspec.json.Decoder(_Usage)


class GeminiEmbeddings:
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build_embeddings(self, request: EmbeddingsRequest, call: VendorCall) -> VendorRequest | Failure:
        if len(request.inputs) > MAX_INPUTS:
            return cannot_say("input", f"Gemini embeds at most {MAX_INPUTS} texts at a time")
        settings: dict[str, object] = {
            "model": f"models/{call.vendor_model.removeprefix('models/')}",
            "taskType": _TASK_TYPES[request.purpose],
        }
        if request.dimensions is not None:
            settings["outputDimensionality"] = request.dimensions
        requests = [{**settings, "content": {"parts": [{"text": text}]}} for text in request.inputs]
        path = f"{model_path(self._row, call)}:batchEmbedContents"
        return VendorRequest(path, headers(self._row, call), msgspec.json.encode({"requests": requests}))

    def read_embeddings(
        self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes
    ) -> Embeddings | Failure:
        try:
            answer = _ANSWER.decode(body)
            if bytes(answer.error) != NULL:
                return classify_in_answer(body, after_chunks=False)
            vectors = tuple(bytes(vector.values) for vector in answer.embeddings)
            if not all(_VALUES.decode(vector) for vector in vectors):
                return _GARBLED  # a client would take an empty vector for the text's
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _GARBLED
        return Embeddings(vectors=vectors, tokens=_tokens(answer.usage_metadata)) if vectors else _GARBLED

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return classify_google_status(status, headers, body, now_ms, self._row.quirks.kind_of_status)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return None


def _tokens(usage: msgspec.Raw) -> TokenCounts | None:
    if bytes(usage) == NULL:
        return None
    try:
        count = _USAGE.decode(usage).prompt_token_count
    except msgspec.DecodeError:
        return None
    return None if count is None else TokenCounts(input=count)
