"""A vendor's refusal: which kind it is, how long to wait, and what of its words a client may read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.openai.errors import MAX_RETRY_AFTER_S, MAX_TEXT_CHARACTERS, redact
from schemas.failures import Failure, FailureKind
from tests.router_worker.openai_samples import vendor

K = FailureKind
NOW_MS = 1_800_000_000_000


def classified(status: int, body: bytes | dict[str, Any] = b"", row: str = "openai", **headers: str) -> Failure:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return vendor(row).classify_error(status, named, data, NOW_MS)


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "no", **fields}}


@pytest.mark.parametrize(
    ("row", "status", "body", "kind"),
    [
        ("openai", 400, error(), K.VENDOR_REFUSED_REQUEST),
        ("openai", 401, error(code="invalid_api_key"), K.VENDOR_REFUSED_KEY),
        ("openai", 402, error(), K.VENDOR_PAYMENT_REQUIRED),
        ("openai", 403, error(), K.VENDOR_REFUSED_KEY),
        ("openai", 404, error(code="model_not_found"), K.VENDOR_MODEL_UNKNOWN),
        ("openai", 404, b"nginx", K.VENDOR_MODEL_UNKNOWN),
        ("openai", 408, error(), K.VENDOR_ERROR),
        ("openai", 409, error(), K.VENDOR_ERROR),
        ("openai", 413, error(), K.VENDOR_REFUSED_REQUEST),
        ("openai", 422, error(), K.VENDOR_REFUSED_REQUEST),
        ("openai", 429, error(code="rate_limit_exceeded"), K.VENDOR_RATE_LIMITED),
        ("openai", 429, error(type="insufficient_quota", code="insufficient_quota"), K.VENDOR_PAYMENT_REQUIRED),
        ("openai", 500, error(), K.VENDOR_ERROR),
        ("openai", 503, b"", K.VENDOR_ERROR),
        ("openai", 529, b"<html>", K.VENDOR_ERROR),
        # Not the vendor's API speaking, so not a verdict on the request.
        ("openai", 400, b"<html>WAF</html>", K.VENDOR_ERROR),
        ("openai", 302, b"", K.VENDOR_ERROR),
        ("zai", 429, error(code="1113"), K.VENDOR_PAYMENT_REQUIRED),
        ("zai", 400, error(code="1211"), K.VENDOR_MODEL_UNKNOWN),
        (
            "mistral",
            400,
            {"object": "error", "message": "Invalid model: x", "type": "invalid_model"},
            K.VENDOR_MODEL_UNKNOWN,
        ),
        ("deepseek", 400, error(message="Model Not Exist"), K.VENDOR_MODEL_UNKNOWN),
        ("xai", 400, {"code": "bad", "error": "Incorrect API key provided: xx"}, K.VENDOR_REFUSED_KEY),
        ("openrouter", 400, error(message="x/y is not a valid model ID"), K.VENDOR_MODEL_UNKNOWN),
        ("openrouter", 403, error(message="flagged"), K.VENDOR_REFUSED_REQUEST),
    ],
)
def test_kinds(row: str, status: int, body: bytes | dict[str, Any], kind: FailureKind) -> None:
    assert classified(status, body, row).kind is kind


def test_a_refused_request_keeps_status_and_the_allowed_words() -> None:
    body = error(message="too long", param="messages", code="context_length_exceeded", type="t", internal="secret")
    assert classified(413, body) == Failure(
        kind=K.VENDOR_REFUSED_REQUEST, message="too long", param="messages", code="context_length_exceeded", status=413
    )


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"error": "plain text"}, "plain text", None),
        ({"message": "bare"}, "bare", None),
        ({"detail": "fastapi"}, "fastapi", None),
        (
            {"detail": [{"loc": ["body", "messages", 0, "name"], "msg": "Extra inputs", "input": "PROMPT"}]},
            "Extra inputs",
            "messages.0.name",
        ),
        ({"message": {"detail": [{"loc": ["body", "n"], "msg": "Extra inputs"}]}}, "Extra inputs", "n"),
        ({"error": {"message": {"text": "PROMPT"}, "param": 5, "code": 7}}, None, None),
        ({}, None, None),
    ],
)
def test_the_shapes_of_error_bodies(body: dict[str, Any], message: str | None, param: str | None) -> None:
    failure = classified(422, body, "mistral")
    assert (failure.message, failure.param, failure.code, failure.status) == (message, param, None, 422)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
def test_other_failures_quote_nothing_of_the_vendor(status: int) -> None:
    failure = classified(status, error(message="org-123 over quota", param="p"))
    assert (failure.message, failure.param, failure.code, failure.status) == (None, None, None, None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
        ({"retry_after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry_after": "999999"}, MAX_RETRY_AFTER_S),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert classified(429, b"", **headers).retry_after_s == seconds
    assert classified(503, b"", **headers).retry_after_s == seconds
    assert classified(400, error(), **headers).retry_after_s is None


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh12345678",
        "sk-ab***********wxyz",
        "gsk_abcdefgh1234",
        "xai-abcdefgh1234",
        "Bearer abcdef",
        "0123456789abcdef0123456789abcdef.SecretPart",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJzdWIiOiIxMjM0.c2ln",
        "abcd****wxyz",
    ],
)
def test_what_looks_like_a_key_is_redacted(secret: str) -> None:
    message = classified(400, error(message=f"The key {secret} is odd.")).message
    assert message is not None
    assert secret not in message
    assert message.startswith("The key [redacted]")


def test_plain_words_are_left_alone() -> None:
    text = "Unsupported parameter: 'max_completion_tokens' is not supported with this model, see messages[0].content."
    assert redact(text) == text


def test_long_messages_are_cut() -> None:
    message = classified(400, error(message="long words " * 200)).message
    assert message is not None
    assert len(message) == MAX_TEXT_CHARACTERS


@given(status=st.integers(300, 599), body=st.binary(max_size=200), retry_after=st.text(max_size=20))
def test_nothing_a_vendor_sends_raises(status: int, body: bytes, retry_after: str) -> None:
    failure = classified(status, body, retry_after=retry_after)
    assert failure.kind.value.startswith("vendor_")
    assert failure.retry_after_s is None or 0 <= failure.retry_after_s <= MAX_RETRY_AFTER_S


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "loc", "msg", "code", "type"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(body=_JSON, status=st.integers(400, 499))
def test_no_shape_of_json_raises(body: Any, status: int) -> None:
    assert classified(status, orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)).kind.value.startswith("vendor_")


@pytest.mark.parametrize("piece", ["a", "a-", "*a", "a1"])
def test_a_text_of_any_length_is_looked_through_in_no_time(piece: str) -> None:
    """A vendor may repeat what a client wrote. Searched as a whole, these would keep the process busy for hours."""
    assert len(redact(piece * 500_000)) <= MAX_TEXT_CHARACTERS
