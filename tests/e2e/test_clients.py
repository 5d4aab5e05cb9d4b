"""Clients that go away, and clients that read slowly."""

import asyncio
import time

import aiohttp
import pytest

from tests.e2e.stack import HELLO, Stack, ask, eventually

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("model", ["e2e-paced", "e2e-slow-start"])
async def test_a_client_that_disconnects_ends_the_vendor_call(stack: Stack, model: str) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    body = {"model": model, "messages": HELLO, "stream": True}
    seen = {call["call"] for call in stack.ledger()}
    session = aiohttp.ClientSession()
    asking = asyncio.get_running_loop().create_task(
        session.post(f"{stack.api_url}/v1/chat/completions", headers=headers, json=body)
    )

    def in_progress() -> dict[str, object] | None:
        calls = [call for call in stack.ledger() if call["call"] not in seen and call["outcome"] == "in_progress"]
        return calls[0] if calls else None

    call = await asyncio.to_thread(eventually, "the vendor is called", in_progress)
    # Given a call that is under way, when the client hangs up,
    hung_up_at = time.time()
    asking.cancel()
    if asking.done() and not asking.cancelled():
        (await asking).close()
    await session.close()
    # then the vendor sees its caller hang up within a second.
    ended = await asyncio.to_thread(
        eventually,
        "the vendor call is closed",
        lambda: next((c for c in stack.ledger() if c["call"] == call["call"] and c["outcome"] == "hung_up"), None),
    )
    assert ended["ended_at"] - hung_up_at < 1.0
    request_id = str(call["request_id_header"]).split(".")[0]
    (row,) = stack.billed(request_id, 1)
    assert row["outcome"] == "cancelled"
    assert stack.requests(request_id)[0]["status"] == 499


async def test_a_slow_client_slows_nobody_else(stack: Stack) -> None:
    async def slow_client() -> None:
        """Reads at 1 KB/s, from a socket that holds little."""
        reader, writer = await asyncio.open_connection(*stack.api_url.removeprefix("http://").split(":"), limit=1024)
        payload = b'{"model":"e2e-huge","stream":true,"messages":[{"role":"user","content":"x"}]}'
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + stack.api_key.encode()
            + b"\r\nContent-Length: "
            + str(len(payload)).encode()
            + b"\r\n\r\n"
            + payload
        )
        try:
            while await reader.read(256):  # noqa: ASYNC110 - slowness is what this client is for
                await asyncio.sleep(0.25)
        finally:
            writer.close()

    def memory_mib(service: str) -> float:
        kib = 0
        for pid in stack.pids(service):
            with open(f"/proc/{pid}/status") as status:
                kib += int(next(line for line in status if line.startswith("VmRSS")).split()[1])
        return kib / 1024

    async def others() -> list[float]:
        """200 streams of 20 chunks 20 ms apart; each one's seconds."""

        async def one() -> float:
            started = time.monotonic()
            answer = await ask(stack, "e2e-brisk", streaming=True)
            assert answer.text.rstrip().endswith("data: [DONE]")
            return time.monotonic() - started

        return sorted(await asyncio.gather(*(one() for _ in range(200))))

    alone = await others()
    before = memory_mib("router_worker")
    slow = [asyncio.get_running_loop().create_task(slow_client()) for _ in range(4)]
    await asyncio.to_thread(
        eventually,
        "the slow streams run",
        lambda: len([c for c in stack.ledger() if c["model"].startswith("huge")]) >= 4,
    )
    together = await others()
    grown = memory_mib("router_worker") - before
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    print(f"\n200 streams, median: alone {alone[100]:.2f} s, beside slow clients {together[100]:.2f} s")
    print(f"memory of a worker: +{grown:.1f} MiB")
    # 4 slow streams of 4 MiB: without the window they would be in the workers' memory whole. The bound is on memory,
    # not on time; that the others finish at all, all 200, is what a blocked channel would prevent.
    assert grown < 12
