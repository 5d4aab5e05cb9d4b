"""What lies at a vendor is all callers' together, so nobody may name it."""

from typing import Any

import msgspec
import pytest

from router_worker.surfaces.stored_objects import stored_object
from schemas.envelope import Surface


def user(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": list(content)}]}


def gemini(uri: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "x"}, {"fileData": {"fileUri": uri}}]}]}


IN_FILE = {"type": "input_file", "file_id": "f"}


FILE = {"type": "file", "file_id": "f"}
URI = "https://generativelanguage.googleapis.com/v1beta/files/f"
RESULT = {"type": "tool_result", "content": [{"type": "image", "source": FILE}]}
SEARCH = {"type": "file_search", "vector_store_ids": ["v"]}

REFERENCES: list[tuple[Surface, dict[str, Any], str]] = [
    ("openai.chat", user({"type": "file", "file": {"file_id": "f"}}), "messages[1].content[0].file.file_id"),
    ("openai.responses", {"input": [{"role": "user", "content": [IN_FILE]}]}, "input[0].content[0].file_id"),
    ("openai.responses", {"input": [{"type": "x", "output": [IN_FILE]}]}, "input[0].output[0].file_id"),
    ("openai.responses", {"tools": [SEARCH]}, "tools[0].vector_store_ids"),
    ("openai.responses", {"tools": [{"type": "code_interpreter", "container": "c"}]}, "tools[0].container"),
    ("anthropic.messages", user({"type": "document", "source": FILE}), "messages[1].content[0].source"),
    ("anthropic.messages", user(RESULT), "messages[1].content[0].content[0].source"),
    ("anthropic.messages", {"container": "c"}, "container"),
    ("gemini.generate", gemini(URI), "contents[0].parts[1].fileData.fileUri"),
    ("gemini.generate", gemini("gs://bucket/f"), "contents[0].parts[1].fileData.fileUri"),
    ("gemini.generate", {"cachedContent": "cachedContents/c"}, "cachedContent"),
]
INLINE = {"file_data": "data:application/pdf;base64,AA==", "file_id": None}
NO_REFERENCES: list[tuple[Surface, dict[str, Any]]] = [
    ("openai.chat", {"tools": [{"function": {"parameters": {"properties": {"file_id": {"type": "string"}}}}}]}),
    ("openai.chat", user({"type": "file", "file": INLINE})),
    ("openai.responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("openai.responses", {"input": [{"type": "function_call", "arguments": '{"file_id":"f"}'}]}),
    ("anthropic.messages", user({"type": "tool_use", "input": {"source": {"type": "file"}, "container": 1}})),
    ("gemini.generate", gemini("https://example.com/a.png")),
    ("openai.embeddings", {"input": "file_id"}),
]


@pytest.mark.parametrize(("surface", "body", "place"), REFERENCES)
def test_a_reference_is_refused_by_its_place(surface: Surface, body: dict[str, Any], place: str) -> None:
    failure = stored_object(surface, msgspec.json.encode(body))
    assert failure is not None
    assert (failure.param, failure.http_status, failure.code) == (place, 400, "stored_object_unsupported")


@pytest.mark.parametrize(("surface", "body"), NO_REFERENCES)
def test_words_alone_are_no_reference(surface: Surface, body: dict[str, Any]) -> None:
    assert stored_object(surface, msgspec.json.encode(body)) is None


def test_half_a_surrogate_pair_is_no_mistake_of_ours() -> None:
    assert stored_object("openai.chat", b'{"messages":[{"content":"\\ud800 \\"file_id\\""}],"x":"file_id"}') is None
