"""From Anthropic's refusals to a kind of failure. Source: Claude API reference, "Errors" and "Rate limits"."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from router_worker.vendors.openai.errors import MAX_RETRY_AFTER_S, classify_in_answer, classify_status
from schemas.failures import Failure, FailureKind

_BY_TYPE: dict[str, FailureKind] = {
    "authentication_error": FailureKind.VENDOR_REFUSED_KEY,
    "permission_error": FailureKind.VENDOR_REFUSED_KEY,
    "billing_error": FailureKind.VENDOR_PAYMENT_REQUIRED,
    "not_found_error": FailureKind.VENDOR_MODEL_UNKNOWN,
    "rate_limit_error": FailureKind.VENDOR_RATE_LIMITED,
    "overloaded_error": FailureKind.VENDOR_ERROR,
    "api_error": FailureKind.VENDOR_ERROR,
    "timeout_error": FailureKind.VENDOR_ERROR,
}
# Sent as invalid_request_error (400) resp. rate_limit_error (429), but waiting or asking otherwise does not help.
_OUT_OF_CREDIT = "credit balance is too low"
_SPEND_LIMIT = "spend_limit_reached"

_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")


class _Details(msgspec.Struct):
    error_code: str | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    message: str | None = None
    details: _Details | None = None


class _Said(msgspec.Struct):
    error: _Error


_SAID = msgspec.json.Decoder(_Said)


class AnthropicRefusals:
    """The part of `vendor.Vendor` and `wire.Wire` that speaks of errors."""

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        kind = _out_of_money(_read(body))
        failure = classify_status(status, headers, body, now_ms, {} if kind is None else {status: kind})
        if failure.kind is FailureKind.VENDOR_RATE_LIMITED and failure.retry_after_s is None:
            return Failure(kind=failure.kind, retry_after_s=_until_reset_s(headers, now_ms))
        return failure

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("request-id") or headers.get("x-request-id")


def classify_event(payload: bytes, *, after_chunks: bool) -> Failure:
    """The Failure of an `error` event, or of an error object in a 2xx answer.

    after_chunks: the vendor had begun to answer; then, whatever stopped it, it may charge for what it did.
    """
    error = _read(payload)
    kind = None
    if error is not None and not after_chunks:
        kind = _out_of_money(error) or _BY_TYPE.get(error.type or "")
    return Failure(kind=kind) if kind is not None else classify_in_answer(payload, after_chunks=after_chunks)


def _out_of_money(error: _Error | None) -> FailureKind | None:
    if error is None:
        return None
    code = (error.details.error_code if error.details is not None else None) or ""
    if _OUT_OF_CREDIT in (error.message or "") or _SPEND_LIMIT in code:
        return FailureKind.VENDOR_PAYMENT_REQUIRED
    return None


def _read(body: bytes) -> _Error | None:
    try:
        return _SAID.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _until_reset_s(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Seconds until the last of the spent limits is full again; those headers give the moment in RFC 3339."""
    waits: list[float] = []
    for limit in _LIMITS:
        if headers.get(f"anthropic-ratelimit-{limit}-remaining") != "0":
            continue
        try:
            reset = datetime.fromisoformat(headers.get(f"anthropic-ratelimit-{limit}-reset", ""))
            waits.append(reset.timestamp() - now_ms / 1000)
        except (ValueError, OverflowError):
            continue
    return min(max(0.0, *waits), MAX_RETRY_AFTER_S) if waits else None
