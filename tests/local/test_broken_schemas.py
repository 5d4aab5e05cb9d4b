"""A JSON schema that is none is the caller's mistake: the simulator answers it, and does not fall over it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.vendors.schema_example import example
from deploy.local.vendors.strict_schema import looseness
from tests.local.simulated_vendors import post, simulated_vendors

_WORDS = ("type", "properties", "required", "items", "enum", "anyOf", "$ref", "minItems", "minimum", "maxLength")
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["object", "array", "string", "#/x", "7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(_WORDS), _VALUES, max_size=4))
def test_anything_is_read_as_a_schema(schema: dict[str, Any]) -> None:
    example(schema, "text")
    assert looseness(schema) is None or looseness(schema)


async def test_a_number_beyond_measure_is_refused_by_each_in_its_own_way() -> None:
    body = b'{"messages":[{"role":"user","content":5}],"model":"echo","x":1e999,"generation_config":{"a_b":1}}'
    async with simulated_vendors() as http:
        for path in ("/mistral/v1/chat/completions", "/gemini/v1beta/models/echo:generateContent"):
            headers = {"x-goog-api-key": "k"} if "gemini" in path else {}
            async with http.post(path, data=body, headers=headers) as response:
                assert response.status in (400, 422), await response.text()


async def test_structured_output_of_no_schema() -> None:
    body = {
        "model": "echo",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"properties": "x"}}},
    }
    async with simulated_vendors() as http:
        http.headers.update({"x-api-key": "k", "anthropic-version": "2023-06-01"})
        status, answer = await post(http, "/anthropic/v1/messages", body)
    assert (status, answer["type"]) == (400, "error")
