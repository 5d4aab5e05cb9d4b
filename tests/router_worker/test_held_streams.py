"""A format that holds back what is generated (Gemini has no pieces of a tool call) must not look like silence."""

import asyncio
import json
from typing import Any

from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.ways import SURFACES
from schemas.failures import Failure
from tests.fakes.vendors import raw_vendor
from tests.router_worker.vendor_line import HEAD, Line, caller

PIECES = 8
PAUSE_S = 0.1
FIRST_BYTE_S = 0.4
"""Longer than a pause between two pieces, shorter than all of them."""


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    said = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


async def test_a_long_tool_call_is_no_vendor_that_does_not_answer() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        function = {"name": "f", "arguments": '{"a":"'}
        writer.write(chunk({"tool_calls": [{"index": 0, "id": "i", "function": function}]}))
        for _number in range(PIECES):
            await asyncio.sleep(PAUSE_S)  # the vendor's pace
            writer.write(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]}))
            await writer.drain()
        writer.write(chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]}))
        writer.write(chunk({}, "tool_calls") + b"data: [DONE]\n\n")
        await writer.drain()

    body = json.dumps({"contents": [{"parts": [{"text": "a"}]}]}).encode()
    reading = SURFACES["gemini.generate"].read(body, streaming=True)
    assert not isinstance(reading, Failure)
    call = VendorCall(
        body=body, canonical=reading.canonical(), model_id="m", vendor_model="v", streaming=True, api_key="k"
    )
    line = Line()
    async with raw_vendor(answer) as vendor, caller(first_byte_timeout_s=FIRST_BYTE_S) as made:
        way = vendor.ways["gemini.generate"].vendor
        request = way.build_request(call)
        assert isinstance(request, VendorRequest)
        result = await made.call(way, vendor.base_url + request.url_path, call, request, line.stream, lambda _: HEAD)
    assert result.failure is None
    assert b'"args":{"a":"' + b"x" * PIECES + b'"}' in line.data()
