"""OpenAI Responses at the ingress: what is admitted, what is refused by name, and errors that the client raises."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from ingress.surfaces.openai_responses import OpenAiResponses
from ingress.surfaces.surface import Call
from schemas.failures import Failure, FailureKind

SURFACE = OpenAiResponses()


def read(**fields: Any) -> Call | Failure:
    body = json.dumps({"model": "cat-1", "input": "hi"} | fields).encode()
    return SURFACE.read_call(body, None, streaming=False)


def refusal(**fields: Any) -> Failure:
    found = read(**fields)
    assert isinstance(found, Failure)
    return found


def test_what_admission_needs_is_read() -> None:
    found = read(
        stream=True, max_output_tokens=99, models=["cat-1", "cat-2"], unknown={"x": 1}, previous_response_id=None
    )
    assert isinstance(found, Call)
    assert (found.model, found.streaming, found.max_output_tokens) == ("cat-1", True, 99)
    assert found.gateway.models == ["cat-1", "cat-2"]


def test_items_are_taken_as_well_as_a_text() -> None:
    assert isinstance(read(input=[{"role": "user", "content": "hi"}]), Call)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
    ],
)
def test_what_needs_storage_is_refused_by_name(name: str, value: Any) -> None:
    found = refusal(**{name: value})
    assert (found.kind, found.param, found.http_status) == (FailureKind.INVALID_REQUEST, name, 400)
    assert "not stored" in found.text


def test_storage_is_what_is_named_even_without_an_input() -> None:
    found = SURFACE.read_call(b'{"model":"m","previous_response_id":"resp_1"}', None, streaming=False)
    assert isinstance(found, Failure)
    assert found.param == "previous_response_id"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"model": ""}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 10**30}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"truncation": "some"}, "truncation"),
        ({"background": "no"}, "background"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model":"\xff"}', b"[" * 5000])
def test_no_body_is_an_exception(body: bytes) -> None:
    assert isinstance(SURFACE.read_call(body, None, streaming=False), Failure)


class _Stream(httpx2.SyncByteStream):
    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


def test_openais_client_raises_an_error_in_a_stream() -> None:
    failure = Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    data = SURFACE.error_event(failure, "req_1")
    handler = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Stream(data))
    )
    client = openai.OpenAI(
        base_url="http://gateway.invalid/v1", api_key="k", http_client=httpx2.Client(transport=handler), max_retries=0
    )
    with (
        pytest.raises(openai.APIError, match="broke off"),
        client.responses.create(model="m", input="hi", stream=True) as stream,
    ):
        list(stream)
    lines = data.decode().split("\n")
    event = json.loads(lines[1].removeprefix("data: "))
    assert lines[0] == "event: error"
    assert event == {
        "type": "error",
        "sequence_number": 0,
        "code": "vendor_broke_off",
        "message": failure.text,
        "param": None,
        "error": {"message": failure.text, "type": "api_error", "param": None, "code": "vendor_broke_off"},
    }


def test_an_error_body_is_openais() -> None:
    body = json.loads(SURFACE.error_body(refusal(background=True), "req_1"))
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"] == "background"
