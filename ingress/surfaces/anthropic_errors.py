"""Errors in the form of Anthropic's API. Format: Claude API reference, "Errors", and of error events "Streaming"."""

import msgspec

from schemas.failures import Failure

_TYPES_BY_STATUS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(failure: Failure, request_id: str) -> bytes:
    """`{"type": "error", "error": {"type", "message", "details"?}, "request_id"}`.

    The form has no place for the field at fault, so the message names it.
    """
    status = failure.http_status
    error_type = _TYPES_BY_STATUS.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    error: dict[str, object] = {"type": error_type, "message": _message(failure)}
    if failure.code is not None:
        # Where Anthropic's own SDKs look for a finer name.
        error["details"] = {"error_code": failure.code}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def error_event(failure: Failure, request_id: str) -> bytes:
    return b"event: error\ndata: " + error_body(failure, request_id) + b"\n\n"


def _message(failure: Failure) -> str:
    if failure.param is None or failure.param in failure.text:
        return failure.text
    return f"{failure.param}: {failure.text}"
