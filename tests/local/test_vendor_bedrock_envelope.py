"""The simulated Bedrock's event stream and signatures: the envelope around what is said."""

import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.vendors.bedrock_events import exception, message
from deploy.local.vendors.bedrock_signature import (
    ACCESS_KEY_ID,
    MAX_CLOCK_SKEW_S,
    SECRET_ACCESS_KEY,
    BadSignatureError,
    verify,
)
from deploy.local.vendors.wire import Incoming
from tests.local.simulated_vendors import post, simulated_vendors
from tests.local.test_vendor_bedrock import headers_of

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "one two three"}]}]}
SIGNED_BODY = b'{"messages":[{"role":"user","content":[{"text":"one two"}]}]}'
SIGNED_AT_S = 1795348800
SIGNED = {
    ("/bedrock/model/us.amazon.nova-2-lite-v1%3A0/converse", ""): (
        "3d5b1b3ab0e7159ff8649b87fcfdbf0df509cc42c9cb84f6666d1a69363700be"
    ),
    ("/bedrock/model/echo%3Achunks%3D3/converse-stream", "b=2%201&a=x"): (
        "8700f2544ef19c0539155eae24b66bdcd0ed5fbf7e92685f2e2b7c9735806ffa"
    ),
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


async def converse(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> tuple[int, dict[str, Any]]:
    return await post(http, f"/bedrock/model/{model}/converse", {**HELLO, **fields})


@given(st.dictionaries(st.text("abc:-", min_size=1), st.text(max_size=20)), st.binary(max_size=200))
def test_messages_carry_headers_and_payload(headers: dict[str, str], payload: bytes) -> None:
    frame = message(headers, payload)
    total, headers_length = struct.unpack("!II", frame[:8])
    assert total == len(frame)
    assert headers_of(frame[12 : 12 + headers_length]) == headers
    assert frame[12 + headers_length : -4] == payload


def test_an_exception_message_byte_by_byte() -> None:
    # As botocore 1.44 reads it: a throttlingException of the payload {}.
    assert exception("throttlingException", b"{}").hex() == (
        "0000007300000061e1e514b8"
        "0f3a657863657074696f6e2d74797065070013" + b"throttlingException".hex() + "0d3a636f6e74656e742d74797065070010"
        "6170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e"
        "7b7dc7445f12"
    )


def signed_request(path: str, query: str, signature: str) -> Incoming:
    scope = f"{ACCESS_KEY_ID}/20261122/us-east-1/bedrock/aws4_request"
    headers = {
        "Host": "127.0.0.1:9",
        "Content-Type": "application/json",
        "X-Amz-Date": "20261122T120000Z",
        "Authorization": (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        ),
    }
    return Incoming("POST", path, query, {}, {}, headers, SIGNED_BODY)


def changed(incoming: Incoming, **fields: Any) -> Incoming:
    return Incoming(
        **{name: fields.get(name, getattr(incoming, name)) for name in Incoming.__struct_fields__},
    )


@pytest.mark.parametrize(("target", "signature"), SIGNED.items())
def test_signatures_of_botocore_are_taken(target: tuple[str, str], signature: str) -> None:
    incoming = signed_request(*target, signature)
    verify(incoming, SIGNED_AT_S)
    verify(incoming, SIGNED_AT_S + MAX_CLOCK_SKEW_S)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: changed(request, body=request.body + b" "),
        lambda request: changed(request, method="PUT"),
        lambda request: changed(request, raw_path=request.raw_path.replace("%3A", ":")),
        lambda request: changed(request, raw_query="a=b"),
        lambda request: changed(request, headers={**request.headers, "Host": "127.0.0.1:8"}),
        lambda request: changed(request, headers={**request.headers, "X-Amz-Security-Token": "t"}),
        lambda request: changed(request, headers={**request.headers, "x-amz-content-sha256": "0" * 64}),
        lambda request: changed(request, headers={**request.headers, "X-Amz-Date": "20261122T120001Z"}),
    ],
)
def test_a_signature_covers_the_request(spoil: Callable[[Incoming], Incoming]) -> None:
    [(target, signature), *_] = SIGNED.items()
    with pytest.raises(BadSignatureError) as refused:
        verify(spoil(signed_request(*target, signature)), SIGNED_AT_S)
    assert refused.value.code == "InvalidSignatureException"


def test_a_signature_expires_and_needs_the_right_key() -> None:
    [(target, signature), *_] = SIGNED.items()
    incoming = signed_request(*target, signature)
    with pytest.raises(BadSignatureError, match="expired"):
        verify(incoming, SIGNED_AT_S + MAX_CLOCK_SKEW_S + 1)
    for old, new, code in [
        (ACCESS_KEY_ID, "OTHER", "UnrecognizedClientException"),
        ("/bedrock/aws4", "/bedrock-runtime/aws4", "InvalidSignatureException"),
        ("content-type;host;x-amz-date", "content-type;x-amz-date", "InvalidSignatureException"),
        ("AWS4-HMAC-SHA256", "AWS4", "IncompleteSignatureException"),
    ]:
        headers = {**incoming.headers, "Authorization": incoming.headers["Authorization"].replace(old, new)}
        with pytest.raises(BadSignatureError) as refused:
            verify(changed(incoming, headers=headers), SIGNED_AT_S)
        assert refused.value.code == code
    assert "fake" in SECRET_ACCESS_KEY


@pytest.mark.parametrize("authorization", ["", "Bearer bad", "Bearer ", "AWS4-HMAC-SHA256 Credential=x", "Basic x"])
async def test_without_a_good_key_there_is_403(http: aiohttp.ClientSession, authorization: str) -> None:
    headers = {"Authorization": authorization}
    async with http.post("/bedrock/model/echo/converse", json=HELLO, headers=headers) as response:
        assert response.status == 403
        assert response.headers["x-amzn-ErrorType"].endswith("Exception")
