"""Errors in the form of Google's APIs. Format: google.rpc.Status in JSON (AIP-193), with google.rpc's error details.

`error` stands first in the object: the google-genai SDK knows an error in a stream by the bytes it begins with.
"""

from typing import Any

import msgspec

from schemas.failures import Failure

_STATUS_NAMES = {
    401: "UNAUTHENTICATED",
    # Google has no 402. A spent budget is an exhausted resource; the code stays 402, so that a client that retries on
    # 429 does not retry what no waiting mends.
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_DETAIL = "type.googleapis.com/google.rpc."


def error_body(failure: Failure, request_id: str) -> bytes:
    """`{"error": {"code", "message", "status", "details"}}`; `reason` is the gateway's finer name for it."""
    status = failure.http_status
    reason = failure.code or failure.kind.value
    details: list[dict[str, Any]] = [
        {"@type": _DETAIL + "ErrorInfo", "reason": reason.upper(), "domain": "tollhouse"},
        {"@type": _DETAIL + "RequestInfo", "requestId": request_id},
    ]
    if failure.param is not None:
        violation = {"field": failure.param, "description": failure.text}
        details.insert(0, {"@type": _DETAIL + "BadRequest", "fieldViolations": [violation]})
    if failure.retry_after_s is not None:
        details.append({"@type": _DETAIL + "RetryInfo", "retryDelay": f"{max(1, round(failure.retry_after_s))}s"})
    name = _STATUS_NAMES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return msgspec.json.encode(
        {"error": {"code": status, "message": failure.text, "status": name, "details": details}},
    )


def error_event(failure: Failure, request_id: str) -> bytes:
    return b"data: " + error_body(failure, request_id) + b"\n\n"
