"""The simulator as Anthropic: what it refuses, what it answers, and what that costs."""

import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.vendors.anthropic_reading import messages_ask
from deploy.local.vendors.anthropic_request import MessagesRequest
from deploy.local.vendors.anthropic_wire import AnthropicWire
from deploy.local.vendors.behaviour import parse_behaviour
from deploy.local.vendors.complaints import BodyReader
from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.ledger import Ledger
from deploy.local.vendors.prices import parse_prices
from deploy.local.vendors.server import start_server

Json = dict[str, Any]
PATH = "/sim-anthropic/v1/messages"
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01", "Content-Type": "application/json"}
PRICES = """
[default]
input = "3"
cached_input = "0.30"
cache_write = "3.75"
cache_write_1h = "6"
output = "15"
"""
WEATHER: Json = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: Json = {"name": "clock", "input_schema": {"type": "object", "properties": {"days": {"type": "integer"}}}}
THINKING: Json = {"type": "enabled", "budget_tokens": 1024}
IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PDF: Json = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "x"}}
RESULT: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    server = await start_server(Vendors(Ledger(time.time), parse_prices(PRICES), "t"))
    async with aiohttp.ClientSession(server.url, headers=HEADERS, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session
    await server.close()


def user(*content: Any) -> Json:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> Json:
    return {"role": "assistant", "content": list(content)}


def text(words: str, **fields: Any) -> Json:
    return {"type": "text", "text": words, **fields}


def body(model: str = "echo", **fields: Any) -> Json:
    return {"model": model, "max_tokens": 4000, "messages": [user("one two three")], **fields}


async def post(http: aiohttp.ClientSession, request: Json, path: str = PATH) -> tuple[int, Json]:
    async with http.post(path, json=request) as response:
        return response.status, await response.json(content_type=None)


async def stream(http: aiohttp.ClientSession, request: Json) -> list[Json]:
    async with http.post(PATH, json={**request, "stream": True}) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        return events_of(await response.read())


def events_of(sent: bytes) -> list[Json]:
    events = []
    for event in sent.decode().removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def assembled(events: list[Json]) -> Json:
    """The message that a client makes of the events."""
    message: Json = {}
    arguments = ""
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
                arguments = ""
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                if delta["type"] == "input_json_delta":
                    arguments += delta["partial_json"]
                else:
                    kind = delta["type"].removesuffix("_delta")
                    block[kind] += delta[kind]
            case "content_block_stop":
                if arguments:
                    message["content"][event["index"]]["input"] = json.loads(arguments)
            case "message_delta":
                message |= event["delta"]
                if "usage" in event:
                    message["usage"] |= event["usage"]
    return message


async def ledger_of(http: aiohttp.ClientSession) -> list[Json]:
    async with http.get("/ledger") as response:
        calls: list[Json] = (await response.json())["calls"]
        return calls


@pytest.mark.parametrize("gap", ["", ":gap_ms=1"])
async def test_event_sequence(http: aiohttp.ClientSession, gap: str) -> None:
    events = await stream(http, body(f"tool:calls=2:chunks=2{gap}", tools=[WEATHER, CLOCK], thinking=THINKING))
    block = ["content_block_start", *["content_block_delta"] * 2, "content_block_stop"]
    thinking = ["content_block_start", *["content_block_delta"] * 6, "content_block_stop"]
    expected = ["message_start", "ping", *thinking, *block, *block, "message_delta", "message_stop"]
    assert [event["type"] for event in events] == expected
    assert events[2]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert events[8]["delta"]["type"] == "signature_delta"
    message = assembled(events)
    thought, first, second = message["content"]
    assert thought["thinking"] == "Thinking about: one two three"
    assert (first["name"], first["input"]) == ("get_weather", {"city": "one two three"})
    assert (second["name"], second["input"]) == ("clock", {"days": 1})
    assert first["id"] != second["id"]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["output_tokens"] == 5 + 4
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 5}

    results = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": f"r{n}"} for n, call in enumerate([first, second])
    ]
    history = [user("one two three"), assistant(*message["content"]), user(*results)]
    status, answer = await post(http, body("tool", messages=history, tools=[WEATHER, CLOCK], thinking=THINKING))
    assert (status, answer["stop_reason"]) == (200, "end_turn")
    assert answer["content"][1]["text"] == 'The tools answered: "r0", "r1"'


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
REQUESTS = st.fixed_dictionaries(
    {"max_tokens": st.integers(1025, 1040)},
    optional={
        "tools": st.just([WEATHER, CLOCK]),
        "thinking": st.sampled_from([THINKING, {"type": "adaptive", "display": "omitted"}]),
        "output_config": st.just({"format": {"type": "json_schema", "schema": SCHEMA}}),
        "stop_sequences": st.just(["two"]),
        "system": st.just([text("a b", cache_control={"type": "ephemeral", "ttl": "1h"})]),
    },
)
MODELS = ["echo", "echo:chunks=0", "tool:calls=3", "tool:chunks=1200", "huge:kb=2", "echo:cached_tokens=1:chunks=1100"]


@given(REQUESTS, st.sampled_from(MODELS))
def test_a_stream_makes_the_message_that_is_sent_as_a_whole(fields: Json, model: str) -> None:
    request = {"model": model, "messages": [user("one two three")], **fields}
    ask = messages_ask(BodyReader(MessagesRequest).read(json.dumps(request).encode()))
    plan = Plan(parse_behaviour(model), ask)
    wire = AnthropicWire(MessagesRequest)
    frames = wire.frames("i", 1, ask, plan, True)
    sent = [frames.opening(), *map(frames.piece, range(len(plan.pieces))), frames.closing()]
    whole = json.loads(wire.reply("i", 1, ask, plan, True))
    cut = plan.finish_reason == "length" and bool(plan.all_of("tool"))
    if not cut:
        assert assembled(events_of(b"".join(sent))) == whole
    usage = whole["usage"]
    assert usage["output_tokens"] == plan.completion_tokens <= fields["max_tokens"]
    inputs = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    assert sum(usage[name] for name in inputs) == plan.prompt_tokens


async def test_cache_marks_are_written_read_and_charged(http: aiohttp.ClientSession) -> None:
    hour, minutes = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
    request = body(
        "echo:completion_tokens=7",
        tools=[{**WEATHER, "description": "tells the weather", "cache_control": hour}],
        system=[text("you are brief", cache_control=minutes)],
        messages=[user(text("a b c d e", cache_control=minutes), text("f g"))],
    )
    _, answer = await post(http, request)
    usage = answer["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]) == (2, 12, 0)
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 8, "ephemeral_1h_input_tokens": 4}
    _, answer = await post(http, {**request, "model": "echo:completion_tokens=7:cached_tokens=6"})
    assert answer["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 0}
    assert answer["usage"]["cache_read_input_tokens"] == 6
    written, read = await ledger_of(http)
    million = Decimal(1_000_000)
    dollars = 2 * Decimal(3) + 8 * Decimal("3.75") + 4 * Decimal(6) + 7 * Decimal(15)
    assert Decimal(written["cost_usd"]) == dollars / million
    dollars = 2 * Decimal(3) + 6 * Decimal("3.75") + 6 * Decimal("0.30") + 7 * Decimal(15)
    assert Decimal(read["cost_usd"]) == dollars / million
    assert (read["prompt_tokens"], read["cached_tokens"], read["cache_write_tokens"]) == (14, 6, 6)


async def test_what_an_answer_holds(http: aiohttp.ClientSession) -> None:
    async def said(model: str = "echo", **fields: Any) -> tuple[str, Json]:
        _, answer = await post(http, body(model, **fields))
        return "".join(block.get("text", "") for block in answer["content"]), answer

    assert (await said())[0] == "one two three"
    assert (await said(messages=[user(text("hi"), IMAGE, IMAGE, PDF)]))[0] == "saw 2 images and 1 document: hi"
    words, answer = await said(stop_sequences=[" three", "nowhere"])
    assert (words, answer["stop_reason"], answer["stop_sequence"]) == ("one two", "stop_sequence", " three")
    words, answer = await said(max_tokens=2)
    assert (words, answer["stop_reason"]) == ("one two", "max_tokens")
    words, _ = await said(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(words) == {"a": "one two three"}
    _, answer = await said(tools=[WEATHER, CLOCK], tool_choice={"type": "tool", "name": "clock"})
    assert [block["name"] for block in answer["content"]] == ["clock"]
    no_more = {"type": "auto", "disable_parallel_tool_use": True}
    _, answer = await said("tool:calls=3", tools=[WEATHER], tool_choice=no_more)
    assert len(answer["content"]) == 1
    _, answer = await said("tool", tools=[WEATHER], tool_choice={"type": "none"})
    assert answer["content"] == [text("one two three")]


TURNS: list[tuple[list[Json], str]] = [
    ([assistant(text("x")), user("x")], "messages.0.role"),
    ([user("x"), user("y")], "messages.1.role"),
    ([{"role": "system", "content": "x"}], "messages.0.role"),
    ([user(text(""))], "messages.0.content.0.text"),
    ([user(text("x"), {"type": "image_url", "image_url": {"url": "u"}})], "messages.0.content.1.type"),
    ([user({**IMAGE, "source": {**IMAGE["source"], "data": "!"}})], "messages.0.content.0.source.data"),
    ([user({"type": "image", "source": {"type": "url", "url": "http://x"}})], "messages.0.content.0.source.url"),
    ([user("x"), assistant(CALL), user("y")], "messages.2: tool_use ids were found"),
    ([user("x"), assistant(CALL)], "messages.1: tool_use ids were found"),
    ([user("x"), assistant(text("a")), user(RESULT)], "messages.2.content.0.tool_use_id"),
    ([user("x"), assistant(CALL), user(text("y"), RESULT)], "messages.2.content.1"),
    ([user("x"), assistant({**CALL, "input": "{}"}), user(RESULT)], "messages.1.content.0.input"),
    ([user("x"), assistant({**CALL, "id": "a:b"}), user(RESULT)], "messages.1.content.0.id"),
    ([user("x"), assistant({"type": "thinking", "thinking": "a", "signature": "b"}), user("x")], "content.0.signature"),
    ([user("x"), assistant(text("y "))], "messages"),
    ([user(CALL)], "messages.0.content.0.type"),
]
FIELDS: list[tuple[Json, str]] = [
    ({"max_completion_tokens": 3}, "max_completion_tokens: Extra inputs are not permitted"),
    ({"n": 2}, "n: Extra inputs"),
    ({"temperature": 1.5}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1024, "thinking": THINKING}, "max_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
    ({"thinking": THINKING, "temperature": 0.5}, "temperature"),
    ({"thinking": THINKING, "tools": [WEATHER], "tool_choice": {"type": "any"}}, "tool_choice"),
    ({"stop_sequences": ["\n"]}, "stop_sequences.0"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools.0"),
    ({"tools": [{"name": "x", "input_schema": {"properties": {}}}]}, "tools.0.input_schema.type"),
    ({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique"),
    ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "auto"}}, "tool_choice"),
    (
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]},
        "system.0.cache",
    ),
    ({"system": [text("x", cache_control={"type": "ephemeral"})] * 5}, "cache_control: A maximum of 4 blocks"),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "output_config.format.schema",
    ),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"metadata": {"user": "x"}}, "metadata.user"),
    *[({"messages": turns}, place) for turns, place in TURNS],
]


@pytest.mark.parametrize(("fields", "place"), FIELDS)
async def test_a_wrong_field_is_refused_by_name(http: aiohttp.ClientSession, fields: Json, place: str) -> None:
    status, answer = await post(http, body(**fields))
    assert (status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    assert place in answer["error"]["message"]
    [call] = await ledger_of(http)
    assert (call["outcome"], call["model"], call["cost_usd"]) == ("error", "echo", "0")


async def test_thinking_has_to_come_back_before_its_tools(http: aiohttp.ClientSession) -> None:
    history = [user("x"), assistant(CALL), user(RESULT)]
    status, answer = await post(http, body(messages=history, tools=[WEATHER], thinking=THINKING))
    assert (status, "messages.1.content.0.type" in answer["error"]["message"]) == (400, True)
    assert (await post(http, body(messages=history, tools=[WEATHER])))[0] == 200


async def test_headers(http: aiohttp.ClientSession) -> None:
    for headers, status, kind in [
        ({"x-api-key": ""}, 401, "authentication_error"),
        ({"x-api-key": "bad"}, 401, "authentication_error"),
        ({"x-api-key": "", "Authorization": "Bearer k"}, 200, None),
        ({"anthropic-version": ""}, 400, "invalid_request_error"),
        ({"Content-Type": "text/plain"}, 400, "invalid_request_error"),
    ]:
        async with http.post(PATH, data=json.dumps(body()), headers=headers) as response:
            answer = await response.json()
            assert (response.status, answer.get("error", {}).get("type")) == (status, kind), headers
            assert response.headers["request-id"]


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [
        ("status:code=429:retry_after_s=3", 429, "rate_limit_error"),
        ("status:code=529", 529, "overloaded_error"),
        ("status:code=500", 500, "api_error"),
        ("status:code=413", 413, "request_too_large"),
        ("bad-key", 401, "authentication_error"),
        ("context-length", 400, "invalid_request_error"),
        ("echo:nonsense=1", 400, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_errors(http: aiohttp.ClientSession, model: str, status: int, kind: str, streamed: bool) -> None:
    async with http.post(PATH, json=body(model, stream=streamed)) as response:
        answer = await response.json()
        assert (response.status, answer["error"]["type"]) == (status, kind)
        assert response.headers.get("Retry-After") == ("3" if "retry" in model else None)
    assert (model != "context-length") or "prompt is too long: 3 tokens" in answer["error"]["message"]


async def test_faults_in_the_middle(http: aiohttp.ClientSession) -> None:
    events = await stream(http, body("error-in-stream:chunks=2"))
    assert events[-1] == {"type": "error", "error": {"type": "api_error", "message": events[-1]["error"]["message"]}}
    with pytest.raises(aiohttp.ClientPayloadError):
        await stream(http, body("break-after:chunks=2"))
    message = assembled(await stream(http, body("echo:no_usage")))
    assert (message["content"], "usage" in message) == ([text("one two three")], False)
    failed, broken, unsaid = await ledger_of(http)
    assert (failed["outcome"], failed["completion_tokens"], failed["usage_sent"]) == ("error", 2, False)
    assert (broken["outcome"], broken["completion_tokens"]) == ("broken", 2)
    assert (unsaid["outcome"], unsaid["usage_sent"], unsaid["cost_usd"]) == ("completed", False, "0.000054")


async def test_counting_costs_nothing_and_takes_no_other_fields(http: aiohttp.ClientSession) -> None:
    request = {"model": "echo", "messages": [user("one two three")], "system": "be brief"}
    assert await post(http, request, f"{PATH}/count_tokens") == (200, {"input_tokens": 5})
    status, answer = await post(http, body(), f"{PATH}/count_tokens")
    assert (status, answer["error"]["message"]) == (400, "max_tokens: Extra inputs are not permitted")
    assert {call["cost_usd"] for call in await ledger_of(http)} == {"0"}


async def test_models_in_anthropics_own_list(http: aiohttp.ClientSession) -> None:
    async with http.get("/sim-anthropic/v1/models") as response:
        listed = await response.json()
    assert (listed["has_more"], listed["first_id"]) == (False, listed["data"][0]["id"])
    assert "echo" in {model["id"] for model in listed["data"]}
