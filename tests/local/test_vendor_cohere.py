"""The simulated Cohere: chat plain and streamed, embeddings, and what it refuses."""

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from deploy.local.vendors.cohere_wire import TEMPLATE_TOKENS
from tests.local.simulated_vendors import last_call, post, post_stream, simulated_vendors

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
UNTYPED = {"name": "get_weather", "parameters": {}}
ASKED = {"role": "user", "content": "one two three"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


async def chat(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> tuple[int, dict[str, Any]]:
    return await post(http, "/cohere/v2/chat", {"model": model, "messages": [ASKED], **fields})


async def chat_stream(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> list[dict[str, Any]]:
    body = {"model": model, "messages": [ASKED], "stream": True, **fields}
    return await post_stream(http, "/cohere/v2/chat", body)


async def embed(http: aiohttp.ClientSession, **fields: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": "embed-v4.0", "input_type": "search_query", **fields}
    return await post(http, "/cohere/v2/embed", body)


def call(call_id: str, arguments: str = '{"city":"x"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


def result(call_id: str, content: Any = "sunny") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


async def test_plain_answer_and_what_is_billed(http: aiohttp.ClientSession) -> None:
    status, answer = await chat(http, "command-a-03-2025:cached_tokens=2")
    assert status == 200
    assert answer["message"] == {"role": "assistant", "content": [{"type": "text", "text": "one two three"}]}
    assert answer["finish_reason"] == "COMPLETE"
    assert answer["usage"] == {
        "billed_units": {"input_tokens": 3, "output_tokens": 3},
        "tokens": {"input_tokens": 3 + TEMPLATE_TOKENS, "output_tokens": 3 + TEMPLATE_TOKENS},
        "cached_tokens": 2,
    }
    entry = await last_call(http)
    assert (entry["vendor"], entry["prompt_tokens"], entry["cached_tokens"], entry["completion_tokens"]) == (
        "cohere",
        3,
        2,
        3,
    )
    assert "usage" not in (await chat(http, "echo:no_usage"))[1]


async def test_stream_of_text(http: aiohttp.ClientSession) -> None:
    start, *content, end = await chat_stream(http, max_tokens=2)
    assert (start["type"], start["delta"]["message"]["role"]) == ("message-start", "assistant")
    assert [event["type"] for event in content] == ["content-start", "content-delta", "content-delta", "content-end"]
    assert [event["delta"]["message"]["content"]["text"] for event in content[1:3]] == ["one", " two"]
    assert {event["index"] for event in content} == {0}
    assert (end["id"], end["delta"]["finish_reason"]) == (start["id"], "MAX_TOKENS")
    assert end["delta"]["usage"]["billed_units"] == {"input_tokens": 3, "output_tokens": 2}


async def test_stop_sequence(http: aiohttp.ClientSession) -> None:
    _, answer = await chat(http, stop_sequences=["two"])
    assert (answer["message"]["content"][0]["text"], answer["finish_reason"]) == ("one ", "STOP_SEQUENCE")


@pytest.mark.parametrize("model", ["command-a-reasoning-08-2025", "echo"])
async def test_thinking_comes_before_the_text(http: aiohttp.ClientSession, model: str) -> None:
    thinking = {"type": "enabled", "token_budget": 2} if model == "echo" else None
    _, answer = await chat(http, model, thinking=thinking)
    assert [block["type"] for block in answer["message"]["content"]] == ["thinking", "text"]
    events = await chat_stream(http, model, thinking=thinking)
    starts = [event for event in events if event["type"] == "content-start"]
    assert [(event["index"], event["delta"]["message"]["content"]["type"]) for event in starts] == [
        (0, "thinking"),
        (1, "text"),
    ]
    deltas = [event["delta"]["message"]["content"] for event in events if event["type"] == "content-delta"]
    assert "".join(delta.get("thinking", "") for delta in deltas) == answer["message"]["content"][0]["thinking"]
    _, silent = await chat(http, model, thinking={"type": "disabled"})
    assert [block["type"] for block in silent["message"]["content"]] == ["text"]


async def test_tool_round_trip_with_parallel_calls(http: aiohttp.ClientSession) -> None:
    _, answer = await chat(http, "tool:calls=2", tools=TOOLS, tool_choice="REQUIRED")
    message = answer["message"]
    assert answer["finish_reason"] == "TOOL_CALL"
    assert [json.loads(made["function"]["arguments"]) for made in message["tool_calls"]] == [
        {"city": "one two three"}
    ] * 2
    document = [{"type": "document", "document": {"id": "1", "data": {"sky": "clear"}}}]
    history = [ASKED, message]
    history += [result(message["tool_calls"][0]["id"]), result(message["tool_calls"][1]["id"], document)]
    _, second = await chat(http, "tool", messages=history, tools=TOOLS)
    assert second["message"]["content"][0]["text"] == 'The tools answered: "sunny", "{"sky":"clear"}"'

    events = await chat_stream(http, "tool:calls=2", tools=TOOLS)
    assert [event["type"] for event in events if "delta" not in event["type"]] == [
        "message-start",
        "tool-call-start",
        "tool-call-end",
        "tool-call-start",
        "tool-call-end",
        "message-end",
    ]
    assert events[1]["type"] == "tool-plan-delta"
    assert events[1]["delta"]["message"]["tool_plan"] == message["tool_plan"]
    for index in (0, 1):
        deltas = [event for event in events if event["type"] == "tool-call-delta" and event["index"] == index]
        pieces = [event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in deltas]
        assert json.loads("".join(pieces)) == {"city": "one two three"}
    assert events[-1]["delta"]["finish_reason"] == "TOOL_CALL"


async def test_no_tool_is_called_where_none_may_be(http: aiohttp.ClientSession) -> None:
    _, answer = await chat(http, "tool", tools=TOOLS, tool_choice="NONE")
    assert answer["message"]["content"][0]["text"] == "one two three"


async def test_images_and_structured_output(http: aiohttp.ClientSession) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "look"}, image]
    _, answer = await chat(http, messages=[{"role": "user", "content": content}])
    assert answer["message"]["content"][0]["text"] == "saw 1 image: look"
    _, answer = await chat(http, response_format={"type": "json_object", "json_schema": SCHEMA})
    assert json.loads(answer["message"]["content"][0]["text"]) == {"city": "one two three"}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("top_p", {"top_p": 0.5}),
    ("stop", {"stop": ["x"]}),
    ("p", {"p": 1.0}),
    ("temperature", {"temperature": 1.5}),
    ("stop_sequences", {"stop_sequences": ["x"] * 6}),
    ("tool_choice", {"tools": TOOLS, "tool_choice": "required"}),
    ("tool_choice", {"tool_choice": "REQUIRED"}),
    ("strict_tools", {"strict_tools": True}),
    ("safety_mode", {"tools": TOOLS, "safety_mode": "STRICT"}),
    ("safety_mode", {"safety_mode": "NONE"}),
    ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}),
    ("response_format", {"response_format": {"type": "json_object"}, "tools": TOOLS}),
    ("response_format.json_schema", {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": 5}}),
    ("thinking.token_budget", {"thinking": {"type": "disabled", "token_budget": 5}}),
    ("frequency_penalty", {"frequency_penalty": 0.5, "presence_penalty": 0.5}),
    ("messages[0].name", {"messages": [{**ASKED, "name": "x"}]}),
    ("messages[0].role", {"messages": [{"role": "developer", "content": "x"}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": ""}]}),
    ("messages[0].content[0]", {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}),
    ("image_url", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:x"}]}]}),
    ("messages[1].content", {"messages": [ASKED, {"role": "assistant"}, ASKED]}),
    ("tools[0].function.strict", {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]}),
    ("tools[0].name", {"tools": [{"type": "function", "name": "w", "parameters": SCHEMA}]}),
    (
        "tools[0].function.parameters.required",
        {"tools": [{"type": "function", "function": UNTYPED}], "strict_tools": True},
    ),
]


@pytest.mark.parametrize(("place", "fields"), REFUSED)
async def test_wrong_requests_are_refused_by_name(
    http: aiohttp.ClientSession, place: str, fields: dict[str, Any]
) -> None:
    status, refused = await chat(http, **fields)
    assert (status, set(refused)) == (400, {"id", "message"})
    assert place in refused["message"]
    assert (await last_call(http))["outcome"] == "error"


@pytest.mark.parametrize(
    ("calls", "after", "place"),
    [
        (["a", "b"], [result("a")], "messages[3]"),
        (["a"], [result("b")], "messages[2].tool_call_id"),
        (["a"], [result("a"), result("a")], "messages[3].tool_call_id"),
        (["a"], [ASKED], "messages[2]"),
        (["a", "a"], [result("a")], "messages[1].tool_calls"),
    ],
)
async def test_tool_results_must_pair_with_calls(
    http: aiohttp.ClientSession, calls: list[str], after: list[dict[str, Any]], place: str
) -> None:
    said = {"role": "assistant", "tool_calls": [call(call_id) for call_id in calls]}
    status, refused = await chat(http, messages=[ASKED, said, *after], tools=TOOLS)
    assert (status, place in refused["message"]) == (400, True)


@pytest.mark.parametrize("arguments", ["", "[]", '{"city'])
async def test_arguments_are_an_object_written_out(http: aiohttp.ClientSession, arguments: str) -> None:
    said = {"role": "assistant", "tool_calls": [call("a", arguments)]}
    status, refused = await chat(http, messages=[ASKED, said, result("a")], tools=TOOLS)
    assert (status, "messages[1].tool_calls[0].function.arguments" in refused["message"]) == (400, True)


@pytest.mark.parametrize("model", ["status:code=429:retry_after_s=3", "status:code=503", "error-in-stream"])
async def test_errors(http: aiohttp.ClientSession, model: str) -> None:
    async with http.post("/cohere/v2/chat", json={"model": model, "messages": [ASKED]}) as response:
        assert response.status in (429, 503, 500)
        assert response.headers.get("Retry-After") == ("3" if response.status == 429 else None)
        assert set(await response.json()) == {"id", "message"}


async def test_error_in_the_stream_ends_the_message(http: aiohttp.ClientSession) -> None:
    events = await chat_stream(http, "error-in-stream")
    assert events[-1]["type"] == "message-end"
    assert events[-1]["delta"]["finish_reason"] == "ERROR"
    assert "usage" not in events[-1]["delta"]
    assert (await last_call(http))["outcome"] == "error"


@pytest.mark.parametrize("authorization", ["", "Bearer bad", "Basic k"])
async def test_without_a_good_key_there_is_401(http: aiohttp.ClientSession, authorization: str) -> None:
    for path in ("/cohere/v2/chat", "/cohere/v2/embed"):
        async with http.post(path, json={}, headers={"Authorization": authorization}) as response:
            assert (response.status, "message" in await response.json()) == (401, True)


async def test_a_context_that_is_too_long_says_too_many_tokens(http: aiohttp.ClientSession) -> None:
    status, refused = await chat(http, "context-length")
    assert (status, refused["message"].startswith("too many tokens: ")) == (400, True)


async def test_embeddings_in_every_encoding(http: aiohttp.ClientSession) -> None:
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    status, answer = await embed(http, texts=["a b", "c"], embedding_types=kinds, output_dimension=256)
    assert (status, answer["response_type"], answer["texts"]) == (200, "embeddings_by_type", ["a b", "c"])
    assert answer["meta"]["billed_units"] == {"input_tokens": 3}
    vectors = answer["embeddings"]
    assert set(vectors) == set(kinds)
    for index in (0, 1):
        exact = vectors["float"][index]
        assert len(exact) == 256
        assert sum(number * number for number in exact) == pytest.approx(1)
        packed = base64.b64decode(vectors["base64"][index])
        assert struct.unpack("<256f", packed) == pytest.approx(exact, abs=1e-6)
        assert [small / 127 for small in vectors["int8"][index]] == pytest.approx(exact, abs=0.005)
        assert [small - 128 for small in vectors["uint8"][index]] == vectors["int8"][index]
        bits = "".join(f"{byte:08b}" for byte in vectors["ubinary"][index])
        assert bits == "".join("1" if number > 0 else "0" for number in exact)
        assert [byte + 128 for byte in vectors["binary"][index]] == vectors["ubinary"][index]
    assert vectors["float"][0] != vectors["float"][1]
    _, again = await embed(http, inputs=[{"content": [{"type": "text", "text": "a b"}]}], output_dimension=256)
    assert again["embeddings"]["float"][0] == vectors["float"][0]
    entry = await last_call(http)
    assert (entry["prompt_tokens"], entry["completion_tokens"], entry["outcome"]) == (2, 0, "completed")


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("input_type", {"texts": ["a"], "input_type": None}),
        ("input_type", {"texts": ["a"], "input_type": "query"}),
        ("input_type", {"texts": ["a"], "input_type": "image"}),
        ("texts", {}),
        ("texts", {"texts": []}),
        ("texts", {"texts": ["a"] * 97}),
        ("texts", {"texts": ["a"], "inputs": [{"content": [{"type": "text", "text": "a"}]}]}),
        ("input", {"input": ["a"]}),
        ("dimensions", {"texts": ["a"], "dimensions": 256}),
        ("output_dimension", {"texts": ["a"], "output_dimension": 300}),
        ("embedding_types[0]", {"texts": ["a"], "embedding_types": ["double"]}),
    ],
)
async def test_wrong_embed_requests_are_refused_by_name(
    http: aiohttp.ClientSession, place: str, fields: dict[str, Any]
) -> None:
    status, refused = await embed(http, **fields)
    assert (status, place in refused["message"]) == (400, True)
