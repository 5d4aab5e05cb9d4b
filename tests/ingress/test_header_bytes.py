"""Bytes that are no text, in headers and paths: aiohttp hands them on as half pairs, which cannot be written again."""

import asyncio
import json
from typing import Any

import pytest
from yarl import URL

from tests.ingress.http_stack import CHAT, SECRET, Stack, chat, ingress_stack

NO_TEXT = b"caf\xe9"


async def sent(stack: Stack, start: bytes, header: bytes, body: dict[str, Any]) -> tuple[int, str]:
    """Status and message of the answer. By hand, because aiohttp's client sends no such bytes."""
    url = URL(stack.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    payload = json.dumps(body).encode()
    lines = (
        start + b" HTTP/1.1",
        b"Host: h",
        b"Connection: close",
        b"Authorization: Bearer " + SECRET.encode(),
        header,
    )
    head = b"\r\n".join((*lines, b"Content-Length: %d" % len(payload)))
    writer.write(head + b"\r\n\r\n" + payload)
    async with asyncio.timeout(3):
        answer = await reader.read()
    writer.close()
    status = int(answer.split(b" ", 2)[1])
    return status, json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


@pytest.mark.parametrize("name", ["Customer", "Models", "Tags", "Project-Id", "Vendor", "Vendors", "Routing-Policy"])
async def test_a_header_that_is_no_text_is_refused_by_name(name: str) -> None:
    header = b"X-Tollhouse-" + name.encode()
    async with ingress_stack() as stack:
        line = header + b": " + (b"a=" if name == "Tags" else b"") + NO_TEXT
        status, message = await sent(stack, b"POST " + CHAT.encode(), line, chat())
        assert (status, header.decode() in message) == (400, True), message
        assert stack.kafka.records == []


@pytest.mark.parametrize(
    "path",
    [
        b"POST /v1/%FF",
        b"GET /v1/models/%FF",
        b"POST /v1beta/models/%FF:generateContent",
    ],
)
async def test_a_path_that_is_no_text_is_not_found(path: bytes) -> None:
    async with ingress_stack() as stack:
        status, message = await sent(stack, path, b"X-Any: a", {"contents": [{"parts": [{"text": "hello"}]}]})
        assert status == 404, message
        assert message


@pytest.mark.parametrize(
    "rest",
    [
        b'{"messages": "my secret prompt"}',
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: my secret key\x00\r\n\r\n",
        b"GET /my secret path\xff HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_not_written_to_the_log(rest: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The first is the end of a body that is longer than its header says."""
    async with ingress_stack() as stack:
        url = URL(stack.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(rest)
        async with asyncio.timeout(3):
            assert b" 400 " in await reader.read()
        writer.close()
    assert "secret" not in caplog.text
