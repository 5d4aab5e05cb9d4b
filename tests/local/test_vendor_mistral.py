"""The simulated Mistral, where it is not like OpenAI: fields, order of messages, ids of calls, thinking, FIM."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.local.simulated_vendors import last_call, post, post_stream, simulated_vendors

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
ASKED = {"role": "user", "content": "one two"}
CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "abcDEF123", "function": {"name": "w", "arguments": {}}}],
}
RESULT = {"role": "tool", "tool_call_id": "abcDEF123", "name": "w", "content": "sunny"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


async def chat(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> tuple[int, dict[str, Any]]:
    return await post(http, "/mistral/v1/chat/completions", {"model": model, "messages": [ASKED], **fields})


async def chat_stream(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> list[dict[str, Any]]:
    body = {"model": model, "messages": [ASKED], "stream": True, **fields}
    return await post_stream(http, "/mistral/v1/chat/completions", body)


async def test_plain_answer_with_fields_of_its_own(http: aiohttp.ClientSession) -> None:
    status, answer = await chat(http, "mistral-large:cached_tokens=1", random_seed=7, top_k=5, safe_prompt=True)
    assert status == 200
    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two", "stop")
    assert answer["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 2,
        "total_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 1},
    }


@pytest.mark.parametrize("model", ["echo", "echo:gap_ms=1", "echo:no_usage"])
@pytest.mark.parametrize("choices", [1, 2])
async def test_usage_comes_unasked_in_the_last_chunk(http: aiohttp.ClientSession, model: str, choices: int) -> None:
    *before, last = await chat_stream(http, model, n=choices)
    assert not [chunk for chunk in before if "usage" in chunk]
    assert last["choices"][0]["finish_reason"] == "stop"
    sent = model != "echo:no_usage"
    assert ("usage" in last) is sent
    if sent:
        assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (2, 2 * choices)
    call = await last_call(http)
    assert (call["outcome"], call["usage_sent"]) == ("completed", sent)


@pytest.mark.parametrize(
    ("loc", "fields"),
    [
        (["stream_options"], {"stream": True, "stream_options": {"include_usage": True}}),
        (["max_completion_tokens"], {"max_completion_tokens": 5}),
        (["seed"], {"seed": 7}),
        (["store"], {"store": False}),
        (["thinking"], {"thinking": {"type": "enabled"}}),
        (["messages", 0, "user", "name"], {"messages": [{**ASKED, "name": "x"}]}),
        (["messages", 1, "assistant", "refusal"], {"messages": [ASKED, {**CALLED, "refusal": None}, RESULT]}),
        (["tools", 0, "strict"], {"tools": [{**TOOLS[0], "strict": True}]}),
    ],
)
async def test_unknown_fields_are_422(
    http: aiohttp.ClientSession, loc: list[str | int], fields: dict[str, Any]
) -> None:
    status, refused = await chat(http, **fields)
    assert (status, refused["object"], refused["type"]) == (422, "error", "invalid_request_error")
    [detail] = refused["message"]["detail"]
    assert (detail["type"], detail["loc"]) == ("extra_forbidden", ["body", *loc])
    call = await last_call(http)
    assert (call["outcome"], call["status"], call["cost_usd"]) == ("error", 422, "0")


@pytest.mark.parametrize(
    ("loc", "fields"),
    [
        (["temperature"], {"temperature": "hot"}),
        (["messages", 0, "developer", "role"], {"messages": [{"role": "developer", "content": "x"}]}),
        (["tool_choice"], {"tools": TOOLS, "tool_choice": "must"}),
        (["messages"], {"messages": []}),
        (["response_format"], {"response_format": {"type": "json_schema"}}),
    ],
)
async def test_wrong_values_are_422(http: aiohttp.ClientSession, loc: list[str | int], fields: dict[str, Any]) -> None:
    status, refused = await chat(http, **fields)
    assert (status, refused["message"]["detail"][0]["loc"]) == (422, ["body", *loc])


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ("3230", [ASKED, {"role": "assistant", "content": "x"}]),
        ("3230", [ASKED, RESULT]),
        ("3230", [ASKED, CALLED, RESULT, ASKED]),
        ("3230", [ASKED, CALLED]),
        ("3230", [ASKED, CALLED, ASKED]),
        ("3230", [ASKED, CALLED, {**RESULT, "tool_call_id": "abcDEF124"}]),
        ("3240", [ASKED, {"role": "assistant", "content": ""}, ASKED]),
        ("3240", [ASKED, {"role": "assistant", "content": "x", "prefix": True}, ASKED]),
    ],
)
async def test_messages_must_be_in_order(
    http: aiohttp.ClientSession, code: str, messages: list[dict[str, Any]]
) -> None:
    status, refused = await chat(http, messages=messages, tools=TOOLS)
    assert (status, refused["object"], refused["code"]) == (400, "error", code)


@pytest.mark.parametrize("call_id", ["call_1234", "abcDEF12", "abcDEF1234", ""])
async def test_ids_of_calls_are_nine_letters_and_digits(http: aiohttp.ClientSession, call_id: str) -> None:
    called = {"role": "assistant", "tool_calls": [{"id": call_id, "function": {"name": "w", "arguments": "{}"}}]}
    messages = [ASKED, called, {**RESULT, "tool_call_id": call_id}]
    status, refused = await chat(http, messages=messages, tools=TOOLS)
    assert (status, refused["type"], refused["code"]) == (400, "invalid_function_call", "3280")


async def test_tool_round_trip_with_parallel_calls(http: aiohttp.ClientSession) -> None:
    _, answer = await chat(http, "tool:calls=2", tools=TOOLS, tool_choice="any")
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    calls = choice["message"]["tool_calls"]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", call["id"]) for call in calls)
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"city": "one two"}] * 2
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    _, second = await chat(http, "tool", messages=[ASKED, choice["message"], *results], tools=TOOLS)
    assert second["choices"][0]["message"]["content"] == 'The tools answered: "sunny", "sunny"'

    chunks = await chat_stream(http, "tool:calls=2", tools=TOOLS)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    streamed = [call for delta in deltas for call in delta.get("tool_calls", [])]
    # Each comes whole, in one chunk.
    assert [(call["index"], json.loads(call["function"]["arguments"])) for call in streamed] == [
        (0, {"city": "one two"}),
        (1, {"city": "one two"}),
    ]


async def test_thinking_is_a_chunk_in_a_list_of_content(http: aiohttp.ClientSession) -> None:
    _, answer = await chat(http, reasoning_effort="high")
    thinking, text = answer["choices"][0]["message"]["content"]
    assert thinking == {"type": "thinking", "thinking": [{"type": "text", "text": "Thinking about: one two"}]}
    assert text == {"type": "text", "text": "one two"}
    _, same = await chat(http, prompt_mode="reasoning")
    assert same["choices"] == answer["choices"]
    contents = [chunk["choices"][0]["delta"]["content"] for chunk in await chat_stream(http, "magistral-small")]
    thoughts = [content[0]["thinking"][0]["text"] for content in contents if isinstance(content, list)]
    assert "".join(thoughts) == "Thinking about: one two"
    assert "".join(content for content in contents if isinstance(content, str)) == "one two"
    history = [ASKED, {"role": "assistant", "content": [thinking, text]}, ASKED]
    assert (await chat(http, messages=history))[0] == 200


async def test_prefix_images_and_structured_output(http: aiohttp.ClientSession) -> None:
    prefix = {"role": "assistant", "content": "Well,", "prefix": True}
    assert (await chat(http, messages=[ASKED, prefix]))[0] == 200
    content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]
    content.append({"type": "document_url", "document_url": "https://example.org/a.pdf"})
    _, answer = await chat(http, messages=[{"role": "user", "content": content}])
    assert answer["choices"][0]["message"]["content"] == "saw 1 image and 1 document: look"
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
    _, answer = await chat(http, response_format=wanted)
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"city": "one two"}


async def test_fim_plain_streamed_and_strict(http: aiohttp.ClientSession) -> None:
    body = {"model": "codestral-2508", "prompt": "def f(a):", "suffix": "return a", "max_tokens": 3}
    status, answer = await post(http, "/mistral/v1/fim/completions", body)
    assert (status, answer["object"], answer["choices"][0]["finish_reason"]) == (200, "chat.completion", "length")
    chunks = await post_stream(http, "/mistral/v1/fim/completions", {**body, "stream": True})
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert text == answer["choices"][0]["message"]["content"] == "def f(a): return"
    assert chunks[-1]["usage"] == answer["usage"]
    status, refused = await post(http, "/mistral/v1/fim/completions", {**body, "messages": [ASKED]})
    assert (status, refused["message"]["detail"][0]["loc"]) == (422, ["body", "messages"])
    async with http.post("/openai/v1/fim/completions", json=body) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("status:code=429", 429, "1300"), ("status:code=503", 503, "1000"), ("context-length", 400, "3051")],
)
async def test_errors(http: aiohttp.ClientSession, model: str, status: int, code: str) -> None:
    answered, refused = await chat(http, model)
    assert (answered, refused["object"], refused["code"]) == (status, "error", code)


async def test_error_in_the_stream(http: aiohttp.ClientSession) -> None:
    chunks = await chat_stream(http, "error-in-stream")
    assert (chunks[-1]["object"], chunks[-1]["code"]) == ("error", "1000")
    assert (await last_call(http))["outcome"] == "error"


async def test_without_a_good_key_there_is_401(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer bad"}
    async with http.post("/mistral/v1/chat/completions", json={}, headers=headers) as response:
        assert (response.status, (await response.json())["message"]) == (401, "Unauthorized")
