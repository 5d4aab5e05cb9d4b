"""What Google's errors count as."""

from typing import Any

import orjson
import pytest

from router_worker.vendors.gemini.errors import classify_google_status
from schemas.failures import Failure, FailureKind

TYPE = "type.googleapis.com/google.rpc."
K = FailureKind


def body(code: int, status: str, message: str = "words", *details: dict[str, Any]) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "status": status, "details": list(details)}})


def classify(status: int, data: bytes, **headers: str) -> Failure:
    return classify_google_status(status, headers, data, 0, {})


def reason(name: str) -> dict[str, Any]:
    return {"@type": TYPE + "ErrorInfo", "reason": name, "domain": "googleapis.com"}


@pytest.mark.parametrize(
    ("status", "data", "kind"),
    [
        (400, body(400, "INVALID_ARGUMENT"), K.VENDOR_REFUSED_REQUEST),
        (
            400,
            body(400, "INVALID_ARGUMENT", "API key not valid. Please.", reason("API_KEY_INVALID")),
            K.VENDOR_REFUSED_KEY,
        ),
        (400, body(400, "INVALID_ARGUMENT", "x", {"reason": "API_KEY_INVALID"}), K.VENDOR_REFUSED_KEY),
        (400, body(400, "INVALID_ARGUMENT", "API key expired. Please renew it."), K.VENDOR_REFUSED_KEY),
        (400, body(400, "FAILED_PRECONDITION", "User location is not supported"), K.VENDOR_PAYMENT_REQUIRED),
        (401, body(401, "UNAUTHENTICATED"), K.VENDOR_REFUSED_KEY),
        (403, body(403, "PERMISSION_DENIED", "x", reason("BILLING_DISABLED")), K.VENDOR_PAYMENT_REQUIRED),
        (403, body(403, "PERMISSION_DENIED", "x", reason("SERVICE_DISABLED")), K.VENDOR_REFUSED_KEY),
        (404, body(404, "NOT_FOUND", "models/x is not found"), K.VENDOR_MODEL_UNKNOWN),
        (429, body(429, "RESOURCE_EXHAUSTED"), K.VENDOR_RATE_LIMITED),
        (499, body(499, "CANCELLED"), K.VENDOR_ERROR),
        (500, body(500, "INTERNAL"), K.VENDOR_ERROR),
        (503, body(503, "UNAVAILABLE"), K.VENDOR_ERROR),
        (504, body(504, "DEADLINE_EXCEEDED"), K.VENDOR_ERROR),
        (400, b"<html>", K.VENDOR_ERROR),
        (502, b"", K.VENDOR_ERROR),
        (401, b"\xff", K.VENDOR_REFUSED_KEY),
        (429, b"[" * 200_000, K.VENDOR_RATE_LIMITED),
    ],
)
def test_kinds(status: int, data: bytes, kind: FailureKind) -> None:
    assert classify(status, data).kind is kind
    assert classify(status, b"[" + data + b"]").kind is kind


def test_how_long_to_wait_stands_in_the_details() -> None:
    quota = {"@type": TYPE + "QuotaFailure", "violations": [{"quotaId": "PerMinute"}]}
    retry = {"@type": TYPE + "RetryInfo", "retryDelay": "37.5s"}
    found = classify(429, body(429, "RESOURCE_EXHAUSTED", "x", quota, retry))
    assert found.retry_after_s == 37.5
    assert classify(429, body(429, "RESOURCE_EXHAUSTED"), **{"retry-after": "9"}).retry_after_s == 9
    odd = {"@type": TYPE + "RetryInfo", "retryDelay": "soon"}
    assert classify(429, body(429, "RESOURCE_EXHAUSTED", "x", odd)).retry_after_s is None


def test_a_refusal_names_the_field_and_tells_no_secret() -> None:
    violation = {"field": "generation_config.top_k", "description": "too large"}
    detail = {"@type": TYPE + "BadRequest", "fieldViolations": [violation]}
    secret = "AIzaSy" + "A1b2C3d4" * 4
    found = classify(400, body(400, "INVALID_ARGUMENT", f"top_k is too large for {secret}", detail))
    assert found == Failure(
        kind=K.VENDOR_REFUSED_REQUEST,
        message="top_k is too large for [redacted]",
        param="generation_config.top_k",
        code="INVALID_ARGUMENT",
        status=400,
    )


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"details": "x"},
        {"details": [1, {"@type": 5}, {"@type": TYPE + "BadRequest", "fieldViolations": {}}]},
        {"code": "x", "message": 1, "status": []},
    ],
)
def test_no_error_raises(error: Any) -> None:
    assert classify(400, orjson.dumps({"error": error})).kind is K.VENDOR_REFUSED_REQUEST


def test_a_rows_own_meaning_of_a_status_wins() -> None:
    kinds = {403: K.VENDOR_REFUSED_REQUEST}
    found = classify_google_status(403, {}, body(403, "PERMISSION_DENIED"), 0, kinds)
    assert found.kind is K.VENDOR_REFUSED_REQUEST
