"""Gemini's API at the ingress: what is read of a request, and Google's form of errors."""

from typing import Any

import orjson
import pytest

from ingress.surfaces.gemini_generate import GeminiGenerate
from ingress.surfaces.surface import Call
from schemas.failures import Failure, FailureKind

SURFACE = GeminiGenerate()
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


def read(body: Any, model: str | None = "m", *, streaming: bool = False) -> Call | Failure:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return SURFACE.read_call(data, model, streaming=streaming)


def error(failure: Failure) -> Any:
    return orjson.loads(SURFACE.error_body(failure, "req_1"))["error"]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-goog-api-key": "k1"}, {}),
        ({}, {"key": "k1"}),
        ({"Authorization": "Bearer k1"}, {}),
        ({"x-goog-api-key": "k1", "Authorization": "Bearer other"}, {"key": "another"}),
    ],
)
def test_the_key_stands_in_any_of_three_places(headers: dict[str, str], query: dict[str, str]) -> None:
    assert SURFACE.secret(headers, query) == "k1"


def test_a_missing_key_names_the_places() -> None:
    failure = SURFACE.secret({}, {})
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MISSING_API_KEY
    assert "x-goog-api-key" in failure.text
    assert "?key=" in failure.text


def test_model_and_streaming_come_from_the_path() -> None:
    found = read({"contents": CONTENTS, "model": "models/other"}, "gemini-2.5-pro", streaming=True)
    assert isinstance(found, Call)
    assert (found.model, found.streaming, found.max_output_tokens) == ("gemini-2.5-pro", True, None)


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"maxOutputTokens": 7}},
        {"generation_config": {"max_output_tokens": 7}},
        {"generationConfig": {"max_output_tokens": 7, "temperature": 1}},
        {"generationConfig": {"maxOutputTokens": 7}, "generation_config": {"maxOutputTokens": 9}},
    ],
)
def test_the_cap_is_found_under_both_names(config: dict[str, Any]) -> None:
    found = read({"contents": CONTENTS, **config})
    assert isinstance(found, Call)
    assert found.max_output_tokens == 7


def test_gateway_fields_are_read() -> None:
    found = read({"contents": CONTENTS, "vendor": "vertex", "zero_data_retention": True, "tags": {"a": "b"}})
    assert isinstance(found, Call)
    assert (found.gateway.vendor, found.gateway.zero_data_retention) == ("vertex", True)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": CONTENTS, "tools": [1]}, "tools[0]"),
        ({"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"contents": CONTENTS, "generation_config": {"temperature": 3}}, "generation_config.temperature"),
        ({"contents": CONTENTS, "vendor": 1}, "vendor"),
    ],
)
def test_a_mistake_is_named_by_its_field(body: dict[str, Any], param: str) -> None:
    failure = read(body)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)
    (violation,) = [detail for detail in error(failure)["details"] if detail["@type"].endswith("BadRequest")]
    assert violation["fieldViolations"] == [{"field": param, "description": failure.text}]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"x":' + b"[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    failure = read(body)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.INVALID_JSON


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        (FailureKind.INVALID_REQUEST, 400, "INVALID_ARGUMENT"),
        (FailureKind.INVALID_API_KEY, 401, "UNAUTHENTICATED"),
        (FailureKind.PROJECT_BUDGET_EXCEEDED, 402, "RESOURCE_EXHAUSTED"),
        (FailureKind.MODEL_NOT_FOUND, 404, "NOT_FOUND"),
        (FailureKind.BODY_TIMEOUT, 408, "DEADLINE_EXCEEDED"),
        (FailureKind.BODY_TOO_LARGE, 413, "INVALID_ARGUMENT"),
        (FailureKind.VENDOR_RATE_LIMITED, 429, "RESOURCE_EXHAUSTED"),
        (FailureKind.CLIENT_GONE, 499, "CANCELLED"),
        (FailureKind.INTERNAL, 500, "INTERNAL"),
        (FailureKind.VENDOR_ERROR, 502, "UNAVAILABLE"),
        (FailureKind.OVERLOADED, 503, "UNAVAILABLE"),
        (FailureKind.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_each_status_has_googles_name(kind: FailureKind, status: int, name: str) -> None:
    found = error(Failure(kind=kind, retry_after_s=2.4))
    assert (found["code"], found["status"]) == (status, name)
    assert found["message"]
    details = {detail["@type"].rpartition(".")[2]: detail for detail in found["details"]}
    assert details["ErrorInfo"]["reason"] == kind.value.upper()
    assert details["RequestInfo"]["requestId"] == "req_1"
    assert details["RetryInfo"]["retryDelay"] == "2s"


def test_every_kind_of_failure_has_a_form() -> None:
    for kind in FailureKind:
        body = SURFACE.error_body(Failure(kind=kind), "req_1")
        # The google-genai SDK knows an error in a stream by these bytes.
        assert body.startswith(b'{"error":{"code":')
        assert SURFACE.error_event(Failure(kind=kind), "req_1") == b"data: " + body + b"\n\n"


def test_a_heartbeat_is_no_line_of_text() -> None:
    assert SURFACE.heartbeat.strip() == b""
