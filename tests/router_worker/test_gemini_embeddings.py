"""Embeddings by Gemini's batchEmbedContents."""

from typing import Any

import orjson
import pytest

from router_worker.canonical.answer import Embeddings
from router_worker.canonical.request import EmbeddingsRequest
from router_worker.vendors.gemini.embeddings import MAX_INPUTS, GeminiEmbeddings
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.gemini_samples import ROW, call

WIRE = GeminiEmbeddings(ROW)
CALL = call(vendor_model="gemini-embedding-001")


def read(answer: Any) -> Embeddings | Failure:
    return WIRE.read_embeddings(CALL, 200, {}, answer if isinstance(answer, bytes) else orjson.dumps(answer))


def test_a_request() -> None:
    built = WIRE.build_embeddings(EmbeddingsRequest(inputs=("a", "b"), dimensions=256, purpose="query"), CALL)
    assert isinstance(built, VendorRequest)
    assert built.url_path == "/models/gemini-embedding-001:batchEmbedContents"
    assert built.headers["x-goog-api-key"] == "secret"
    assert orjson.loads(built.body) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": 256,
                "content": {"parts": [{"text": text}]},
            }
            for text in ("a", "b")
        ]
    }


def test_too_many_texts_are_refused() -> None:
    built = WIRE.build_embeddings(EmbeddingsRequest(inputs=("a",) * (MAX_INPUTS + 1)), CALL)
    assert isinstance(built, Failure)
    assert built.param == "input"


def test_vectors_keep_their_digits() -> None:
    found = read(b'{"embeddings":[{"values":[0.10, -1e-3]},{"values":[2]}],"usageMetadata":{"promptTokenCount":4}}')
    assert found == Embeddings(vectors=(b"[0.10, -1e-3]", b"[2]"), tokens=TokenCounts(input=4))


@pytest.mark.parametrize("usage", [{}, {"usageMetadata": {}}, {"usageMetadata": {"promptTokenCount": "x"}}])
def test_usage_may_be_missing(usage: dict[str, Any]) -> None:
    found = read({"embeddings": [{"values": [1.0]}], **usage})
    assert isinstance(found, Embeddings)
    assert found.tokens is None


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[]", {"embeddings": []}, {"embeddings": [{}]}, {"embeddings": [{"values": []}]}, b"\xff"],
)
def test_what_is_no_answer(answer: Any) -> None:
    found = read(answer)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.VENDOR_GARBLED


def test_errors() -> None:
    found = read({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}})
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.VENDOR_RATE_LIMITED
    assert WIRE.classify_error(404, {}, b"", 0).kind is FailureKind.VENDOR_MODEL_UNKNOWN
