"""Verifies AWS Signature Version 4 against the one key pair that the simulator knows.

Source: AWS's documentation of signing API requests. Written for verifying only, and apart from the gateway's signer:
two sides that share code would agree on a signature that AWS refuses.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from deploy.local.vendors.wire import Incoming

ACCESS_KEY_ID = "SIMULATORKEY"
# Fake: it opens nothing but the simulator.
SECRET_ACCESS_KEY = "fake-secret-of-the-vendor-simulator"
SERVICE = "bedrock"
MAX_CLOCK_SKEW_S = 300

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"^{_ALGORITHM} Credential=(?P<key>[^/,\s]+)/(?P<day>\d{{8}})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<signed>[a-z0-9;_-]+),\s*Signature=(?P<signature>[0-9a-f]{64})$"
)
_UNRESERVED = "-_.~"


class BadSignatureError(Exception):
    """`code` is the name of AWS's exception; all of them go with status 403."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def verify(incoming: Incoming, now_s: float) -> None:
    """Raises BadSignatureError. `now_s` in unix seconds: a signature is good for five minutes."""
    headers = {name.lower(): value for name, value in incoming.headers.items()}
    parsed = _AUTHORIZATION.match(headers.get("authorization", ""))
    if parsed is None:
        raise BadSignatureError("IncompleteSignatureException", "Authorization header is not of Signature Version 4.")
    if parsed["key"] != ACCESS_KEY_ID:
        raise BadSignatureError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if parsed["service"] != SERVICE:
        message = f"Credential should be scoped to correct service: '{SERVICE}'."
        raise BadSignatureError("InvalidSignatureException", message)
    signed_at = headers.get("x-amz-date", "")
    _check_date(signed_at, parsed["day"], now_s)
    signed = parsed["signed"].split(";")
    _check_signed_headers(signed, headers)
    body_sha256 = hashlib.sha256(incoming.body).hexdigest()
    if headers.get("x-amz-content-sha256", body_sha256) != body_sha256:
        message = "The x-amz-content-sha256 header does not match the body."
        raise BadSignatureError("InvalidSignatureException", message)

    canonical = "\n".join(
        [
            incoming.method,
            # Encoded once more than it was sent: only S3 is exempt from that.
            quote(incoming.raw_path, safe="/" + _UNRESERVED),
            _canonical_query(incoming.raw_query),
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            body_sha256,
        ]
    )
    scope = f"{parsed['day']}/{parsed['region']}/{SERVICE}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, signed_at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for part in (parsed["day"], parsed["region"], SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), parsed["signature"]):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            f"The canonical request should have been: {canonical!r}"
        )
        raise BadSignatureError("InvalidSignatureException", message)


def _check_date(signed_at: str, day: str, now_s: float) -> None:
    try:
        signed_at_s = datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        message = "Date must be in ISO-8601 'basic format' in the X-Amz-Date header."
        raise BadSignatureError("IncompleteSignatureException", message) from None
    if not signed_at.startswith(day):
        message = "Date in Credential scope does not match the X-Amz-Date header."
        raise BadSignatureError("InvalidSignatureException", message)
    if abs(now_s - signed_at_s) > MAX_CLOCK_SKEW_S:
        message = f"Signature expired: {signed_at} is more than {MAX_CLOCK_SKEW_S} s away from now."
        raise BadSignatureError("InvalidSignatureException", message)


def _check_signed_headers(signed: list[str], headers: Mapping[str, str]) -> None:
    if signed != sorted(set(signed)):
        raise BadSignatureError("IncompleteSignatureException", "SignedHeaders must be sorted, each once.")
    missing = [name for name in signed if name not in headers]
    if missing:
        message = f"Signed header {missing[0]!r} is not in the request."
        raise BadSignatureError("InvalidSignatureException", message)
    must_sign = ["host", *(name for name in headers if name.startswith("x-amz-"))]
    unsigned = [name for name in must_sign if name not in signed]
    if unsigned:
        message = f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization."
        raise BadSignatureError("InvalidSignatureException", message)


def _canonical_query(raw_query: str) -> str:
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    encoded = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)
