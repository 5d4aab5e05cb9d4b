"""Anthropic's API at the ingress: keys, what is read of a body, and errors in its own form."""

import json
from typing import Any

import pytest

from ingress.surfaces.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from ingress.surfaces.surface import Call
from schemas.failures import Failure, FailureKind

BODY: dict[str, Any] = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}

MESSAGES = AnthropicMessages()


def read(surface: AnthropicMessages | AnthropicCountTokens = MESSAGES, **changes: Any) -> Call | Failure:
    body = {name: value for name, value in {**BODY, **changes}.items() if value != "absent"}
    return surface.read_call(json.dumps(body).encode(), None, streaming=False)


def error(failure: Failure) -> Any:
    return json.loads(AnthropicMessages().error_body(failure, "req_1"))


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "k"}, {"Authorization": "Bearer k"}, {"x-api-key": "k", "Authorization": "Bearer other"}]
)
def test_the_key_is_found_where_the_sdks_send_it(headers: dict[str, str]) -> None:
    assert AnthropicMessages().secret(headers, {}) == "k"


def test_without_a_key_the_answer_says_where_to_put_it() -> None:
    failure = AnthropicMessages().secret({}, {})
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MISSING_API_KEY
    assert "x-api-key" in failure.text
    assert isinstance(AnthropicMessages().secret({"Authorization": "Basic x"}, {}), Failure)


def test_what_is_read_of_a_request() -> None:
    call = read(stream=True, models=["a", "b"], metadata={"user_id": "u"})
    assert isinstance(call, Call)
    assert (call.model, call.streaming, call.max_output_tokens) == ("claude", True, 5)
    assert call.gateway.models == ["a", "b"]


def test_counting_needs_no_cap_and_holds_nothing() -> None:
    call = read(AnthropicCountTokens(), max_tokens="absent")
    assert isinstance(call, Call)
    assert (call.streaming, call.max_output_tokens) == (False, 0)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": "absent"}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"vendors": "x"}, "vendors"),
    ],
)
def test_bad_input_is_refused_and_the_message_names_the_field(changes: dict[str, Any], param: str) -> None:
    failure = read(**changes)
    assert isinstance(failure, Failure)
    assert failure.param == param
    said = error(failure)
    assert said["error"]["type"] == "invalid_request_error"
    assert param in said["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert isinstance(AnthropicMessages().read_call(body, None, streaming=False), Failure)


@pytest.mark.parametrize(
    ("kind", "error_type"),
    [
        (FailureKind.INVALID_JSON, "invalid_request_error"),
        (FailureKind.INVALID_API_KEY, "authentication_error"),
        (FailureKind.PROJECT_BUDGET_EXCEEDED, "billing_error"),
        (FailureKind.MODEL_NOT_FOUND, "not_found_error"),
        (FailureKind.BODY_TOO_LARGE, "request_too_large"),
        (FailureKind.VENDOR_RATE_LIMITED, "rate_limit_error"),
        (FailureKind.OVERLOADED, "overloaded_error"),
        (FailureKind.DEADLINE_EXCEEDED, "timeout_error"),
        (FailureKind.INTERNAL, "api_error"),
        (FailureKind.VENDOR_BROKE_OFF, "api_error"),
    ],
)
def test_errors_have_anthropics_types(kind: FailureKind, error_type: str) -> None:
    said = error(Failure(kind=kind))
    assert said == {
        "type": "error",
        "error": {"type": error_type, "message": Failure(kind=kind).text},
        "request_id": "req_1",
    }


def test_threads_are_refused_in_the_word_by_which_the_sdks_go_on_without() -> None:
    assert isinstance(read(thread=None), Call)
    failure = read(thread={"type": "create"})
    assert isinstance(failure, Failure)
    assert error(failure)["error"]["details"] == {"error_code": "thread_unsupported_request"}


def test_a_field_at_fault_is_named_even_if_the_text_does_not() -> None:
    failure = Failure(kind=FailureKind.INVALID_REQUEST, message="It is bad.", param="tools[0].name", code="odd")
    said = error(failure)["error"]
    assert said["message"] == "tools[0].name: It is bad."
    assert said["details"] == {"error_code": "odd"}


def test_events_in_the_middle_of_a_stream() -> None:
    event = AnthropicMessages().error_event(Failure(kind=FailureKind.VENDOR_STALLED), "req_1")
    head, data = event.removesuffix(b"\n\n").split(b"\n")
    assert head == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "timeout_error"
    assert AnthropicMessages.heartbeat.startswith(b"event: ping\n")
    assert AnthropicMessages.heartbeat.endswith(b"\n\n")
