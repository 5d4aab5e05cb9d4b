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
    compatible = {name for name, row in BUILT_IN.items() if row.wire == "openai"}
    # Mistral has a wire of its own; Azure is OpenAI.
    assert RULES.keys() == compatible - {"openai", "azure", "mistral"}


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
    assert (status, "stream_options" in text) == (422, True)
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


async def test_azure_takes_its_key_in_a_header_of_its_own(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "azure"))[0] == 401
    request = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}
    async with http.post("/azure/v1/chat/completions", json=request, headers={"api-key": "k"}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("vendor", "field"),
    [("deepseek", "reasoning_content"), ("openrouter", "reasoning"), ("openai", None), ("arcee", None)],
)
async def test_what_the_model_thought_is_shown_where_the_vendor_shows_it(
    http: aiohttp.ClientSession, vendor: str, field: str | None
) -> None:
    wanted = {"reasoning_effort": "high"}
    _, text = await ask(http, vendor, **wanted)
    answer = json.loads(text)
    message, usage = answer["choices"][0]["message"], answer["usage"]
    thought = "Thinking about: one two"
    assert {name: message[name] for name in ("reasoning_content", "reasoning") if name in message} == (
        {field: thought} if field else {}
    )
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 4
    assert usage["completion_tokens"] == 4 + 2
    _, text = await ask(http, vendor, stream=True, **wanted)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(text)]
    assert "".join(delta.get(field, "") for delta in deltas if field) == (thought if field else "")
    assert "".join(delta.get("content", "") for delta in deltas) == "one two"
    for name in ("reasoning_content", "reasoning"):
        history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", name: "c"}]
        status, text = await ask(http, vendor, messages=[*history, {"role": "user", "content": "d"}])
        assert status == (200 if name == field else 400), text


async def test_only_openrouter_takes_cache_marks(http: aiohttp.ClientSession) -> None:
    marked = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}]
    assert (await ask(http, "openrouter", messages=marked))[0] == 200
    status, text = await ask(http, "together", messages=marked)
    assert (status, json.loads(text)["error"]["param"]) == (400, "messages[0].content[0].cache_control")


async def test_what_an_answer_holds(http: aiohttp.ClientSession) -> None:
    async def said(model: str = "echo", **fields: Any) -> tuple[str | None, dict[str, Any]]:
        _, text = await ask(http, "openai", model, **fields)
        choice = json.loads(text)["choices"][0]
        return choice["message"]["content"], choice

    image = {"type": "image_url", "image_url": {"url": "https://files.example/1.png"}}
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "hi"}, image, image, file]}]
    assert (await said(messages=seen))[0] == "saw 2 images and 1 document: hi"
    words, choice = await said(stop=[" two"])
    assert (words, choice["finish_reason"]) == ("one", "stop")
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "array"}}}
    closed = {**schema, "required": ["a"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": closed}}
    words, _ = await said(response_format=wanted)
    assert json.loads(words or "") == {"a": ["one two"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}}
    assert (await ask(http, "openai", response_format=wanted))[0] == 400
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    _, choice = await said(tools=tools, tool_choice="required")
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["a"]
    _, choice = await said("tool:calls=2", tools=tools)
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["a", "b"]
    _, choice = await said("tool:calls=2", tools=tools, parallel_tool_calls=False)
    assert len(choice["message"]["tool_calls"]) == 1


async def test_every_tool_call_has_to_be_answered(http: aiohttp.ClientSession) -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ("x", "y")]
    history: list[dict[str, Any]] = [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": calls}]
    answers = [{"role": "tool", "tool_call_id": name, "content": f"r{name}"} for name in ("x", "y")]
    status, text = await ask(http, "openai", messages=[*history, answers[0]])
    assert (status, json.loads(text)["error"]["param"]) == (400, "messages[3].role")
    _, text = await ask(http, "openai", messages=[*history, *answers])
    assert json.loads(text)["choices"][0]["message"]["content"] == 'The tools answered: "rx", "ry"'
