"""Brings what the worker sends to the client: a plain answer whole, a stream chunk by chunk."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from ingress.answer_headers import answer_headers, overhead_ms, stream_metadata, with_metadata
from ingress.exchange import Exchange
from ingress.surfaces.surface import ClientSurface
from runtime.clock import Clock
from schemas.failures import Failure, FailureKind

STREAM_BEGUN = web.RequestKey("tollhouse.stream_begun", bool)
"""Set on a request once its response has begun to be sent."""

LAST_WORDS_S = 1.0
"""How long a client whose stream is over its deadline may take to read why."""


class AnswerFailed(Exception):
    """There is no answer, and nothing was sent yet: the client gets an ordinary error response."""

    def __init__(
        self, failure: Failure, request_id: str | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(failure.kind)
        self.failure = failure
        self.request_id = request_id
        self.headers = headers


class AnswerWriter:
    def __init__(self, clock: Clock, heartbeat_s: float) -> None:
        self._clock = clock
        self._heartbeat_s = heartbeat_s

    async def write(self, request: web.Request, exchange: Exchange, surface: ClientSurface) -> web.StreamResponse:
        """Raises AnswerFailed before the first byte; afterwards a failure is an event in the stream."""
        deadline_s = self._clock.monotonic_s() + self._left_ms(exchange) / 1000
        await self._wait(exchange, deadline_s)
        if exchange.envelope.streaming and exchange.head is not None:
            return await self._write_stream(request, exchange, surface, deadline_s)
        return await self._whole(exchange, deadline_s)

    def _left_ms(self, exchange: Exchange) -> int:
        return exchange.envelope.deadline_ms - self._clock.now_ms()

    async def _wait(self, exchange: Exchange, deadline_s: float) -> None:
        await exchange.wait(max(0.0, deadline_s - self._clock.monotonic_s()))
        if not exchange.data and not exchange.over:
            exchange.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))

    async def _whole(self, exchange: Exchange, deadline_s: float) -> web.Response:
        parts: list[bytes] = []
        while True:
            while exchange.data:
                part = exchange.data.popleft()
                parts.append(part)
                exchange.consumed(len(part))
            if exchange.failure is not None:
                raise AnswerFailed(exchange.failure, exchange.envelope.request_id, exchange.ticket.headers)
            if exchange.end is not None:
                break
            await self._wait(exchange, deadline_s)
        head, now_ms = exchange.head, self._clock.now_ms()
        assert head is not None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if exchange.envelope.routing.include_metadata:
            body = with_metadata(body, exchange, head, now_ms)
        return web.Response(status=head.status, body=body, headers=answer_headers(exchange, head, now_ms))

    async def _write_stream(
        self, request: web.Request, exchange: Exchange, surface: ClientSurface, deadline_s: float
    ) -> web.StreamResponse:
        head = exchange.head
        assert head is not None
        if exchange.failure is not None and not exchange.data:
            raise AnswerFailed(exchange.failure, exchange.envelope.request_id, exchange.ticket.headers)
        now_ms = self._clock.now_ms()
        headers = answer_headers(exchange, head, now_ms)
        response = web.StreamResponse(
            status=head.status,
            # Some proxies collect an answer before they pass it on, unless told not to.
            headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        request[STREAM_BEGUN] = True
        await response.prepare(request)
        try:
            # Around the writes too: a client that does not read would else hold its vendor's stream for ever.
            async with asyncio.timeout(max(0.0, deadline_s - self._clock.monotonic_s())):
                await self._pass_on(response, exchange, surface, overhead_ms(exchange, head, now_ms))
        except TimeoutError:
            late = Failure(kind=FailureKind.DEADLINE_EXCEEDED)
            exchange.failure_now(late)
            await _last_words(request, response, surface.error_event(late, exchange.envelope.request_id))
        return response

    async def _pass_on(
        self, response: web.StreamResponse, exchange: Exchange, surface: ClientSurface, overhead: int
    ) -> None:
        envelope = exchange.envelope
        while True:
            if exchange.data:
                chunk = exchange.data.popleft() if len(exchange.data) == 1 else b"".join(exchange.data)
                exchange.data.clear()
                # Waits while the client does not read; no credit flows meanwhile, so the worker stops reading too.
                await response.write(chunk)
                exchange.consumed(len(chunk))
                continue
            if exchange.failure is not None:
                await response.write(surface.error_event(exchange.failure, envelope.request_id))
                break
            if exchange.end is not None:
                if envelope.routing.include_metadata and exchange.head is not None:
                    said = stream_metadata(exchange, exchange.head, overhead)
                    await response.write(surface.metadata_event(said))
                break
            await exchange.wait(self._heartbeat_s)
            if not exchange.data and not exchange.over:
                await response.write(surface.heartbeat)
        await response.write_eof()


async def _last_words(request: web.Request, response: web.StreamResponse, event: bytes) -> None:
    task = asyncio.current_task()
    assert task is not None
    try:
        async with asyncio.timeout(LAST_WORDS_S):
            await response.write(event)
            await response.write_eof()
    except (TimeoutError, asyncio.CancelledError):
        # Cancelling a write that waits for the client leaves aiohttp's connection so that every later write of it is
        # cancelled too, although nobody cancels us.
        if task.cancelling():
            raise
        if request.transport is not None:
            request.transport.abort()
