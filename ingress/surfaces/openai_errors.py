"""Errors in the form of OpenAI's APIs. Format: OpenAI API reference, "Error codes"."""

import msgspec

from schemas.failures import Failure

_TYPES_BY_STATUS = {
    401: "authentication_error",
    402: "budget_exceeded",
    403: "permission_error",
    429: "rate_limit_error",
}


def error_body(failure: Failure) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`."""
    status = failure.http_status
    error_type = _TYPES_BY_STATUS.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    return msgspec.json.encode(
        {
            "error": {
                "message": failure.text,
                "type": error_type,
                "param": failure.param,
                "code": failure.code or failure.kind.value,
            }
        }
    )


def error_event(failure: Failure) -> bytes:
    return b"data: " + error_body(failure) + b"\n\n"
