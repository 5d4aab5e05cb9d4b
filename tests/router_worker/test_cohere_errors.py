"""Cohere's refusals. Messages as in Cohere docs, "Errors", and as its clients report them."""

import json

import pytest

from schemas.failures import FailureKind
from tests.router_worker.cohere_samples import WIRE

K = FailureKind


@pytest.mark.parametrize(
    ("status", "message", "kind", "http_status"),
    [
        (400, "invalid request: message must be at least 1 token long", K.VENDOR_REFUSED_REQUEST, 400),
        (400, "invalid request: model 'x' is not supported by the chat API", K.VENDOR_MODEL_UNKNOWN, 502),
        (401, "invalid api token", K.VENDOR_REFUSED_KEY, 502),
        (402, "please add or update your payment method", K.VENDOR_PAYMENT_REQUIRED, 502),
        (403, "forbidden", K.VENDOR_REFUSED_KEY, 502),
        (404, "model 'x' not found, make sure the correct model ID was used", K.VENDOR_MODEL_UNKNOWN, 502),
        (404, "model 'command-r' was removed on September 15, 2025", K.VENDOR_MODEL_UNKNOWN, 502),
        (422, "unknown field: parameter 'strict' is not a valid field", K.VENDOR_REFUSED_REQUEST, 422),
        (429, "You are using a Trial key, which is limited to 20 API calls / minute.", K.VENDOR_RATE_LIMITED, 429),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month.", K.VENDOR_PAYMENT_REQUIRED, 502),
        (429, "Please wait and try again later", K.VENDOR_RATE_LIMITED, 429),
        (498, "invalid token", K.VENDOR_REFUSED_REQUEST, 400),
        (499, "request cancelled", K.VENDOR_ERROR, 502),
        (500, "internal server error", K.VENDOR_ERROR, 502),
        (501, "not implemented", K.VENDOR_ERROR, 502),
        (503, "no healthy upstream", K.VENDOR_ERROR, 502),
        (504, "timed out", K.VENDOR_ERROR, 502),
    ],
)
def test_statuses(status: int, message: str, kind: FailureKind, http_status: int) -> None:
    failure = WIRE.classify_error(status, {}, json.dumps({"id": "1", "message": message}).encode(), 0)
    assert (failure.kind, failure.http_status) == (kind, http_status)
    assert (failure.message == message) == (kind is K.VENDOR_REFUSED_REQUEST)


def test_when_to_try_again() -> None:
    failure = WIRE.classify_error(429, {"retry-after": "7"}, b'{"message":"slow down"}', 0)
    assert failure.retry_after_s == 7


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message":5}', b"\xff", b"[" * 100_000])
def test_no_body_is_an_exception(body: bytes) -> None:
    assert WIRE.classify_error(429, {}, body, 0).kind is K.VENDOR_RATE_LIMITED


def test_the_id_of_a_call() -> None:
    assert WIRE.request_id({"x-debug-trace-id": "t1"}) == "t1"
    assert WIRE.request_id({}) is None
