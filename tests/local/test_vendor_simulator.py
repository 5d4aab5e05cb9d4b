"""The vendor simulator, called by the official OpenAI client and by hand, with its ledger checked to the last digit."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam

from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import Ledger
from deploy.local.vendors.prices import load_prices
from deploy.local.vendors.server import RunningServer, start_server

DEADLINE_S = 5.0
HEADERS = {"Authorization": "Bearer k", "Content-Type": "application/json"}
HELLO: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "one two three four"},
]
WEATHER_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    running = await start_server(Vendors(Ledger(time.time), load_prices(), "t"))
    yield running
    await running.close()


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[openai.AsyncOpenAI]:
    base_url = f"{server.url}/openai/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=DEADLINE_S) as made:
        yield made


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with aiohttp.ClientSession(server.url, headers=HEADERS, timeout=timeout) as session:
        yield session


async def ledger_of(http: aiohttp.ClientSession, query: str = "") -> list[dict[str, Any]]:
    async with http.get(f"/ledger{query}") as response:
        calls: list[dict[str, Any]] = (await response.json())["calls"]
        return calls


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():  # noqa: ASYNC110 - the state is the server's, seen only over HTTP
            await asyncio.sleep(0.005)


async def post(http: aiohttp.ClientSession, model: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    async with http.post("/openai/v1/chat/completions", json=body(model, **fields)) as response:
        return response.status, await response.json(content_type=None)


async def collect(stream: openai.AsyncStream[ChatCompletionChunk], pieces: list[str | None]) -> None:
    async for chunk in stream:
        pieces += [choice.delta.content for choice in chunk.choices]


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **fields}


async def test_plain_completion_and_its_ledger_entry(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    headers = {"X-Tollhouse-Attempt-Id": "att-1", "Idempotency-Key": "idem-1"}
    answer = await client.chat.completions.create(model="gpt-5-mini", messages=HELLO, extra_headers=headers)
    assert (answer.object, answer.model) == ("chat.completion", "gpt-5-mini")
    assert answer.choices[0].message.content == "one two three four"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 4, 10)
    [call] = await ledger_of(http, "?attempt_id=att-1")
    assert call.pop("received_at") <= call.pop("ended_at")
    assert call == {
        "call": 1,
        "vendor": "openai",
        "model": "gpt-5-mini",
        "request_id_header": "att-1",
        "idempotency_key": "idem-1",
        "stream": False,
        "status": 200,
        "outcome": "completed",
        "prompt_tokens": 6,
        "cached_tokens": 0,
        "completion_tokens": 4,
        "reasoning_tokens": 0,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0,
        "usage_sent": True,
        "cost_usd": "0.000014",
        "hung_up_after_s": None,
    }


@pytest.mark.parametrize("model", ["echo:chunks=5", "echo:chunks=5:gap_ms=1:ttft_ms=1"])
async def test_stream_with_usage(client: openai.AsyncOpenAI, http: aiohttp.ClientSession, model: str) -> None:
    stream = await client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    *content, finish, usage = chunks
    assert content[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in content] == ["", "one", " two", " three", " four", " one"]
    assert finish.choices[0].finish_reason == "stop"
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in [*content, finish])
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == 5
    [call] = await ledger_of(http)
    assert (call["outcome"], call["usage_sent"], call["stream"]) == ("completed", True, True)


async def test_usage_not_sent_is_charged_all_the_same(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
    assert all(["usage" not in chunk.model_fields_set async for chunk in stream])
    _, answer = await post(http, "echo:no_usage")
    assert "usage" not in answer
    options = {"stream": True, "stream_options": {"include_usage": True}}
    async with http.post("/openai/v1/chat/completions", json=body("echo:no_usage=1", **options)) as response:
        assert b"prompt_tokens" not in await response.read()
    for call in await ledger_of(http):
        assert (call["outcome"], call["usage_sent"], call["cost_usd"]) == ("completed", False, "0.000014")


async def test_tool_call_streamed_in_pieces_then_text(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="tool:calls=2", messages=HELLO, tools=[WEATHER_TOOL], stream=True
    )
    arguments, ids, names, pieces, finish = ["", ""], ["", ""], ["", ""], 0, None
    async for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
        for delta in chunk.choices[0].delta.tool_calls or []:
            assert delta.function is not None
            ids[delta.index] += delta.id or ""
            names[delta.index] += delta.function.name or ""
            arguments[delta.index] += delta.function.arguments or ""
            pieces += bool(delta.function.arguments)
    assert finish == "tool_calls"
    assert [json.loads(text) for text in arguments] == [{"city": "one two three four", "days": 1}] * 2
    assert names == ["get_weather"] * 2
    assert ids[0] != ids[1]
    assert pieces > 4

    answer = await client.chat.completions.create(model="tool", messages=HELLO, tools=[WEATHER_TOOL])
    message = answer.choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].type == "function"
    assert json.loads(message.tool_calls[0].function.arguments)["days"] == 1
    history: list[Any] = [
        *HELLO,
        message.model_dump(exclude_none=True, exclude={"annotations"}),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"},
    ]
    second = await client.chat.completions.create(model="tool", messages=history, tools=[WEATHER_TOOL])
    assert second.choices[0].message.content == 'The tools answered: "sunny"'


@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
async def test_token_cap_cuts_reasoning_first(http: aiohttp.ClientSession, cap: str) -> None:
    _, answer = await post(http, "echo:reasoning_tokens=3:chunks=10", **{cap: 5})
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == "one two"
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


@pytest.mark.parametrize(
    ("model", "raised", "code"),
    [
        ("status:code=500", openai.InternalServerError, None),
        ("status:code=429:retry_after_s=2", openai.RateLimitError, "rate_limit_exceeded"),
        ("context-length", openai.BadRequestError, "context_length_exceeded"),
        ("bad-key", openai.AuthenticationError, "invalid_api_key"),
        ("status:code=404", openai.NotFoundError, "model_not_found"),
        ("echo:nonsense=1", openai.BadRequestError, "invalid_value"),
        ("echo:chunks=x", openai.BadRequestError, "invalid_value"),
        ("status:500", openai.BadRequestError, "invalid_value"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_cost_nothing(
    client: openai.AsyncOpenAI,
    http: aiohttp.ClientSession,
    model: str,
    raised: type[openai.APIStatusError],
    code: str | None,
    stream: bool,
) -> None:
    with pytest.raises(raised) as caught:
        await client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert caught.value.code == code
    expected_retry = "2" if "retry" in model else None
    assert caught.value.response.headers.get("Retry-After") == expected_retry
    [call] = await ledger_of(http)
    assert (call["outcome"], call["status"]) == ("error", caught.value.status_code)
    assert (call["cost_usd"], call["prompt_tokens"], call["model"]) == ("0", 0, model)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temprature": 1}, "temprature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [HELLO[0], {"role": "robot", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": "x", "extra": 1}]}, "messages[0].extra"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"usage": True}}, "stream_options.usage"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"model": None}, "model"),
    ],
)
async def test_wrong_fields_are_named(http: aiohttp.ClientSession, change: dict[str, Any], param: str) -> None:
    request = {"model": "echo", "messages": HELLO, **change}
    async with http.post("/openai/v1/chat/completions", json=request) as response:
        status, answer = response.status, await response.json()
    assert (status, answer["error"]["param"], answer["error"]["type"]) == (400, param, "invalid_request_error")
    assert param in answer["error"]["message"]
    [call] = await ledger_of(http)
    assert (call["outcome"], call["status"], call["cost_usd"]) == ("error", 400, "0")


async def test_headers_and_body_are_checked(http: aiohttp.ClientSession) -> None:
    url, good = "/openai/v1/chat/completions", json.dumps(body("echo")).encode()
    for headers, data, status in [
        ({"Authorization": ""}, good, 401),
        ({"Authorization": "Bearer bad"}, good, 401),
        ({"Authorization": "Basic k"}, good, 401),
        ({"Content-Type": "text/plain"}, good, 400),
        ({}, b'{"model":', 400),
        ({}, b'{"model":"\xff"}', 400),
        ({"Content-Type": "application/json; charset=utf-8"}, good, 200),
    ]:
        async with http.post(url, headers=headers, data=data) as response:
            assert response.status == status, (headers, data)
            assert ("error" in await response.json()) == (status != 200)
    assert [call["model"] for call in await ledger_of(http)] == ["echo"] * 4 + [None, None, "echo"]


async def test_flaky_fails_each_third_call_of_its_model(http: aiohttp.ClientSession) -> None:
    assert [(await post(http, "flaky:every=3:code=503"))[0] for _ in range(7)] == [200, 200, 503] * 2 + [200]
    assert (await post(http, "flaky:every=2"))[0] == 200
    async with http.delete("/ledger") as response:
        assert (await response.json()) == {"deleted": 8}
    assert (await post(http, "flaky:every=3:code=503"))[0] == 200


async def test_huge_and_garbage(http: aiohttp.ClientSession) -> None:
    _, answer = await post(http, "huge:kb=300")
    assert len(answer["choices"][0]["message"]["content"]) == 300 * 1024
    async with http.post("/x/v1/chat/completions", json=body("huge:kb=300", stream=True)) as response:
        assert (await response.read()).count(b"data: ") == 300 + 3
    for stream in (False, True):
        async with http.post("/x/v1/chat/completions", json=body("garbage", stream=stream)) as response:
            assert response.status == 200
            text = (await response.read()).removeprefix(b"data: ").partition(b"\n")[0]
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
    assert [(call["outcome"], call["cost_usd"]) for call in await ledger_of(http)] == [
        ("completed", "0.000606"),
        ("completed", "0.000606"),
        ("error", "0"),
        ("error", "0"),
    ]


@pytest.mark.parametrize("gap", ["", ":gap_ms=1"])
async def test_stream_broken_and_failed_in_the_middle(
    client: openai.AsyncOpenAI, http: aiohttp.ClientSession, gap: str
) -> None:
    for model, raised in [
        (f"break-after:chunks=3{gap}", openai.APIConnectionError),
        (f"error-in-stream:chunks=2{gap}", openai.APIError),
    ]:
        pieces: list[str | None] = []
        stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
        with pytest.raises(raised):
            await collect(stream, pieces)
        assert pieces == ["", "one", " two", " three"][: 4 if "break" in model else 3]
    broken, failed = await ledger_of(http)
    assert (broken["outcome"], broken["completion_tokens"], broken["cost_usd"]) == ("broken", 3, "0.000012")
    assert (failed["outcome"], failed["completion_tokens"], failed["cost_usd"]) == ("error", 2, "0.00001")
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(http, "break-after")
    assert (await post(http, "error-in-stream"))[0] == 500


@pytest.mark.parametrize(
    ("model", "stream", "lines", "tokens", "cost"),
    [
        ("never", False, 0, 0, "0"),
        ("never", True, 0, 0, "0"),
        ("slow-headers:delay_ms=60000", False, 0, 0, "0"),
        ("echo:ttft_ms=60000", False, 0, 0, "0"),
        # One hour between chunks: a hang-up noticed only at the next write would miss the deadline.
        ("echo:chunks=9:gap_ms=3600000", True, 2, 1, "0.000008"),
        ("echo:chunks=9:gap_ms=3600000", False, 0, 0, "0.000006"),
        ("hang-after:chunks=3", True, 4, 3, "0.000012"),
        ("hang-after:chunks=4:completion_tokens=400", True, 5, 400, "0.000806"),
    ],
)
async def test_hang_up_is_noticed_while_idle(
    http: aiohttp.ClientSession, model: str, stream: bool, lines: int, tokens: int, cost: str
) -> None:
    seen = 0

    async def call_and_read() -> None:
        nonlocal seen
        async with http.post("/openai/v1/chat/completions", json=body(model, stream=stream)) as response:
            async for line in response.content:
                seen += line.startswith(b"data: ")

    async def has_begun() -> bool:
        calls = await ledger_of(http)
        begun = [call["prompt_tokens"] > 0 for call in calls]
        return seen == lines and begun == [cost != "0"]

    async def has_ended() -> bool:
        return [call["outcome"] for call in await ledger_of(http)] != ["in_progress"]

    caller = asyncio.create_task(call_and_read())
    await until(has_begun)
    [before] = await ledger_of(http)
    assert (before["outcome"], before["ended_at"]) == ("in_progress", None)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await until(has_ended)
    [after] = await ledger_of(http)
    assert (after["outcome"], after["completion_tokens"], after["cost_usd"]) == ("hung_up", tokens, cost)
    assert after["hung_up_after_s"] == after["ended_at"] - after["received_at"]
    assert after["usage_sent"] is False


async def test_two_hundred_at_once_are_each_counted_once(http: aiohttp.ClientSession) -> None:
    async def one(number: int) -> int:
        headers = {"X-Tollhouse-Attempt-Id": f"a{number}"}
        request = body("echo:chunks=4:gap_ms=20", stream=number % 2 == 0)
        async with http.post("/many/v1/chat/completions", json=request, headers=headers) as response:
            await response.read()
            return response.status

    assert await asyncio.gather(*(one(number) for number in range(200))) == [200] * 200
    rows = await ledger_of(http, "?model=echo:chunks=4:gap_ms=20")
    assert {row["request_id_header"] for row in rows} == {f"a{number}" for number in range(200)}
    async with http.get("/ledger/summary") as response:
        summary = await response.json()
    assert (summary["calls"], summary["completion_tokens"], summary["cost_usd"]) == (200, 800, "0.0028")
    assert list(summary["by_outcome"]) == ["completed"]


async def test_models_health_and_unknown_paths(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    assert "echo" in [model.id async for model in client.models.list()]
    for method, path, status in [
        ("GET", "/healthz", 200),
        ("GET", "/nothing", 404),
        ("POST", "/chat/completions", 404),
        ("GET", "/openai/v1/chat/completions", 405),
        ("GET", "/ledger?since=x", 400),
    ]:
        async with http.request(method, path) as response:
            assert response.status == status, path
    assert await ledger_of(http) == []
