"""Vendors that the simulator plays otherwise than OpenAI documents; and that it is strict everywhere else."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import Ledger
from deploy.local.vendors.prices import load_prices
from deploy.local.vendors.server import start_server
from deploy.local.vendors.vendor_rules import RULES
from router_worker.vendors.table import BUILT_IN

OWN_FIELDS: dict[str, Any] = {"thinking": {"type": "disabled"}, "top_k": 5, "random_seed": 7}
WITH_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    server = await start_server(Vendors(Ledger(time.time), load_prices(), "t"))
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(server.url, headers=headers, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session
    await server.close()


async def ask(http: aiohttp.ClientSession, vendor: str, model: str = "echo", **fields: Any) -> tuple[int, str]:
    body = {"model": model, "messages": [{"role": "user", "content": "one two"}], **fields}
    async with http.post(f"/{vendor}/v1/chat/completions", json=body) as response:
        return response.status, await response.text()


def chunks_of(text: str) -> list[dict[str, Any]]:
    *events, done = [event.removeprefix("data: ") for event in text.strip().split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def test_every_built_in_vendor_but_openai_has_rules() -> None:
    assert RULES.keys() - {"sim-mistral"} == BUILT_IN.keys() - {"openai"}


@pytest.mark.parametrize("vendor", sorted(RULES))
async def test_real_vendors_take_fields_of_their_own(http: aiohttp.ClientSession, vendor: str) -> None:
    assert (await ask(http, vendor, **OWN_FIELDS))[0] == 200
    # What OpenAI documents is checked all the same, and so is what lies deeper.
    assert (await ask(http, vendor, temperature="hot"))[0] == 400
    assert (await ask(http, vendor, messages=[{"role": "user", "content": "x", "extra": 1}]))[0] == 400


@pytest.mark.parametrize("vendor", ["openai", "sim-a", "sim-b", "unknown"])
async def test_all_others_are_strict(http: aiohttp.ClientSession, vendor: str) -> None:
    status, text = await ask(http, vendor, top_k=5)
    assert (status, json.loads(text)["error"]["param"]) == (400, "top_k")
    status, text = await ask(http, vendor, stream=True)
    assert (status, "usage" in text) == (200, False)
    assert (await ask(http, vendor, **WITH_USAGE))[0] == 200


async def test_mistral_refuses_stream_options(http: aiohttp.ClientSession) -> None:
    status, text = await ask(http, "mistral", **WITH_USAGE)
    assert (status, json.loads(text)["error"]["param"]) == (422, "stream_options")
    assert (await ask(http, "zai", **WITH_USAGE))[0] == 200
    async with http.get("/ledger") as response:
        refused, answered = (await response.json())["calls"]
    assert (refused["outcome"], refused["status"], refused["cost_usd"]) == ("error", 422, "0")
    assert answered["outcome"] == "completed"


@pytest.mark.parametrize("model", ["echo", "echo:gap_ms=1", "echo:no_usage"])
@pytest.mark.parametrize("choices", [1, 2])
async def test_mistral_sends_usage_unasked_in_the_last_chunk(
    http: aiohttp.ClientSession, model: str, choices: int
) -> None:
    status, text = await ask(http, "mistral", model, stream=True, n=choices)
    assert status == 200
    *before, last = chunks_of(text)
    assert not [chunk for chunk in before if "usage" in chunk]
    assert last["choices"][0]["finish_reason"] == "stop"
    sent = model != "echo:no_usage"
    assert ("usage" in last) is sent
    if sent:
        assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (2, 2 * choices)
    async with http.get("/ledger") as response:
        [call] = (await response.json())["calls"]
    assert (call["outcome"], call["usage_sent"]) == ("completed", sent)
