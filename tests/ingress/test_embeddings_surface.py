"""OpenAI Embeddings at the ingress: inputs of every documented shape, and the others refused by name."""

import json
from typing import Any

import pytest

from ingress.surfaces.openai_embeddings import MAX_INPUTS, OpenAiEmbeddings
from ingress.surfaces.surface import Call
from schemas.failures import Failure

SURFACE = OpenAiEmbeddings()


def read(**fields: Any) -> Call | Failure:
    body = json.dumps({"model": "vec-1", "input": "hi"} | fields).encode()
    return SURFACE.read_call(body, None, streaming=False)


@pytest.mark.parametrize("value", ["hi", ["hi", "ho"], [1, 2, 3], [[1, 2], [3]], [1] * (MAX_INPUTS + 1)])
def test_documented_inputs_are_taken(value: Any) -> None:
    found = read(input=value, encoding_format="base64", dimensions=256, project_id="p")
    assert isinstance(found, Call)
    assert (found.model, found.streaming, found.gateway.project_id) == ("vec-1", False, "p")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": ["hi", 1]}, "input"),
        ({"input": [[1], "hi"]}, "input"),
        ({"input": ["hi"] * (MAX_INPUTS + 1)}, "input"),
        ({"input": [""]}, "input[0]"),
        ({"input": [1.5]}, "input[0]"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"model": None}, "model"),
    ],
)
def test_others_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    found = read(**fields)
    assert isinstance(found, Failure)
    assert found.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"\xff"}', b"[" * 5000])
def test_no_body_is_an_exception(body: bytes) -> None:
    assert isinstance(SURFACE.read_call(body, None, streaming=False), Failure)
