"""A vendor that has refused by its status has refused, whatever becomes of the body that explains it."""

import asyncio

import pytest

from schemas.failures import FailureKind
from tests.fakes.vendors import raw_vendor
from tests.router_worker.vendor_line import Line, call

STALLS = b"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("breaks_off", [True, False])
async def test_an_error_whose_body_never_ends_is_a_refusal_and_not_billed(
    breaks_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router_worker.vendor_caller.END_TIMEOUT_S", 0.1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STALLS)
        await writer.drain()
        if not breaks_off:
            await reader.read()  # until the caller hangs up

    async with raw_vendor(answer) as vendor:
        result = await call(vendor, Line())
    assert result.failure is not None
    assert (result.failure.kind, result.status, result.began) == (FailureKind.VENDOR_ERROR, 500, False)
