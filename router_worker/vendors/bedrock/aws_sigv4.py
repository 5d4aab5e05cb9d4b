"""AWS Signature Version 4 in request headers, for every AWS service but S3 (whose paths are encoded once, not twice).

Format: the AWS IAM user guide, "Create a signed AWS API request". Checked against botocore over random requests.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from router_worker.vendors.vendor import AwsCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE, _TOKEN, _AUTHORIZATION = "x-amz-date", "x-amz-security-token", "authorization"
_OURS = frozenset({_DATE, _TOKEN, _AUTHORIZATION, "host"})
# A proxy on the way may change or drop these, which would break a signature over them.
_UNSIGNED = frozenset(
    {
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)


class SigV4Signer:
    """Signs for one region and service. The signing key holds for a UTC day, and is derived once per day and secret."""

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._memo: tuple[tuple[str, str], bytes] | None = None

    def sign(
        self,
        credentials: AwsCredentials,
        *,
        method: str,
        host: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        now_ms: int,
    ) -> dict[str, str]:
        """The headers to send: those given, plus `X-Amz-Date`, `Authorization` and maybe `X-Amz-Security-Token`.

        host: exactly as the client will send it in `Host`, which is signed but not returned. path and query: exactly as
        they will stand in the request line, percent-encoded; a client that normalises them breaks the signature.
        headers: names must differ in more than case (ValueError). now_ms: unix; AWS allows five minutes of difference.
        """
        sent = {name: value for name, value in headers.items() if name.lower() not in _OURS}
        timestamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        sent["X-Amz-Date"] = timestamp
        if credentials.session_token is not None:
            sent["X-Amz-Security-Token"] = credentials.session_token
        signed = {name.lower(): _trimmed(value) for name, value in sent.items()}
        if len(signed) != len(sent):
            raise ValueError("two headers differ only in case")
        signed = {name: value for name, value in signed.items() if name not in _UNSIGNED} | {"host": host}
        names = sorted(signed)
        signed_names = ";".join(names)
        canonical = "\n".join(
            (
                method.upper(),
                _canonical_path(path),
                _canonical_query(query),
                *(f"{name}:{signed[name]}" for name in names),
                "",
                signed_names,
                sha256(body).hexdigest(),
            )
        )
        day = timestamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = "\n".join((_ALGORITHM, timestamp, scope, sha256(canonical.encode()).hexdigest()))
        signature = _hmac(self._signing_key(credentials.secret_access_key, day), text).hex()
        sent["Authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={signed_names}, Signature={signature}"
        )
        return sent

    def _signing_key(self, secret: str, day: str) -> bytes:
        memo = self._memo
        if memo is None or memo[0] != (secret, day):
            key = f"AWS4{secret}".encode()
            for step in (day, self._region, self._service, "aws4_request"):
                key = _hmac(key, step)
            self._memo = memo = ((secret, day), key)
        return memo[1]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _trimmed(value: str) -> str:
    return " ".join(value.split())


def _canonical_path(path: str) -> str:
    """Without dot segments and empty ones, then encoded once more: a `%3A` in the request line is signed as `%253A`."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)
