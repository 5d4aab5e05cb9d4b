"""Responses passed through to OpenAI: what is changed of a body, of an answer, and of a stream, at every byte split."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.openai.responses import OpenAiResponses
from router_worker.vendors.openai.responses_stream import OpenAiResponsesStream
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import ParsedResponse, VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import call

VENDOR = OpenAiResponses(BUILT_IN["openai"])
USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 3},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 42,
}
TOKENS = TokenCounts(input=30, cached_input=10, cache_write=3, output=12, reasoning=7)


def built(**fields: Any) -> tuple[dict[str, Any], VendorRequest]:
    changes = {name: fields.pop(name) for name in ("max_output_tokens_cap",) if name in fields}
    body = json.dumps({"model": "cat-1", "input": "hi"} | fields).encode()
    request = VENDOR.build_request(call(body, max_output_tokens=changes.get("max_output_tokens_cap")))
    assert isinstance(request, VendorRequest)
    sent: dict[str, Any] = json.loads(request.body)
    return sent, request


def test_only_what_must_change_changes() -> None:
    sent, request = built(
        tools=[{"type": "web_search"}], surprise={"x": [1.0]}, project_id="p", models=["a"], metadata={"a": "b"}
    )
    assert sent == {
        "model": "vendor/one",
        "input": "hi",
        "tools": [{"type": "web_search"}],
        "surprise": {"x": [1.0]},
        "metadata": {"a": "b"},
        "store": False,
    }
    assert request.url_path == "/responses"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.dropped == ()


def test_nothing_is_stored_and_no_other_tier_is_bought() -> None:
    sent, request = built(store=True, service_tier="flex")
    assert sent == {"model": "vendor/one", "input": "hi", "store": False}
    assert request.dropped == ("service_tier", "store")


@pytest.mark.parametrize(
    ("asked", "cap", "sent"), [(None, 5, 5), (9, 5, 5), (4, 5, 4), (9, None, 9), (None, None, None)]
)
def test_the_lower_cap_holds(asked: int | None, cap: int | None, sent: int | None) -> None:
    assert built(max_output_tokens=asked, max_output_tokens_cap=cap)[0]["max_output_tokens"] == sent


def test_reasoning_that_openai_cannot_use_is_left_out() -> None:
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "reasoning"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "tollhouse.anthropic.signature.x"},
        {"type": "reasoning", "id": "rs_3", "summary": []},
        {"type": "reasoning", "id": "rs_4", "summary": [], "encrypted_content": "tollhouse.gemini.call.x"},
        {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
    ]
    assert built(input=items)[0]["input"] == [items[0], items[1], items[5]]


def response(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_9",
        "object": "response",
        "status": status,
        "model": "vendor/one",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": USAGE,
        "error": None,
        "incomplete_details": None,
    } | fields


def parsed(body: bytes) -> ParsedResponse | Failure:
    return VENDOR.parse_response(call(), 200, {"x-request-id": "req_1"}, body)


def test_a_plain_answer_keeps_all_but_the_model() -> None:
    found = parsed(json.dumps(response()).encode())
    assert isinstance(found, ParsedResponse)
    assert json.loads(found.body_for_client) == response(model="cat-1")
    assert (found.tokens, found.finish_reason, found.vendor_request_id) == (TOKENS, "completed", "req_1")
    assert found.output_bytes > 0


def test_an_incomplete_answer_says_why() -> None:
    details = {"reason": "max_output_tokens"}
    found = parsed(json.dumps(response("incomplete", incomplete_details=details)).encode())
    assert isinstance(found, ParsedResponse)
    assert found.finish_reason == "max_output_tokens"


def test_half_an_emoji_is_passed_on() -> None:
    found = parsed(json.dumps(response()).replace('"hi"', '"\\ud83d"').encode())
    assert isinstance(found, ParsedResponse)
    assert b'"\\ud83d"' in found.body_for_client


def failed(code: str) -> bytes:
    return json.dumps(response("failed", error={"code": code, "message": "m"})).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FailureKind.VENDOR_GARBLED),
        (b"{}", FailureKind.VENDOR_GARBLED),
        (json.dumps(response(more="?")).encode().replace(b'"?"', b'"\xff"'), FailureKind.VENDOR_GARBLED),
        (json.dumps(response("queued")).encode(), FailureKind.VENDOR_GARBLED),
        (failed("server_error"), FailureKind.VENDOR_ERROR),
        (
            failed("rate_limit_exceeded"),
            FailureKind.VENDOR_RATE_LIMITED,
        ),
        (
            failed("invalid_prompt"),
            FailureKind.VENDOR_REFUSED_REQUEST,
        ),
    ],
)
def test_a_plain_answer_that_is_none(body: bytes, kind: FailureKind) -> None:
    found = parsed(body)
    assert isinstance(found, Failure)
    assert found.kind is kind


def event(kind: str, number: int, **fields: Any) -> bytes:
    data = {"type": kind, "sequence_number": number} | fields
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


BEGIN = event("response.created", 0, response=response("in_progress", output=[], usage=None)) + event(
    "response.in_progress", 1, response=response("in_progress", output=[], usage=None)
)
ADDED = event("response.output_item.added", 2, output_index=0, item={"type": "function_call", "name": "look"})
MIDDLE = ADDED + event("response.output_text.delta", 3, delta="h€y", obfuscation="xx")
END = event("response.completed", 4, response=response())


def run(*pieces: bytes) -> tuple[bytes, OpenAiResponsesStream]:
    stream = VENDOR.open_stream(call(streaming=True))
    out = b"".join([stream.feed(piece) for piece in pieces])
    return out + stream.finish(), stream


def test_a_stream_keeps_all_but_the_model_at_every_split() -> None:
    data = BEGIN + MIDDLE + END
    expected, stream = run(data)
    assert [json.loads(line[6:]) for line in expected.decode().split("\n") if line.startswith("data: ")] == [
        json.loads(line[6:].replace("vendor/one", "cat-1")) for line in data.decode().split("\n") if line[:5] == "data:"
    ]
    assert b"vendor/one" not in expected
    assert (stream.tokens, stream.complete, stream.ended, stream.failure) == (TOKENS, True, True, None)
    assert (stream.finish_reason, stream.vendor_request_id, stream.chunks) == ("completed", "resp_9", 3)
    assert stream.output_bytes >= len("look") + len("h€y".encode())
    for cut in range(1, len(data)):
        assert run(data[:cut], data[cut:])[0] == expected
    assert run(*(data[at : at + 1] for at in range(len(data))))[0] == expected


def test_the_beginning_is_held_back_until_something_follows() -> None:
    stream = VENDOR.open_stream(call(streaming=True))
    assert stream.feed(BEGIN) == b""
    assert stream.chunks == 0
    assert stream.feed(ADDED).count(b"event: ") == 3


@pytest.mark.parametrize(
    ("bad", "before", "after"),
    [
        (event("error", 2, code="server_error", message="m", param=None), FailureKind.VENDOR_ERROR, None),
        (
            event("error", 2, error={"type": "too_many_requests", "code": "rate_limit_exceeded", "message": "m"}),
            FailureKind.VENDOR_RATE_LIMITED,
            None,
        ),
        (
            event("response.failed", 2, response=response("failed", error={"code": "server_error", "message": "m"})),
            FailureKind.VENDOR_ERROR,
            None,
        ),
        (
            event("response.failed", 2, response=response("failed", error={"code": "invalid_image", "message": "m"})),
            FailureKind.VENDOR_REFUSED_REQUEST,
            None,
        ),
        (b"data: {nonsense\n\n", FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (event("response.completed", 2, response={}), FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_GARBLED),
        (b"", FailureKind.VENDOR_BROKE_OFF, None),
    ],
)
def test_errors_leave_another_route_open_until_something_was_generated(
    bad: bytes, before: FailureKind, after: FailureKind | None
) -> None:
    out, stream = run(BEGIN + bad)
    assert out == b""
    assert stream.failure is not None
    assert (stream.failure.kind, stream.complete) == (before, False)
    out, stream = run(BEGIN + MIDDLE + bad)
    assert out.endswith(b"\n\n")
    assert b"error" not in out.replace(b'"error":null', b"")
    assert stream.failure is not None
    assert stream.failure.kind is (after or FailureKind.VENDOR_BROKE_OFF)


def test_a_failed_response_is_charged_what_it_says() -> None:
    _, stream = run(BEGIN + MIDDLE + event("response.failed", 4, response=json.loads(failed("server_error"))))
    assert stream.tokens == TOKENS


def test_every_early_end_is_a_failure() -> None:
    data = BEGIN + MIDDLE + END
    for cut in range(len(data) - 2):
        _, stream = run(data[:cut])
        whole_but_for_the_last_line = data[:cut].endswith(END.rstrip())
        assert (stream.failure is None) == whole_but_for_the_last_line
        assert stream.complete == whole_but_for_the_last_line


def test_an_error_that_is_no_stream() -> None:
    _, stream = run(b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}')
    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.VENDOR_RATE_LIMITED


def test_a_field_that_nobody_reads_must_be_json_too() -> None:
    _, stream = run(BEGIN + MIDDLE.replace(b'"xx"', b'"\xff"') + END)
    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.VENDOR_GARBLED


def test_a_name_cannot_end_its_line() -> None:
    out, _ = run(BEGIN + b'data: {"type":"x\\n\\ndata: [DONE]"}\n\n' + END)
    assert b"\n\ndata: [DONE]" not in out


@given(
    pieces=st.lists(st.binary(max_size=20) | st.sampled_from([BEGIN, ADDED, END, END[:-9], b"data: null\n\n", b"\n\n"]))
)
def test_no_bytes_are_an_exception(pieces: list[bytes]) -> None:
    _, stream = run(*pieces)
    assert (stream.failure is None) == stream.complete
