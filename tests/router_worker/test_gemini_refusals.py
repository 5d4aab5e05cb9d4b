"""What is refused of a generateContent body, and how the refusal names it."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.request import (
    ChatRequest,
)
from router_worker.surfaces.gemini.generate import MAX_DEPTH
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure, FailureKind
from tests.router_worker.gemini_bodies import SURFACE, USER, refusal


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"code_execution": {}}]}, "tools[0].code_execution"),
        ({"tools": [{"urlContext": {}}]}, "tools[0].urlContext"),
        ({"somethingNew": 1}, "somethingNew"),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseLogprobs": True}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "contents[0].parts[0].executableCode"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": ""}}]}]},
            "contents[0].parts[0].inlineData.mimeType",
        ),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/o", "mimeType": "image/png"}}]}]},
            "contents[0].parts[0].fileData.fileUri",
        ),
    ],
)
def test_what_shapes_the_answer_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    found = refusal(**fields)
    assert (found.param, found.code) == (param, "unsupported_by_vendor")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts"),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {"data": ""}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        (
            {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "a b"}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        (
            {"contents": [USER, {"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]},
            "contents[1].parts[0].functionResponse",
        ),
        (
            {"contents": [USER, {"role": "model", "parts": [{"functionCall": {"name": "f", "args": [1]}}]}]},
            "contents[1].parts[0].functionCall.args",
        ),
        ({"systemInstruction": {"parts": [{"thought": True}]}}, "systemInstruction.parts[0]"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}},
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        ({"generationConfig": {"responseJsonSchema": [1]}}, "generationConfig.responseJsonSchema"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": "x"}]}]},
            "tools[0].functionDeclarations[0].parameters",
        ),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        # Both names of one field at once: one of the two would be lost.
        ({"generationConfig": {"topK": 1, "top_k": 2}}, "generationConfig.top_k"),
    ],
)
def test_a_mistake_is_named_by_its_field(fields: dict[str, Any], param: str) -> None:
    body = json.dumps({"contents": [USER], **fields}).encode()
    found = SURFACE.read(body, streaming=False)
    failure = found.canonical() if isinstance(found, Reading) else found
    assert isinstance(failure, Failure), failure
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"contents":[]', b'{"a":"\xff"}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert isinstance(SURFACE.read(body, streaming=False), Failure)


@pytest.mark.parametrize("text", [rb"\ud83d", rb"\ud83d and more of it", rb"\ude00"])
def test_half_a_surrogate_pair_is_refused_at_the_latest_by_the_translation(text: bytes) -> None:
    body = b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":"%b"}}}]}]}' % text
    found = SURFACE.read(body, streaming=False)
    failure = found.canonical() if isinstance(found, Reading) else found
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.INVALID_JSON


def test_depth_is_limited() -> None:
    deep = b'{"x":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    body = b'{"contents":[{"parts":[{"text":"hi"}]}],"labels":' + deep + b"}"
    assert isinstance(SURFACE.read(body, streaming=False), Failure)


NAMES = st.sampled_from(
    [
        *("contents", "parts", "role", "text", "thought", "thoughtSignature", "inlineData", "inline_data", "mimeType"),
        *("data", "functionCall", "functionResponse", "name", "args", "response", "id", "tools", "x", "fileUri"),
        *("functionDeclarations", "parameters", "generationConfig", "generation_config", "thinkingConfig", "topK"),
        *("toolConfig", "functionCallingConfig", "mode", "allowedFunctionNames", "systemInstruction", "fileData"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=3))
def test_no_body_raises(fields: dict[str, Any], parts: list[Any]) -> None:
    for body in (fields, {**fields, "contents": [{"role": "model", "parts": parts}, {"parts": parts}]}):
        found = SURFACE.read(orjson.dumps(body), streaming=True)
        if isinstance(found, Reading):
            assert isinstance(found.canonical(), ChatRequest | Failure)
