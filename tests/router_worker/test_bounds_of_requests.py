"""What a lost attempt is booked at must not be less than the vendor can have charged, whatever the client asked for."""

import json
from typing import Any

import pytest

from router_worker.estimate import TEMPLATE_TOKENS
from router_worker.surfaces.surface import Reading
from router_worker.vendors.openai.chat import OpenAiChat
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.ways import SURFACES
from schemas.envelope import Surface
from schemas.failures import Failure
from schemas.usage import USAGE
from tests.fakes.worker_stack import ask, worker_stack

_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
_OWN = {"name": "f", "input_schema": {"type": "object"}}
_FUNCTION = {"type": "function", "name": "f"}


def reading(surface: Surface, **fields: Any) -> Reading:
    found = SURFACES[surface].read(json.dumps(fields).encode(), streaming=False)
    assert not isinstance(found, Failure), found
    return found


def user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


_GEMINI = [{"role": "user", "parts": [{"text": "a"}]}]


@pytest.mark.parametrize(
    ("surface", "fields", "unbounded"),
    [
        ("anthropic.messages", {"messages": user({"type": "text", "text": "a"}), "tools": [_OWN]}, False),
        ("anthropic.messages", {"messages": user(), "tools": [{**_OWN, "type": "custom"}]}, False),
        ("anthropic.messages", {"messages": user(), "tools": [_OWN, _SEARCH]}, True),
        ("anthropic.messages", {"messages": user({"type": "web_fetch_tool_result", "content": {}})}, True),
        ("openai.responses", {"input": "a", "tools": [_FUNCTION]}, False),
        ("openai.responses", {"input": [{"role": "user", "content": "a"}]}, False),
        ("openai.responses", {"input": "a", "tools": [_FUNCTION, {"type": "web_search"}]}, True),
        ("openai.responses", {"input": [{"type": "computer_call_output", "output": {"image_url": "x"}}]}, True),
        ("gemini.generate", {"contents": _GEMINI, "tools": [{"functionDeclarations": [{"name": "f"}]}]}, False),
        ("gemini.generate", {"contents": _GEMINI, "tools": [{"googleSearch": {}}]}, True),
        ("gemini.generate", {"contents": _GEMINI, "tools": [{"google_search": {}}]}, True),
        (
            "gemini.generate",
            {"contents": _GEMINI, "tools": [{"functionDeclarations": [{"name": "f"}], "urlContext": {}}]},
            True,
        ),
        ("gemini.generate", {"contents": _GEMINI, "cachedContent": "cachedContents/1"}, True),
        ("gemini.generate", {"contents": _GEMINI, "cached_content": "cachedContents/1"}, True),
        ("openai.chat", {"messages": user({"type": "text", "text": "a"})}, False),
        ("openai.chat", {"messages": user(), "web_search_options": {}}, True),
    ],
)
def test_what_the_vendor_adds_of_its_own_is_not_bounded_by_the_body(
    surface: Surface, fields: dict[str, Any], unbounded: bool
) -> None:
    assert reading(surface, **fields).has_media is unbounded


async def test_what_a_translation_adds_is_in_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    build_request = OpenAiChat.build_request

    def longer(self: OpenAiChat, call: VendorCall) -> VendorRequest | Failure:
        built = build_request(self, call)
        assert isinstance(built, VendorRequest)
        return VendorRequest(built.url_path, built.headers, built.body + b" " * 3000, built.dropped)

    monkeypatch.setattr(OpenAiChat, "build_request", longer)
    async with worker_stack("echo") as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        [lost] = USAGE.decode(bytes(stack.ingress.claims[0].if_lost)).attempts
    assert lost.tokens.input > 3000 + TEMPLATE_TOKENS
