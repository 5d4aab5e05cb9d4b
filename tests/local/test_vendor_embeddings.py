"""The simulated OpenAI embeddings."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from tests.local.simulated_vendors import last_call, origin_of, post, simulated_vendors

PATH = "/openai/v1/embeddings"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


@pytest.fixture
async def client(http: aiohttp.ClientSession) -> AsyncIterator[openai.AsyncOpenAI]:
    base_url = await origin_of(http) + "/openai/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=5) as made:
        yield made


async def test_one_and_many_in_both_encodings(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    many = await client.embeddings.create(model="text-embedding-3-small", input=["a b", "c"], encoding_format="float")
    assert [entry.index for entry in many.data] == [0, 1]
    assert (many.usage.prompt_tokens, many.usage.total_tokens) == (3, 3)
    assert many.data[0].embedding != many.data[1].embedding
    call = await last_call(http)
    assert (call["prompt_tokens"], call["completion_tokens"], call["outcome"]) == (3, 0, "completed")
    assert (call["stream"], call["usage_sent"]) == (False, True)
    # The client itself asks for base64 when no format is given.
    one = await client.embeddings.create(model="text-embedding-3-small", input="a b")
    assert one.data[0].embedding == pytest.approx(many.data[0].embedding, abs=1e-6)


@pytest.mark.parametrize(
    ("model", "dimensions", "length"),
    [("text-embedding-3-small", None, 1536), ("text-embedding-3-large", None, 3072), ("text-embedding-3-large", 7, 7)],
)
async def test_dimensions(http: aiohttp.ClientSession, model: str, dimensions: int | None, length: int) -> None:
    _, answer = await post(http, PATH, {"model": model, "input": "a", "dimensions": dimensions})
    [entry] = answer["data"]
    assert len(entry["embedding"]) == length
    assert sum(number * number for number in entry["embedding"]) == pytest.approx(1)


@pytest.mark.parametrize(("given", "inputs", "tokens"), [([5, 6, 7], 1, 3), ([[5, 6], [7]], 2, 3)])
async def test_tokens_as_input(http: aiohttp.ClientSession, given: Any, inputs: int, tokens: int) -> None:
    _, answer = await post(http, PATH, {"model": "m", "input": given, "dimensions": 8})
    assert (len(answer["data"]), answer["usage"]["prompt_tokens"]) == (inputs, tokens)


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("input", {"input": ""}),
        ("input", {"input": []}),
        ("input", {"input": ["a", 1]}),
        ("input[0]", {"input": [[]]}),
        ("input", {"input": {"text": "a"}}),
        ("input", {"input": ["a"] * 2049}),
        ("input", {"input": None}),
        ("model", {"model": ""}),
        ("dimensions", {"dimensions": 0}),
        ("dimensions", {"dimensions": 8, "model": "text-embedding-ada-002"}),
        ("encoding_format", {"encoding_format": "int8"}),
        ("input_type", {"input_type": "query"}),
        ("stream", {"stream": False}),
    ],
)
async def test_wrong_requests_are_refused_by_name(
    http: aiohttp.ClientSession, param: str, fields: dict[str, Any]
) -> None:
    status, refused = await post(http, PATH, {"model": "m", "input": "a", **fields})
    assert (status, refused["error"]["param"]) == (400, param)


@pytest.mark.parametrize(("model", "status"), [("status:code=429", 429), ("bad-key", 401), ("flaky:every=1", 500)])
async def test_errors(http: aiohttp.ClientSession, model: str, status: int) -> None:
    assert (await post(http, PATH, {"model": model, "input": "a"}))[0] == status
    assert (await last_call(http))["cost_usd"] == "0"


async def test_usage_withheld(http: aiohttp.ClientSession) -> None:
    assert "usage" not in (await post(http, PATH, {"model": "echo:no_usage", "input": "a"}))[1]
