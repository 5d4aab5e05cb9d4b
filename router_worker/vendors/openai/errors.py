"""From a vendor's refusal to a kind of failure, and to what of its words a client may see."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from schemas.failures import Failure, FailureKind

MAX_TEXT_CHARACTERS = 500
MAX_RETRY_AFTER_S = 3600.0
REDACTED = "[redacted]"

_BY_STATUS: dict[int, FailureKind] = {
    401: FailureKind.VENDOR_REFUSED_KEY,
    402: FailureKind.VENDOR_PAYMENT_REQUIRED,
    403: FailureKind.VENDOR_REFUSED_KEY,
    404: FailureKind.VENDOR_MODEL_UNKNOWN,
    408: FailureKind.VENDOR_ERROR,
    409: FailureKind.VENDOR_ERROR,
    425: FailureKind.VENDOR_ERROR,
    429: FailureKind.VENDOR_RATE_LIMITED,
}

# What vendors write in `code` or `type` where their status says less, or something else.
_BY_CODE: dict[str, FailureKind] = {
    "insufficient_quota": FailureKind.VENDOR_PAYMENT_REQUIRED,
    "insufficient_balance": FailureKind.VENDOR_PAYMENT_REQUIRED,
    "billing_hard_limit_reached": FailureKind.VENDOR_PAYMENT_REQUIRED,
    "billing_not_active": FailureKind.VENDOR_PAYMENT_REQUIRED,
    "1113": FailureKind.VENDOR_PAYMENT_REQUIRED,  # Z.ai: balance exhausted, sent as 429
    "invalid_api_key": FailureKind.VENDOR_REFUSED_KEY,
    "model_not_found": FailureKind.VENDOR_MODEL_UNKNOWN,
    "model_not_available": FailureKind.VENDOR_MODEL_UNKNOWN,
    "invalid_model": FailureKind.VENDOR_MODEL_UNKNOWN,  # Mistral, sent as 400
    "1211": FailureKind.VENDOR_MODEL_UNKNOWN,  # Z.ai: unknown model, sent as 400
}
# Only for errors inside a stream, where there is no status to go by.
_BY_STREAM_CODE: dict[str, FailureKind] = _BY_CODE | {
    "rate_limit_exceeded": FailureKind.VENDOR_RATE_LIMITED,
    "rate_limit_error": FailureKind.VENDOR_RATE_LIMITED,
    "too_many_requests": FailureKind.VENDOR_RATE_LIMITED,
    "invalid_request_error": FailureKind.VENDOR_REFUSED_REQUEST,
    "context_length_exceeded": FailureKind.VENDOR_REFUSED_REQUEST,
}
_REFUSED_KEY_TEXT = re.compile(r"(?i)^incorrect api key")  # xAI sends it as 400
_UNKNOWN_MODEL_TEXT = re.compile(r"(?i)\bnot a valid model id\b|^model not exist")  # OpenRouter, DeepSeek: 400

# Prefixed keys, also half starred out; bearer tokens; and any long run of letters with digits, whatever it is.
_KEY_LIKE = re.compile(
    r"(?i)\bbearer\s+\S+"
    r"|\b(?:sk|pk|rk|gsk|xai|key|fw|tgp|th|api|token)[-_][\w*.-]{6,}"
    r"|\b(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{24,}(?:\.[\w-]+)*"
    r"|\S*\*{3,}\S*"
)


class _Said(msgspec.Struct):
    """What is looked at of an error body; the client sees `message`, `param` and `code`, and only of a refusal."""

    message: str | None = None
    param: str | None = None
    code: str | None = None
    type: str | None = None
    status: int | None = None


def classify_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    kind_of_status: Mapping[int, FailureKind],
) -> Failure:
    """The Failure of an answer that is not 2xx.

    A 4xx in words that are not JSON comes from something in between, not from the vendor's API, so it does not say
    that the request is bad: it counts as VENDOR_ERROR, which another route may be spared.
    """
    said = _read(body)
    kind = kind_of_status.get(status) or _by_words(said, status) or _BY_STATUS.get(status)
    if kind is None:
        refused = 400 <= status < 500 and said is not None
        kind = FailureKind.VENDOR_REFUSED_REQUEST if refused else FailureKind.VENDOR_ERROR
    retry_after_s = _retry_after_s(headers, now_ms) if status in (408, 409, 425, 429) or status >= 500 else None
    if kind is FailureKind.VENDOR_REFUSED_REQUEST:
        return _refusal(said or _Said(), status)
    return Failure(kind=kind, retry_after_s=retry_after_s)


def classify_in_answer(error: bytes, *, after_chunks: bool) -> Failure:
    """The Failure of an error object in a 2xx answer or in a stream, given the JSON around it or of it alone.

    after_chunks: the vendor had begun to answer; then, whatever stopped it, it may charge for what it did.
    """
    if after_chunks:
        return Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    said = _read(error) or _Said()
    kind = next((_BY_STREAM_CODE[word] for word in (said.code, said.type) if word in _BY_STREAM_CODE), None)
    if kind is None and said.status is not None and said.status >= 400:
        kind = _BY_STATUS.get(said.status)
        if kind is None and said.status < 500:
            kind = FailureKind.VENDOR_REFUSED_REQUEST
    if kind is FailureKind.VENDOR_REFUSED_REQUEST:
        return _refusal(said, said.status if said.status is not None and 400 <= said.status < 500 else 400)
    return Failure(kind=kind or FailureKind.VENDOR_ERROR)


def redact(text: str) -> str:
    """Without what looks like a key, and cut to a length at which nothing of a prompt's size gets through."""
    # Cut before, too: the time that the search takes grows with the square of the length, and a vendor may repeat what
    # the client wrote. Of a key that this splits, either enough is left to be known, or next to nothing.
    return _KEY_LIKE.sub(REDACTED, text[: 4 * MAX_TEXT_CHARACTERS])[:MAX_TEXT_CHARACTERS]


def _refusal(said: _Said, status: int) -> Failure:
    return Failure(
        kind=FailureKind.VENDOR_REFUSED_REQUEST,
        message=redact(said.message) if said.message else None,
        param=redact(said.param) if said.param else None,
        code=redact(said.code) if said.code else None,
        status=status,
    )


def _by_words(said: _Said | None, status: int) -> FailureKind | None:
    if said is None or status >= 500:
        return None
    for word in (said.code, said.type):
        if word in _BY_CODE:
            return _BY_CODE[word]
    if status == 400 and said.message is not None:
        if _REFUSED_KEY_TEXT.search(said.message):
            return FailureKind.VENDOR_REFUSED_KEY
        if _UNKNOWN_MODEL_TEXT.search(said.message):
            return FailureKind.VENDOR_MODEL_UNKNOWN
    return None


def _read(body: bytes) -> _Said | None:
    """The shapes in use: `{"error": {...}}`, `{"error": "text", "code": ...}`, the object bare, FastAPI's `detail`."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        return _said(error)
    if isinstance(error, str):
        return _said(value | {"message": error})
    return _said(value)


def _said(fields: dict[str, Any]) -> _Said:
    message = fields.get("message", fields.get("detail"))
    if isinstance(message, dict):
        message = message.get("detail")
    param = fields.get("param")
    if isinstance(message, list) and message and isinstance(message[0], dict):
        place = message[0].get("loc")
        if isinstance(place, list):
            param = ".".join(str(step) for step in place if step != "body")
        message = message[0].get("msg")
    code = fields.get("code")
    numbers = (fields.get("status"), fields.get("status_code"), code)
    return _Said(
        message=_text(message),
        param=_text(param),
        code=_text(code),
        type=_text(fields.get("type")),
        status=next((number for number in numbers if isinstance(number, int)), None),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _retry_after_s(headers: Mapping[str, str], now_ms: int) -> float | None:
    """`Retry-After` in either form of RFC 9110 (seconds, or a date), or OpenAI's `retry-after-ms`."""
    seconds = _number(headers.get("retry-after-ms"))
    seconds = _number(headers.get("retry-after")) if seconds is None else seconds / 1000
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now_ms / 1000
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None or not text.strip().replace(".", "", 1).isdecimal() else float(text)
    except ValueError:
        return None
