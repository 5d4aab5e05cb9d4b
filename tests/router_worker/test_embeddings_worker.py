"""OpenAI Embeddings at the worker: the canonical request, and vectors as OpenAI's client decodes them."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from router_worker.canonical.answer import Embeddings
from router_worker.canonical.request import EmbeddingsRequest
from router_worker.surfaces.openai_embeddings import OpenAiEmbeddings
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import call

SURFACE = OpenAiEmbeddings()


def canonical(**fields: Any) -> EmbeddingsRequest | Failure:
    found = SURFACE.read(json.dumps({"model": "vec-1", "input": "hi"} | fields).encode(), streaming=False)
    assert isinstance(found, Reading)
    assert (found.kind, found.streaming, found.needs) == ("embeddings", False, frozenset())
    request = found.canonical()
    assert isinstance(request, EmbeddingsRequest | Failure)
    return request


def test_a_request_is_read_whole() -> None:
    assert canonical(
        input=["hi", "hö"],
        dimensions=256,
        encoding_format="base64",
        input_type="search_query",
        user="u",
        project_id="p",
    ) == EmbeddingsRequest(inputs=("hi", "hö"), dimensions=256, base64=True, purpose="query", dropped=("user",))
    assert canonical(dimensions=None, user=None) == EmbeddingsRequest(inputs=("hi",))


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": [1, 2]}, "input", "unsupported_by_vendor"),
        ({"input": [[1, 2]]}, "input", "unsupported_by_vendor"),
        ({"truncate": "END"}, "truncate", "unsupported_by_vendor"),
        ({"input_type": "image"}, "input_type", None),
        ({"input": ["a", 1]}, "input[1]", None),
        ({"input": {}}, "input", None),
    ],
)
def test_what_cannot_be_translated_is_named(fields: dict[str, Any], param: str, code: str | None) -> None:
    found = canonical(**fields)
    assert isinstance(found, Failure)
    assert (found.param, found.code) == (param, code)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"model":"m"}', b'{"model":"m","input":"\\ud83d"}', b'{"model":"m","input":"x","dimensions":1e999}',
     b'{"model":"m","input":' + b"[" * 300 + b"]" * 300 + b"}"],
)  # fmt: skip
def test_no_body_is_an_exception(body: bytes) -> None:
    found = SURFACE.read(body, streaming=False)
    assert isinstance(found if isinstance(found, Failure) else found.canonical(), Failure)


def test_vectors_keep_their_digits() -> None:
    found = Embeddings(vectors=(b"[0.10000000000000001,-2e-5]", b"[1,2]"), tokens=TokenCounts(input=7))
    body = SURFACE.write_embeddings(found, call(canonical=EmbeddingsRequest(inputs=("a", "b"))))
    assert b"[0.10000000000000001,-2e-5]" in body
    answer = CreateEmbeddingResponse.model_validate_json(body)
    assert [(each.index, len(each.embedding)) for each in answer.data] == [(0, 2), (1, 2)]
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("cat-1", 7, 7)


@given(vector=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_base64_is_of_little_endian_floats(vector: list[float]) -> None:
    found = Embeddings(vectors=(json.dumps(vector).encode(),))
    body = SURFACE.write_embeddings(found, call(canonical=EmbeddingsRequest(inputs=("a",), base64=True)))
    data = base64.b64decode(json.loads(body)["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(vector)}f", data)) == vector
