"""From a client's POST to its answer, over real sockets on both sides of the ingress."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from schemas.failures import Failure, FailureKind
from schemas.frames import FrameType
from tests.fakes.ring_worker import ring_worker
from tests.fakes.waiting import until
from tests.ingress.http_stack import CHAT, Stack, chat, ingress_stack


async def post(stack: Stack, **fields: Any) -> tuple[aiohttp.ClientResponse, bytes]:
    async with stack.client.post(CHAT, json=chat(**fields)) as response:
        return response, await response.read()


async def test_a_plain_answer_arrives_untouched() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, max_tokens=9))
        sent = await stack.request()
        assert sent.reply_url == stack.reply_url
        assert (sent.model, sent.streaming, sent.max_output_tokens, sent.body) == ("m", False, 9, "inline")
        assert sent.attribution.project_id == "proj"
        assert json.loads(stack.kafka.requests()[0].value) == chat(max_tokens=9)
        await stack.worker.answer(sent, b'{"any": "thing"}')
        response, body = await call
        assert (response.status, body) == (200, b'{"any": "thing"}')
        assert response.headers["X-Request-Id"] == sent.request_id
        assert response.headers["Content-Type"] == "application/json"
        await until(lambda: stack.exchanges.unsettled == 0)
        assert stack.kafka.usage() == [], "the worker reports what it served"


async def test_a_large_plain_answer_needs_more_than_one_window() -> None:
    async with ingress_stack(window_bytes=1000) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        for _ in range(50):
            await until(lambda: stack.worker.credit[sent.stream_id] > 0)
            stack.worker.data(sent, b"x" * 400)
        stack.worker.end(sent)
        _, body = await call
        assert body == b"x" * 20_000


async def open_stream(stack: Stack, **fields: Any) -> aiohttp.ClientResponse:
    return await stack.client.post(CHAT, json=chat(stream=True, **fields))


async def test_chunks_of_a_stream_arrive_as_they_are_sent() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(open_stream(stack))
        sent = await stack.request()
        assert sent.streaming
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: 1\n\n")
        response = await opening
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["X-Request-Id"] == sent.request_id
        assert response.headers["Cache-Control"] == "no-cache"
        for number in range(1, 5):
            assert await response.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
            stack.worker.data(sent, b"data: %d\n\n" % (number + 1))
        stack.worker.data(sent, b"data: [DONE]\n\n")
        stack.worker.end(sent)
        assert await response.read() == b"data: 5\n\ndata: [DONE]\n\n"


async def test_an_idle_stream_gets_comments_between_chunks() -> None:
    async with ingress_stack(heartbeat_s=0.02) as stack, asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(open_stream(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: 1\n\n")
        response = await opening
        assert await response.content.readuntil(b"\n\n") == b"data: 1\n\n"
        for _ in range(3):
            assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        stack.worker.data(sent, b"data: 2\n\n")
        stack.worker.end(sent)
        assert (await response.read()).replace(b": keep-alive\n\n", b"") == b"data: 2\n\n"


ERRORS = [
    (Failure(kind=FailureKind.VENDOR_ERROR), 502, "api_error", "vendor_error", None),
    (
        Failure(kind=FailureKind.VENDOR_REFUSED_REQUEST, message="Bad n.", param="n", code="invalid_value", status=422),
        422,
        "invalid_request_error",
        "invalid_value",
        "n",
    ),
    (
        Failure(kind=FailureKind.VENDOR_RATE_LIMITED, retry_after_s=7),
        429,
        "rate_limit_error",
        "vendor_rate_limited",
        None,
    ),
    (Failure(kind=FailureKind.VENDOR_FIRST_BYTE_TIMEOUT), 504, "api_error", "vendor_first_byte_timeout", None),
]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("failure", "status", "error_type", "code", "param"), ERRORS)
async def test_an_error_before_the_head_is_an_ordinary_error(
    failure: Failure, status: int, error_type: str, code: str, param: str | None, streaming: bool
) -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, stream=streaming))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.error(sent, failure)
        response, body = await call
        assert response.status == status
        assert json.loads(body) == {
            "error": {"message": failure.text, "type": error_type, "param": param, "code": code}
        }
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["X-Request-Id"] == sent.request_id
        assert response.headers.get("Retry-After") == ("7" if status == 429 else None)
        await until(lambda: stack.exchanges.unsettled == 0)


async def test_an_error_in_the_middle_of_a_stream_is_its_last_event() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, stream=True))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: 1\n\n")
        stack.worker.error(sent, Failure(kind=FailureKind.VENDOR_STALLED))
        response, body = await call
        assert response.status == 200
        first, last, rest = body.split(b"\n\n")
        assert (first, rest) == (b"data: 1", b"")
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "vendor_stalled"
        assert b"[DONE]" not in body


async def test_an_error_in_the_middle_of_a_plain_answer_is_an_ordinary_error() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b'{"half')
        stack.worker.error(sent, Failure(kind=FailureKind.VENDOR_BROKE_OFF))
        response, body = await call
        assert response.status == 502
        assert json.loads(body)["error"]["code"] == "vendor_broke_off"


async def test_a_worker_lost_before_the_head_costs_the_client_only_time() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        first = await stack.request()
        await stack.worker.claim(first)
        await stack.worker.die()
        second = await stack.request(1)
        assert second.delivery == 1
        assert second.token != first.token
        assert second.request_id == first.request_id
        assert stack.kafka.requests()[1].value == stack.kafka.requests()[0].value
        async with ring_worker(stack.reply_url) as other:
            await other.answer(second, b"whole")
            assert (await call)[1] == b"whole"
            await until(lambda: stack.exchanges.unsettled == 0)
        assert [(a.delivery, a.outcome) for a in stack.kafka.attempts()] == [(0, "worker_lost")]
        assert stack.kafka.request_events() == []


async def test_a_worker_lost_after_the_head_ends_the_stream_with_an_error() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, stream=True))
        sent = await stack.request()
        await stack.worker.claim(sent)
        stack.worker.head(sent)
        stack.worker.data(sent, b"data: 1\n\n")
        await stack.worker.die()
        _, body = await call
        assert body.startswith(b"data: 1\n\n")
        assert b'"code":"worker_lost"' in body
        assert b"[DONE]" not in body
        await until(lambda: stack.kafka.request_events())
        [event] = stack.kafka.request_events()
        assert (event.status, event.failure) == (200, "worker_lost")
        assert stack.exchanges.unsettled == 0


async def test_garbage_from_a_worker_closes_its_channel_only() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack))
        first = await stack.request()
        await stack.worker.claim(first)
        stack.worker.send(FrameType.CREDIT, first.stream_id, b"????")
        second = await stack.request(1)
        async with ring_worker(stack.reply_url) as other:
            await other.answer(second, b"whole")
            assert (await call)[1] == b"whole"


@pytest.mark.parametrize("fields", [{"zero_data_retention": True}, {"user": "x" * 3000}])
async def test_a_body_that_must_not_or_cannot_go_through_kafka_goes_with_the_acceptance(fields: dict[str, Any]) -> None:
    async with ingress_stack(max_inline_body_bytes=2000) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(post(stack, **fields))
        sent = await stack.request()
        assert sent.body == "held"
        assert stack.kafka.requests()[0].value == b""
        assert b"hello" not in b"".join(value for _, value in stack.kafka.requests()[0].headers)
        await stack.worker.claim(sent)
        assert json.loads(stack.worker.bodies[sent.stream_id]) == chat(**fields)
        stack.worker.head(sent)
        stack.worker.data(sent, b"whole")
        stack.worker.end(sent)
        assert (await call)[1] == b"whole"
