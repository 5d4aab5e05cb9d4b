"""From Cohere's refusals to kinds of failure. Source: Cohere docs, "Errors"; API reference, "Chat".

The body of all of them is `{"message": ...}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from router_worker.vendors.openai.errors import classify_status
from router_worker.vendors.row import VendorRow
from schemas.failures import Failure, FailureKind

# 498 is content with a word on Cohere's list; it is no status that a client would know. 499: Cohere itself gave up.
_BLOCKED = 498
_KIND_OF_STATUS: dict[int, FailureKind] = {499: FailureKind.VENDOR_ERROR}
# A trial key that has used up its month is refused with 429, but waiting does not help.
_MONTH_IS_OVER = re.compile(r"(?i)\bcalls\s*/\s*month\b")
_UNKNOWN_MODEL = re.compile(r"(?i)\bmodel\b.{0,200}\b(?:is not supported by the|was removed on|not found)\b", re.DOTALL)


class _Said(msgspec.Struct):
    message: str = ""


_SAID = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class CohereRefusals:
    """Implements `wire.Refusals`."""

    row: VendorRow

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        kinds = _KIND_OF_STATUS | self.row.quirks.kind_of_status
        message = _message(body)
        if status == 429 and _MONTH_IS_OVER.search(message):
            kinds = kinds | {429: FailureKind.VENDOR_PAYMENT_REQUIRED}
        elif status == 400 and _UNKNOWN_MODEL.search(message):
            kinds = kinds | {400: FailureKind.VENDOR_MODEL_UNKNOWN}
        failure = classify_status(status, headers, body, now_ms, kinds)
        if status == _BLOCKED and failure.kind is FailureKind.VENDOR_REFUSED_REQUEST:
            return msgspec.structs.replace(failure, status=400, code="content_blocked")
        return failure

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-debug-trace-id")


def _message(body: bytes) -> str:
    try:
        return _SAID.decode(body).message[:2000]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
