"""Mistral's thoughts for clients that know only texts, and back."""

import json
from typing import Any

import msgspec
import pytest

from router_worker.vendors.openai.thinking_parts import with_plain_thoughts, with_thinking_parts
from router_worker.vendors.vendor import ParsedResponse, VendorRequest
from tests.router_worker.openai_samples import call, vendor

THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "let "}, {"type": "text", "text": "me"}]}
TEXT = {"type": "text", "text": "Yes."}


def plain(content: Any, holder: str = "message") -> Any:
    data = json.dumps({"choices": [{"index": 0, holder: {"role": "assistant", "content": content}}]}).encode()
    return json.loads(with_plain_thoughts(data, holder))["choices"][0][holder]


@pytest.mark.parametrize("holder", ["message", "delta"])
def test_parts_become_texts(holder: str) -> None:
    said = plain([THINKING, TEXT], holder)
    assert (said["content"], said["reasoning_content"]) == ("Yes.", "let me")
    said = plain([THINKING], holder)
    assert (said["content"], said["reasoning_content"]) == (None, "let me")


def test_what_has_none_stays_byte_for_byte() -> None:
    quoted = b'{"choices":[ {"message":{"content":"\\"thinking\\""}} ]}'
    for data in (quoted, b'{"choices":null,"x":"thinking"}', b"{}"):
        assert json.loads(with_plain_thoughts(data, "message")) == json.loads(data)
    assert with_plain_thoughts(b'{ "a":1}', "message") == b'{ "a":1}'


def test_they_go_back_as_parts() -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "let me", "reasoning_details": [1]}
    messages = msgspec.Raw(json.dumps([message, {"role": "user", "content": "x"}]).encode())
    assert json.loads(bytes(with_thinking_parts(messages))) == [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "let me"}]}, TEXT],
        },
        {"role": "user", "content": "x"},
    ]


def test_the_mistral_row_does_both() -> None:
    mistral = vendor("mistral")
    history = {"role": "assistant", "content": None, "reasoning_content": "hm"}
    request = mistral.build_request(call(json.dumps({"model": "m", "messages": [history]}).encode()))
    assert isinstance(request, VendorRequest)
    assert json.loads(request.body)["messages"][0]["content"][0]["type"] == "thinking"
    choice = {"index": 0, "message": {"role": "assistant", "content": [THINKING, TEXT]}, "finish_reason": "stop"}
    answer = mistral.parse_response(call(), 200, {}, json.dumps({"id": "1", "choices": [choice]}).encode())
    assert isinstance(answer, ParsedResponse)
    assert json.loads(answer.body_for_client)["choices"][0]["message"]["reasoning_content"] == "let me"
    stream = mistral.open_stream(call(streaming=True))
    chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": [THINKING]}, "finish_reason": None}]}
    out = stream.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert json.loads(out.removeprefix(b"data: "))["choices"][0]["delta"]["reasoning_content"] == "let me"
    assert stream.output_bytes >= len("let me")
