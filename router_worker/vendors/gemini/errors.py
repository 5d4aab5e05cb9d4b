"""From Google's errors to a kind of failure. Format: google.rpc.Status in JSON, alone or as the one item of a list.

What the HTTP status leaves open stands in `status` and in the details: an invalid key comes as 400, and how long to
wait stands in RetryInfo, not in a header. Sources: Gemini API "Troubleshooting", google.rpc.ErrorInfo's reasons.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from router_worker.vendors.json_fields import without_half_pairs
from router_worker.vendors.openai.errors import MAX_RETRY_AFTER_S, classify_status, redact
from schemas.failures import Failure, FailureKind

_K = FailureKind
_BY_REASON: dict[str, FailureKind] = {
    "API_KEY_INVALID": _K.VENDOR_REFUSED_KEY,
    "API_KEY_EXPIRED": _K.VENDOR_REFUSED_KEY,
    "API_KEY_SERVICE_BLOCKED": _K.VENDOR_REFUSED_KEY,
    "API_KEY_HTTP_REFERRER_BLOCKED": _K.VENDOR_REFUSED_KEY,
    "API_KEY_IP_ADDRESS_BLOCKED": _K.VENDOR_REFUSED_KEY,
    "ACCESS_TOKEN_EXPIRED": _K.VENDOR_REFUSED_KEY,
    "CREDENTIALS_MISSING": _K.VENDOR_REFUSED_KEY,
    "SERVICE_DISABLED": _K.VENDOR_REFUSED_KEY,
    "CONSUMER_INVALID": _K.VENDOR_REFUSED_KEY,
    "CONSUMER_SUSPENDED": _K.VENDOR_REFUSED_KEY,
    "BILLING_DISABLED": _K.VENDOR_PAYMENT_REQUIRED,
    "RATE_LIMIT_EXCEEDED": _K.VENDOR_RATE_LIMITED,
    "RESOURCE_QUOTA_EXCEEDED": _K.VENDOR_RATE_LIMITED,
}
_BY_STATUS_NAME: dict[str, FailureKind] = {
    "INVALID_ARGUMENT": _K.VENDOR_REFUSED_REQUEST,
    "OUT_OF_RANGE": _K.VENDOR_REFUSED_REQUEST,
    "UNAUTHENTICATED": _K.VENDOR_REFUSED_KEY,
    "PERMISSION_DENIED": _K.VENDOR_REFUSED_KEY,
    "NOT_FOUND": _K.VENDOR_MODEL_UNKNOWN,
    "RESOURCE_EXHAUSTED": _K.VENDOR_RATE_LIMITED,
    # Of generateContent: no free use in this country, billing is to be enabled. Nothing that the caller could mend.
    "FAILED_PRECONDITION": _K.VENDOR_PAYMENT_REQUIRED,
    "CANCELLED": _K.VENDOR_ERROR,
    "ABORTED": _K.VENDOR_ERROR,
    "UNAVAILABLE": _K.VENDOR_ERROR,
    "INTERNAL": _K.VENDOR_ERROR,
    "UNKNOWN": _K.VENDOR_ERROR,
    "DEADLINE_EXCEEDED": _K.VENDOR_ERROR,
}
_REFUSED_KEY_TEXT = re.compile(r"(?i)^api key (?:not valid|not found|expired)")
_DELAY = re.compile(r"(?P<seconds>\d{1,9}(?:\.\d+)?)s")


class _Said(msgspec.Struct):
    code: int | None = None
    message: str | None = None
    status: str | None = None
    reason: str | None = None
    field: str | None = None
    retry_after_s: float | None = None


def classify_google_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    kind_of_status: Mapping[int, FailureKind],
) -> Failure:
    """The Failure of an answer that is not 2xx. A body that is no error of Google's counts as with any vendor."""
    said = _read(body)
    plain = classify_status(status, headers, body, now_ms, kind_of_status)
    if said is None:
        return plain
    kind = kind_of_status.get(status) or _by_words(said) or plain.kind
    if kind is FailureKind.VENDOR_REFUSED_REQUEST:
        return _refusal(said, status)
    wait_s = said.retry_after_s if said.retry_after_s is not None else plain.retry_after_s
    return Failure(kind=kind, retry_after_s=wait_s)


def classify_in_answer(error: bytes, *, after_chunks: bool) -> Failure:
    """The Failure of an error in a 2xx answer or in a stream, given the JSON around it.

    after_chunks: the vendor had begun to answer; then, whatever stopped it, it may charge for what it did.
    """
    if after_chunks:
        return Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    said = _read(error)
    code = said.code if said is not None and said.code is not None and 400 <= said.code <= 599 else 500
    return classify_google_status(code, {}, error, 0, {})


def is_error(body: bytes) -> bool:
    return _read(body) is not None


def _by_words(said: _Said) -> FailureKind | None:
    if said.reason in _BY_REASON:
        return _BY_REASON[said.reason]
    if said.status == "INVALID_ARGUMENT" and said.message is not None and _REFUSED_KEY_TEXT.search(said.message):
        return FailureKind.VENDOR_REFUSED_KEY
    return _BY_STATUS_NAME.get(said.status) if said.status is not None else None


def _refusal(said: _Said, status: int) -> Failure:
    return Failure(
        kind=FailureKind.VENDOR_REFUSED_REQUEST,
        message=redact(said.message) if said.message else None,
        param=redact(said.field) if said.field else None,
        code=redact(said.status) if said.status else None,
        status=status,
    )


def _read(body: bytes) -> _Said | None:
    try:
        value = msgspec.json.decode(without_half_pairs(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    said = _Said(
        code=code if isinstance(code, int) else None,
        message=_text(error.get("message")),
        status=_text(error.get("status")),
    )
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            _add_detail(said, detail)
    return said


def _add_detail(said: _Said, detail: dict[str, Any]) -> None:
    kind = str(detail.get("@type", "")).rpartition("google.rpc.")[2]
    if kind in ("ErrorInfo", "") and said.reason is None:
        said.reason = _text(detail.get("reason"))
    elif kind == "RetryInfo":
        found = _DELAY.fullmatch(str(detail.get("retryDelay", "")))
        said.retry_after_s = min(float(found["seconds"]), MAX_RETRY_AFTER_S) if found else None
    elif kind == "BadRequest":
        violations = detail.get("fieldViolations")
        if isinstance(violations, list) and violations and isinstance(violations[0], dict):
            said.field = _text(violations[0].get("field"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
