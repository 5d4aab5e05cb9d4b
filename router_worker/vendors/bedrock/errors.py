"""From an AWS error, before or inside a stream, to a kind of failure.

The type stands in the header `x-amzn-errortype` (maybe with `:` and an address behind it) or in the body as `__type`
(maybe with a namespace and `#` before it); the text is `message` or `Message`. Sources: AWS restJson1 protocol, Bedrock
user guide "Troubleshooting API error codes".
"""

import re
from collections.abc import Mapping

import msgspec

from router_worker.vendors.json_fields import without_half_pairs
from router_worker.vendors.openai.errors import classify_status
from schemas.failures import Failure, FailureKind

_K = FailureKind
_KINDS: dict[str, FailureKind] = {
    "validationexception": _K.VENDOR_REFUSED_REQUEST,
    "serializationexception": _K.VENDOR_REFUSED_REQUEST,
    "requestentitytoolargeexception": _K.VENDOR_REFUSED_REQUEST,
    "throttlingexception": _K.VENDOR_RATE_LIMITED,
    "throttledexception": _K.VENDOR_RATE_LIMITED,
    "toomanyrequestsexception": _K.VENDOR_RATE_LIMITED,
    "servicequotaexceededexception": _K.VENDOR_RATE_LIMITED,
    "limitexceededexception": _K.VENDOR_RATE_LIMITED,
    "modelnotreadyexception": _K.VENDOR_ERROR,
    "modeltimeoutexception": _K.VENDOR_ERROR,
    "modelerrorexception": _K.VENDOR_ERROR,
    "modelstreamerrorexception": _K.VENDOR_ERROR,
    "internalserverexception": _K.VENDOR_ERROR,
    "internalfailure": _K.VENDOR_ERROR,
    "serviceunavailableexception": _K.VENDOR_ERROR,
    "serviceunavailable": _K.VENDOR_ERROR,
    "conflictexception": _K.VENDOR_ERROR,
    "resourcenotfoundexception": _K.VENDOR_MODEL_UNKNOWN,
    "accessdeniedexception": _K.VENDOR_REFUSED_KEY,
    "accessdenied": _K.VENDOR_REFUSED_KEY,
    "expiredtokenexception": _K.VENDOR_REFUSED_KEY,
    "expiredtoken": _K.VENDOR_REFUSED_KEY,
    "unrecognizedclientexception": _K.VENDOR_REFUSED_KEY,
    "invalidclienttokenid": _K.VENDOR_REFUSED_KEY,
    "invalidsignatureexception": _K.VENDOR_REFUSED_KEY,
    "signaturedoesnotmatch": _K.VENDOR_REFUSED_KEY,
    "incompletesignature": _K.VENDOR_REFUSED_KEY,
    "incompletesignatureexception": _K.VENDOR_REFUSED_KEY,
    "missingauthenticationtoken": _K.VENDOR_REFUSED_KEY,
    "missingauthenticationtokenexception": _K.VENDOR_REFUSED_KEY,
    "requestexpired": _K.VENDOR_REFUSED_KEY,
    "optinrequired": _K.VENDOR_REFUSED_KEY,
    "notauthorized": _K.VENDOR_REFUSED_KEY,
}
# What Bedrock says under a type that means something else most of the time.
_BY_TEXT: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"(?i)invalid_payment_instrument|payment method"), _K.VENDOR_PAYMENT_REQUIRED),
    (
        re.compile(
            r"(?i)model identifier is invalid|on-demand throughput isn.t supported|access to the model\b"
            r"|model version has reached the end of its life|could not resolve the foundation model"
        ),
        _K.VENDOR_MODEL_UNKNOWN,
    ),
    (re.compile(r"(?i)^too many (?:requests|tokens|connections)"), _K.VENDOR_RATE_LIMITED),
    (re.compile(r"(?i)^operation not allowed"), _K.VENDOR_REFUSED_KEY),
)
_TEXT_DECIDES = frozenset({_K.VENDOR_REFUSED_REQUEST, _K.VENDOR_REFUSED_KEY})
# Where a type comes without a status: what its status would have been.
_STATUS_IN_STREAM = 400


class _Said(msgspec.Struct):
    message: str | None = None
    capital_message: str | None = msgspec.field(name="Message", default=None)
    type: str | None = msgspec.field(name="__type", default=None)
    code: str | None = None


_SAID = msgspec.json.Decoder(_Said)


def classify_aws_status(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
    """The Failure of an answer that is not 2xx. A type that is not known counts by its status, as with any vendor."""
    said = _read(body)
    name = _bare(headers.get("x-amzn-errortype") or (said.type or said.code if said is not None else None))
    text = (said.message or said.capital_message) if said is not None else None
    kind = _kind(name, text)
    if kind is None and text is None:
        # Words that are no AWS error are those of something in between: see `classify_status`.
        return classify_status(status, headers, body, now_ms, {})
    plain = msgspec.json.encode({"message": text, "code": name})
    return classify_status(status, headers, plain, now_ms, {} if kind is None else {status: kind})


def classify_exception(name: str | None, payload: bytes, *, after_chunks: bool) -> Failure:
    """The Failure of an exception frame. after_chunks: the answer had begun, so it may be charged for."""
    if after_chunks:
        return Failure(kind=FailureKind.VENDOR_BROKE_OFF)
    said = _read(payload)
    text = (said.message or said.capital_message) if said is not None else None
    kind = _kind(_bare(name), text) or FailureKind.VENDOR_ERROR
    plain = msgspec.json.encode({"message": text, "code": _bare(name)})
    return classify_status(_STATUS_IN_STREAM, {}, plain, 0, {_STATUS_IN_STREAM: kind})


def _kind(name: str | None, text: str | None) -> FailureKind | None:
    kind = _KINDS.get((name or "").lower())
    if text is not None and (kind is None or kind in _TEXT_DECIDES):
        kind = next((by_text for pattern, by_text in _BY_TEXT if pattern.search(text[:500])), kind)
    return kind


def _bare(name: str | None) -> str | None:
    return name.partition(":")[0].rpartition("#")[2].strip() or None if name else None


def _read(body: bytes) -> _Said | None:
    for readable in (body, without_half_pairs(body)):
        try:
            return _SAID.decode(readable)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
    return None
