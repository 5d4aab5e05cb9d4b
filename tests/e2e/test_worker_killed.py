"""kill -9 of a router worker in the middle of a request (G1, G2, G3)."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from tests.e2e.stack import HELLO, Stack, ask, eventually

pytestmark = pytest.mark.e2e


def worker_at_work(stack: Stack) -> int | None:
    """The index of the one worker that serves a request now."""
    busy = [
        index
        for index in range(len(stack.pids("router_worker")))
        if stack.metric("router_worker", index, "tollhouse_worker_requests_in_flight") > 0
    ]
    return busy[0] if len(busy) == 1 else None


def all_workers_ready(stack: Stack) -> bool:
    try:
        return all(
            stack.metric("router_worker", index, "tollhouse_kafka_assigned_partitions") > 0
            for index in range(len(stack.pids("router_worker")))
        )
    except OSError:
        return False


async def kill_the_busy_worker(stack: Stack) -> None:
    # Not before the vendor has the call: a worker that dies before its claim leaves nothing to bill.
    await asyncio.to_thread(
        eventually, "a call under way", lambda: any(call["outcome"] == "in_progress" for call in stack.ledger())
    )
    index = await asyncio.to_thread(
        eventually, "one busy worker", lambda: (found,) if (found := worker_at_work(stack)) is not None else None
    )
    stack.kill("router_worker", index[0])


async def test_before_the_first_byte_another_worker_answers(stack: Stack) -> None:
    eventually("all workers ready", lambda: all_workers_ready(stack))
    # Given a request whose vendor takes a while to answer,
    question = asyncio.get_running_loop().create_task(ask(stack, "e2e-slow-start", streaming=True))
    # when its worker is killed while the vendor has not said a word,
    await kill_the_busy_worker(stack)
    # then the client sees only a delay.
    answer = await asyncio.wait_for(question, 45)
    assert answer.status == 200
    assert answer.text.rstrip().endswith("data: [DONE]")

    # And both calls are billed, once each: the lost one at its upper bound, the other exactly.
    rows = stack.billed(answer.request_id, 2)
    assert [(row["delivery"], row["origin"], row["outcome"]) for row in rows] == [
        (0, "ingress", "worker_lost"),
        (1, "worker", "completed"),
    ]
    ledger = {call["request_id_header"]: Decimal(call["cost_usd"]) for call in stack.ledger_of(answer.request_id)}
    assert {row["attempt_id"] for row in rows} == set(ledger)
    assert Decimal(rows[1]["cost_usd"]) == ledger[rows[1]["attempt_id"]]
    assert rows[0]["estimated"]
    assert Decimal(rows[0]["cost_usd"]) >= ledger[rows[0]["attempt_id"]]
    assert stack.requests(answer.request_id)[0]["status"] == 200


async def test_after_the_first_byte_the_client_gets_a_well_formed_error(stack: Stack) -> None:
    eventually("all workers ready", lambda: all_workers_ready(stack))
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    body = {"model": "e2e-paced", "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.post(f"{stack.api_url}/v1/chat/completions", headers=headers, json=body) as response,
    ):
        # Given a stream that has begun, when its worker is killed,
        text = (await response.content.readany()).decode()
        await kill_the_busy_worker(stack)
        # then the stream ends, soon, with an error event and without [DONE].
        text += (await asyncio.wait_for(response.content.read(), 10)).decode()
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-1])["error"]["code"] == "worker_lost"
    assert "[DONE]" not in text

    request_id = response.headers["X-Request-Id"]
    (row,) = stack.billed(request_id, 1)
    (call,) = stack.ledger_of(request_id)
    assert (row["attempt_id"], row["outcome"], row["estimated"]) == (call["request_id_header"], "worker_lost", True)
    assert Decimal(row["cost_usd"]) >= Decimal(call["cost_usd"])
    request = stack.requests(request_id)[0]
    assert (request["status"], request["failure"]) == (200, "worker_lost")
