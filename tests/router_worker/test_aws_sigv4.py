"""Signatures equal botocore's."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from router_worker.vendors.bedrock.aws_sigv4 import SigV4Signer
from router_worker.vendors.vendor import AwsCredentials

REGION, SERVICE = "eu-central-1", "bedrock"
NOW_MS = 1_763_800_000_123
CREDENTIALS = AwsCredentials(
    access_key_id="AKEXAMPLE", secret_access_key="made/up+secret", session_token="made-up-token"
)
# One for all examples, as in a worker: a signing key kept too long would show.
SIGNER = SigV4Signer(region=REGION, service=SERVICE)

_ENCODED = st.text(max_size=8).map(lambda text: quote(text, safe="-_.~"))
_SEGMENTS = st.one_of(_ENCODED, st.sampled_from(["", ".", "..", "a:b", "x@y", "!$&'()*+,;="]))
_PATHS = st.lists(_SEGMENTS, max_size=5).map(lambda segments: "/" + "/".join(segments))
_PAIRS = st.one_of(st.tuples(_ENCODED, _ENCODED).map("=".join), _ENCODED)
_QUERIES = st.lists(_PAIRS, max_size=4).map("&".join)
_TAKEN = {"date", "host", "authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
_NAMES = st.one_of(
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True),
    st.sampled_from(["User-Agent", "Connection", "X-Amzn-Trace-Id", "Content-Type", "Accept"]),
).filter(lambda name: name.lower() not in _TAKEN)
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
_HEADERS = st.lists(st.tuples(_NAMES, _VALUES), max_size=5, unique_by=lambda pair: pair[0].lower()).map(dict)
_SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
_CREDENTIALS = st.builds(
    AwsCredentials,
    access_key_id=st.from_regex(r"[A-Z0-9]{4,20}", fullmatch=True),
    secret_access_key=_SECRETS,
    session_token=st.none() | _SECRETS,
)
_HOSTS = st.sampled_from(["bedrock-runtime.eu-central-1.amazonaws.com", "127.0.0.1:8123", "localhost:9"])


def by_botocore(
    credentials: AwsCredentials, host: str, path: str, query: str, headers: dict[str, str], body: bytes, now_ms: int
) -> tuple[dict[str, str], str]:
    url = f"https://{host}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method="POST", url=url, headers=headers, data=body)
    keys = Credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    auth = SigV4Auth(keys, SERVICE, REGION)
    now = datetime.fromtimestamp(now_ms // 1000, UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", return_value=now):
        auth.add_auth(request)
    return dict(request.headers.items()), auth.canonical_request(request)


@settings(max_examples=400)
@given(
    credentials=_CREDENTIALS,
    host=_HOSTS,
    path=_PATHS,
    query=_QUERIES,
    headers=_HEADERS,
    body=st.binary(max_size=64),
    now_ms=st.integers(min_value=0, max_value=4_000_000_000_000),
)
def test_random_requests(
    credentials: AwsCredentials, host: str, path: str, query: str, headers: dict[str, str], body: bytes, now_ms: int
) -> None:
    theirs, _ = by_botocore(credentials, host, path, query, headers, body, now_ms)
    ours = SIGNER.sign(
        credentials, method="POST", host=host, path=path, query=query, headers=headers, body=body, now_ms=now_ms
    )
    assert ours == theirs


def test_a_model_id_with_a_colon_is_encoded_twice_in_what_is_signed() -> None:
    path = f"/model/{quote('anthropic.claude-3-haiku-20240307-v1:0', safe='')}/converse"
    host = "bedrock-runtime.eu-central-1.amazonaws.com"
    theirs, canonical = by_botocore(CREDENTIALS, host, path, "", {}, b"{}", NOW_MS)
    assert "%3A" in path
    assert "\n/model/anthropic.claude-3-haiku-20240307-v1%253A0/converse\n" in canonical
    ours = SIGNER.sign(
        CREDENTIALS, method="POST", host=host, path=path, query="", headers={}, body=b"{}", now_ms=NOW_MS
    )
    assert ours["Authorization"] == theirs["Authorization"]


def test_headers_of_an_earlier_try_are_replaced() -> None:
    def signed(headers: dict[str, str]) -> dict[str, str]:
        return SIGNER.sign(
            CREDENTIALS, method="POST", host="h", path="/", query="", headers=headers, body=b"", now_ms=NOW_MS
        )

    once = signed({"Accept": "text/plain"})
    assert (
        signed({name.lower(): value for name, value in once.items() if name != "Accept"} | {"Accept": "text/plain"})
        == once
    )


def test_headers_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(ValueError, match="case"):
        SIGNER.sign(
            CREDENTIALS,
            method="POST",
            host="h",
            path="/",
            query="",
            headers={"Accept": "a", "accept": "b"},
            body=b"",
            now_ms=NOW_MS,
        )
