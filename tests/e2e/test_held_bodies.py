"""Bodies that do not go through Kafka: too large for a record, or not to be kept anywhere."""

import io

import aiohttp
import orjson
import pytest

from tests.e2e.stack import Stack, ask

pytestmark = pytest.mark.e2e


async def test_a_prompt_larger_than_a_kafka_record_is_answered(stack: Stack) -> None:
    prompt = "word " * 600_000
    body = {"model": "e2e-echo", "max_tokens": 3, "messages": [{"role": "user", "content": prompt}]}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.post(
            f"{stack.api_url}/v1/chat/completions",
            headers={"Authorization": f"Bearer {stack.api_key}"},
            data=io.BytesIO(orjson.dumps(body)),
        ) as response,
    ):
        answer = await response.json()
    assert response.status == 200
    assert answer["choices"][0]["message"]["content"] == "word word word"
    (row,) = stack.billed(response.headers["X-Request-Id"], 1)
    assert row["outcome"] == "completed"


async def test_zero_data_retention_is_refused_where_no_route_offers_it(stack: Stack) -> None:
    answer = await ask(stack, "e2e-echo", extra={"zero_data_retention": True})
    assert answer.status == 400
    assert "zero data retention" in answer.text
    assert stack.ledger_of(answer.request_id) == []


async def test_a_zero_data_retention_prompt_is_nowhere_on_disk(stack: Stack) -> None:
    secret = "a-prompt-that-nobody-may-keep-93d1"
    answer = await ask(stack, "e2e-zdr", content=secret, extra={"zero_data_retention": True})
    assert answer.status == 200
    assert secret in answer.text
    stack.billed(answer.request_id, 1)
    # Kafka's segments, ClickHouse's parts and every log are under the stack's folder.
    found = [path for path in stack.directory.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []
    # The look itself works: an ordinary prompt is there.
    ordinary = "an-ordinary-prompt-5c0e"
    assert (await ask(stack, "e2e-echo", content=ordinary)).status == 200
    assert any(
        ordinary.encode() in path.read_bytes() for path in stack.directory.rglob("*.log") if "requests" in str(path)
    )
