"""Kafka away for 30 s: refusals, not hangs; recovery by itself; no usage event lost."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from deploy.local.kafka import choose
from deploy.local.kafka.process import KafkaHandle
from tests.e2e.stack import HELLO, Stack, ask, eventually

pytestmark = pytest.mark.e2e

AWAY_S = 30.0


async def test_kafka_away(stack_dir: Path, tmp_path: Path) -> None:
    kafka = await asyncio.to_thread(choose.start, "apache", tmp_path / "kafka", print, "127.0.0.1", None)
    stack = Stack(stack_dir, ["--workers", "1", "--kafka-bootstrap", kafka.bootstrap], {})
    try:
        await asyncio.to_thread(stack.up)
        await outage(stack, kafka)
    finally:
        await asyncio.to_thread(stack.down)
        await asyncio.to_thread(kafka.stop)


async def outage(stack: Stack, kafka: KafkaHandle) -> None:
    assert (await ask(stack, "e2e-echo")).status == 200
    # Given streams that are under way when Kafka goes (their usage can only be reported afterwards),
    streams = [asyncio.get_running_loop().create_task(ask(stack, "e2e-paced", streaming=True)) for _ in range(5)]
    await asyncio.to_thread(
        eventually, "five streams", lambda: len([c for c in stack.ledger() if c["outcome"] == "in_progress"]) == 5
    )
    kafka.kill()
    gone_at = time.monotonic()

    # when clients go on asking, then each gets 503 with Retry-After, and none hangs.
    statuses: dict[int, int] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while time.monotonic() - gone_at < AWAY_S:
            async with session.post(
                f"{stack.api_url}/v1/chat/completions",
                headers={"Authorization": f"Bearer {stack.api_key}"},
                json={"model": "e2e-echo", "messages": HELLO},
            ) as response:
                statuses[response.status] = statuses.get(response.status, 0) + 1
                assert response.status == 503
                assert int(response.headers["Retry-After"]) >= 1
            await asyncio.sleep(0.2)
    print(f"\nwhile Kafka was away: {statuses}")
    # The streams do not need Kafka: their clients notice nothing.
    answers = await asyncio.gather(*streams)
    assert all(answer.text.rstrip().endswith("data: [DONE]") for answer in answers)

    # And when Kafka is back, the ring runs again by itself,
    await asyncio.to_thread(kafka.restart)

    async def answered() -> bool:
        return (await ask(stack, "e2e-echo")).status == 200

    deadline = time.monotonic() + 60
    while not await answered():
        assert time.monotonic() < deadline, "the ring does not recover"
    # and every call that reached a vendor is billed, exactly.
    expected = await asyncio.to_thread(stack.ledger_total)
    totals = await asyncio.to_thread(stack.settled_totals, expected)
    assert totals == dict.fromkeys(totals, expected)
