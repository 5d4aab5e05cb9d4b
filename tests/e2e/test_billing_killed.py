"""kill -9 of the billing consumer, twenty times during 20,000 requests: the account stays exact (G3)."""

import asyncio
import random
from pathlib import Path

import pytest

from bench.load import run as run_load
from tests.e2e.stack import Stack, eventually

pytestmark = pytest.mark.e2e

REQUESTS = 20_000
KILLS = 20


async def test_the_account_is_exact(stack_dir: Path) -> None:
    stack = Stack(stack_dir, ["--no-restart"], {"TOLLHOUSE_KAFKA_SESSION_TIMEOUT_S": "2"})
    await asyncio.to_thread(stack.up)
    try:
        await kill_and_compare(stack)
    finally:
        await asyncio.to_thread(stack.down)


async def kill_and_compare(stack: Stack) -> None:
    load = asyncio.get_running_loop().create_task(
        run_load(
            stack.api_url,
            "/v1/chat/completions",
            stack.api_key,
            "e2e-echo",
            clients=4,
            requests=REQUESTS,
            stream=False,
        )
    )
    generator = random.Random(20_261_122)
    for _ in range(KILLS):
        pid = await asyncio.to_thread(stack.kill, "billing_consumer")

        def restarted(dead: int = pid) -> bool:
            stack.restart_dead()  # again and again, because the keeper must have seen the death first
            return stack.pids("billing_consumer") not in ([], [dead])

        await asyncio.to_thread(eventually, "the billing consumer is started again", restarted)
        # Sometimes while it starts, sometimes in the middle of its batches.
        await asyncio.sleep(generator.uniform(0.2, 3.0))
    result = await load
    assert result["failures"] == 0

    expected = await asyncio.to_thread(stack.ledger_total)
    assert expected[0] == REQUESTS
    totals = await asyncio.to_thread(stack.settled_totals, expected)
    print(f"\n{KILLS} kills; ledger: {expected[0]} calls, {expected[1]} USD; ClickHouse: {totals}")
    assert totals == dict.fromkeys(totals, expected)
    finals = stack.query("SELECT count() AS n, uniqExact(attempt_id) AS ids FROM attempts_final")[0]
    assert finals == {"n": str(REQUESTS), "ids": str(REQUESTS)}
    requests = stack.query("SELECT count() AS n FROM requests_final")[0]
    assert requests == {"n": str(REQUESTS)}
