"""What is read from a client's body, and how a wrong one is refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.openai_chat.chat import MAX_DEPTH, OpenAiChat
from router_worker.surfaces.surface import Reading
from router_worker.vendors.vendor import VendorRequest
from schemas.catalogue import Capability
from schemas.failures import Failure, FailureKind
from tests.router_worker.openai_samples import call, vendor

SURFACE = OpenAiChat()


def read(body: dict[str, Any]) -> Reading:
    request = SURFACE.read(orjson.dumps({"messages": [{"role": "user", "content": "x"}], **body}))
    assert isinstance(request, Reading)
    return request


def refused(body: bytes) -> Failure:
    failure = SURFACE.read(body)
    assert isinstance(failure, Failure)
    return failure


def test_defaults() -> None:
    request = read({})
    assert (request.streaming, request.wants_usage, request.choices, request.max_output_tokens) == (
        False,
        False,
        1,
        None,
    )
    nulls = read(dict.fromkeys(["stream", "stream_options", "n", "max_tokens", "tools", "response_format"]))
    assert nulls.needs == frozenset()


def test_what_is_read() -> None:
    request = read({"stream": True, "stream_options": {"include_usage": True}, "n": 3, "max_tokens": 7})
    assert (request.streaming, request.wants_usage, request.choices, request.max_output_tokens) == (True, True, 3, 7)
    assert read({"max_tokens": 9, "max_completion_tokens": 4}).max_output_tokens == 4


_IMAGE = {"type": "image_url", "image_url": {"url": "http://x"}}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ({"stream": True}, {"streaming"}),
        ({"tools": []}, set()),
        ({"tools": [{}]}, {"tools"}),
        ({"tools": [{}], "tool_choice": "auto"}, {"tools"}),
        ({"tools": [{}], "tool_choice": "none"}, {"tools"}),
        ({"tools": [{}], "tool_choice": "required"}, {"tools", "tool_choice"}),
        ({"tools": [{}], "tool_choice": {"type": "function"}}, {"tools", "tool_choice"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": {"type": "json_schema"}}, {"structured_output"}),
        ({"messages": [{"content": [{"type": "text", "text": "image_url"}]}]}, set()),
        ({"messages": [{"content": "a"}, {"content": [{"type": "text"}, _IMAGE]}]}, {"vision"}),
        ({"messages": [{"content": [{"type": "file"}]}]}, {"documents"}),
        ({"messages": [{"content": [{"type": "input_audio"}]}]}, set()),
    ],
)
def test_needs(body: dict[str, Any], needs: set[Capability]) -> None:
    assert read(body).needs == needs


def test_media_of_any_sort_is_seen_because_bytes_do_not_bound_its_tokens() -> None:
    assert read({"messages": [{"content": [{"type": "input_audio"}, {"type": "text"}]}]}).has_media
    assert not read({"messages": [{"content": [{"type": "text"}, {"type": "refusal"}]}]}).has_media


def test_an_effort_to_think_is_a_wish_and_no_need() -> None:
    assert read({"reasoning_effort": "high"}).needs == frozenset()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"stream":"yes"}', "stream"),
        (b'{"n":0}', "n"),
        (b'{"max_tokens":-1}', "max_tokens"),
        (b'{"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (b'{"messages":[{"content":1},{"content":[{"type":5}]}]}', "messages[1].content[0].type"),
        (b'{"messages":[{"content":"a"},5]}', "messages[1]"),
        (b'{"messages":{}}', "messages"),
        (b"[]", None),
    ],
)
def test_a_wrong_field_is_named(body: bytes, param: str | None) -> None:
    failure = refused(body)
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"\xff":1}', b'{"a":"\xff"}', b'{"tools":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_what_is_not_json(body: bytes) -> None:
    assert refused(body).kind is FailureKind.INVALID_JSON


@pytest.mark.parametrize("depth", [0, 1, 198, 199, 200, 201, 300])
def test_nesting_is_limited_so_that_no_later_parser_fails(depth: int) -> None:
    many = b"[[]]," * 500
    for nested in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        body = b'{"deep":[' + (nested or b"1") + b'],"many":[' + many + b'0],"text":"[[[\\"[[["}'
        result = SURFACE.read(body)
        if depth + 2 <= MAX_DEPTH:
            assert isinstance(result, Reading)
            assert isinstance(vendor().build_request(call(body)), VendorRequest)
        else:
            assert isinstance(result, Failure)
            assert result.kind is FailureKind.INVALID_REQUEST


_JSON = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\a'), lambda inner: st.lists(inner) | st.dictionaries(st.text("[{"), inner)
)


@given(_JSON, st.integers(0, 6))
def test_depth(value: Any, limit: int) -> None:
    def depth(part: Any) -> int:
        inner = part.values() if isinstance(part, dict) else part
        return 1 + max(map(depth, inner), default=0) if isinstance(part, list | dict) else 0

    assert is_deeper_than(limit, orjson.dumps(value)) == (depth(value) > limit)


@given(st.binary(max_size=100))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(SURFACE.read(body), Reading | Failure)
