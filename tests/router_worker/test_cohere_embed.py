"""Embeddings at Cohere, checked against the documented request as strictly as the simulator does."""

import json
from typing import Any, Literal

import msgspec
import pytest

from deploy.local.vendors.cohere_request import EmbedRequest as Documented
from router_worker.canonical.answer import Embeddings
from router_worker.canonical.request import EmbeddingsRequest
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.cohere_samples import WIRE
from tests.router_worker.openai_samples import call


def built(**fields: Any) -> dict[str, Any]:
    made = WIRE.build_embeddings(EmbeddingsRequest(**({"inputs": ("a", "b")} | fields)), call())
    assert isinstance(made, VendorRequest)
    assert made.url_path == "/v2/embed"
    assert made.headers["Authorization"] == "Bearer secret"
    msgspec.json.decode(made.body, type=Documented)
    sent: dict[str, Any] = json.loads(made.body)
    return sent


def test_a_request() -> None:
    assert built(dimensions=256) == {
        "model": "vendor/one",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "NONE",
        "output_dimension": 256,
    }


@pytest.mark.parametrize(
    ("purpose", "word"),
    [("query", "search_query"), ("classification", "classification"), ("clustering", "clustering")],
)
def test_purposes(purpose: Literal["query", "classification", "clustering"], word: str) -> None:
    assert built(purpose=purpose)["input_type"] == word


@pytest.mark.parametrize(("fields", "param"), [({"inputs": ("x",) * 97}, "input"), ({"dimensions": 300}, "dimensions")])
def test_what_cohere_cannot_do_is_refused(fields: dict[str, Any], param: str) -> None:
    made = WIRE.build_embeddings(EmbeddingsRequest(**({"inputs": ("a",)} | fields)), call())
    assert isinstance(made, Failure)
    assert (made.param, made.code) == (param, "unsupported_by_vendor")


def test_an_answer_keeps_its_digits() -> None:
    body = (
        b'{"id":"e1","texts":["a","b"],"embeddings":{"float":[[0.10000000000000001,2],[3,-4e-5]]},'
        b'"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":6.0}},"response_type":"embeddings_by_type"}'
    )
    assert WIRE.read_embeddings(call(), 200, {}, body) == Embeddings(
        vectors=(b"[0.10000000000000001,2]", b"[3,-4e-5]"), tokens=TokenCounts(input=6), vendor_request_id="e1"
    )


def test_an_answer_without_figures() -> None:
    found = WIRE.read_embeddings(call(), 200, {}, b'{"embeddings":{"float":[[1]]}}')
    assert isinstance(found, Embeddings)
    assert found.tokens is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"embeddings":{"float":[["x"]]}}',
        b'{"embeddings":{"float":[5]}}',
        b'{"embeddings":{"int8":[[1]]}}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    found = WIRE.read_embeddings(call(), 200, {}, body)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.VENDOR_GARBLED
