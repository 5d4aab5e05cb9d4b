"""The openai SDK, unmodified but for base_url and api_key, through real processes and real Kafka."""

import asyncio
import json

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there world"}]
TOOLS: list[ChatCompletionToolUnionParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.api_url}/v1", api_key=stack.api_key, max_retries=0, timeout=30)


def test_plain(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="e2e-echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello there world"
    assert answer.model == "e2e-echo"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_the_seed_model_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="GLM-4-32B-0414-128K", messages=HELLO)
    assert answer.choices[0].message.content == "hello there world"


def test_streaming_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="e2e-brisk", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert len(text.split()) == 20
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


def test_streaming_without_usage_shows_none(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="e2e-echo", messages=HELLO, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_tool_calls_pass_through(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="e2e-tool", messages=HELLO, tools=TOOLS)
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    json.loads(calls[0].function.arguments)
    messages: list[ChatCompletionMessageParam] = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": calls[0].id,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": calls[0].function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    final = client.chat.completions.create(model="e2e-tool", messages=messages, tools=TOOLS)
    assert final.choices[0].message.content


def test_streamed_tool_calls_pass_through(client: openai.OpenAI) -> None:
    arguments = ""
    for chunk in client.chat.completions.create(model="e2e-tool", messages=HELLO, tools=TOOLS, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            arguments += (call.function.arguments or "") if call.function else ""
    assert isinstance(json.loads(arguments), dict)


async def test_async(stack: Stack) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stack.api_url}/v1", api_key=stack.api_key, max_retries=0) as client:
        answers = await asyncio.gather(
            *(client.chat.completions.create(model="e2e-echo", messages=HELLO) for _ in range(20))
        )
    assert {answer.choices[0].message.content for answer in answers} == {"hello there world"}


def test_models(client: openai.OpenAI) -> None:
    assert "glm-4-32b-0414-128k" in {model.id for model in client.models.list()}
    assert client.models.retrieve("glm-4-32b-0414-128k").owned_by == "zai"


def test_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="e2e-echo", messages=HELLO, temperature=9)
    assert caught.value.param == "temperature"


def test_a_vendors_refusal_of_the_request_is_the_callers(client: openai.OpenAI, stack: Stack) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="e2e-400", messages=HELLO)
    assert caught.value.code == "context_length_exceeded"
    request_id = caught.value.response.headers["x-request-id"]
    assert len(stack.ledger_of(request_id)) == 1, "a caller's 4xx must not be tried at the next vendor"


def test_wrong_key(stack: Stack) -> None:
    client = openai.OpenAI(base_url=f"{stack.api_url}/v1", api_key="th_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="e2e-echo", messages=HELLO)


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_rate_limited_by_the_only_vendor(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="e2e-429", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "7"


def test_an_error_in_the_stream_is_raised(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="e2e-error-in-stream", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError):
        list(stream)
