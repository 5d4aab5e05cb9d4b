"""A request's way through the ingress. Read `handle` top to bottom."""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from ingress.admission import Admission
from ingress.answer import AnswerFailed, AnswerWriter
from ingress.authenticate import authenticate
from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from ingress.gateway_options import Options, read_options
from ingress.models_page import model_not_found
from ingress.request_queue import RETRY_AFTER_S, RequestQueue, queue_unavailable
from ingress.settings import ApiSettings
from ingress.surfaces.surface import Call, ClientSurface
from runtime.clock import Clock
from runtime.kafka.queue_producer import QueueUnavailable
from schemas.catalogue import Catalogue
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.ids import RandomBytes, new_id
from schemas.tenancy import ApiKey, Project, Tenants

_NO_QUERY: Mapping[str, str] = {}


class RequestPath:
    def __init__(
        self,
        settings: ApiSettings,
        tenants: Tenants,
        catalogue: Catalogue,
        admission: Admission,
        queue: RequestQueue,
        exchanges: Exchanges,
        reply_url: Callable[[], str],
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._catalogue = catalogue
        self._admission = admission
        self._queue = queue
        self._exchanges = exchanges
        self._reply_url = reply_url
        self._clock = clock
        self._random_bytes = random_bytes
        self._answers = AnswerWriter(clock, settings.heartbeat_s)

    def caller(self, request: web.Request, surface: ClientSurface) -> tuple[ApiKey, Project]:
        """Raises AnswerFailed."""
        # Taking a query apart costs more than all the rest here, and hardly any request has one.
        secret = surface.secret(request.headers, request.query if request.rel_url.raw_query_string else _NO_QUERY)
        caller = secret if isinstance(secret, Failure) else authenticate(secret, self._tenants)
        if isinstance(caller, Failure):
            raise AnswerFailed(caller)
        return caller

    async def handle(
        self, request: web.Request, surface: ClientSurface, model: str | None, *, streaming: bool
    ) -> web.StreamResponse:
        """`model` and `streaming`: what the path says, if it does. Raises AnswerFailed before the first byte."""
        key, project = self.caller(request, surface)
        if self._exchanges.waiting_clients >= self._settings.max_open_requests:
            # Before the body is read: a replica that is full must not fill its memory with bodies that it then refuses.
            raise AnswerFailed(Failure(kind=FailureKind.OVERLOADED, retry_after_s=RETRY_AFTER_S))
        body = await self._read_body(request)
        call = surface.read_call(body, model, streaming=streaming)
        if isinstance(call, Failure):
            raise AnswerFailed(call)
        options = read_options(call, request.headers, key, project)
        if isinstance(options, Failure):
            raise AnswerFailed(options)
        self._check_models(options)
        hold = self._admission.admit(key, project)
        if isinstance(hold, Failure):
            raise AnswerFailed(hold)
        exchange = self._exchanges.open(self._envelope(surface, call, options, len(body)), body)
        status, failure = 500, None
        try:
            await self._put(exchange)
            response = await self._answers.write(request, exchange, surface)
            status = response.status
            return response
        except AnswerFailed as failed:
            failure, status = failed.failure, failed.failure.http_status
            raise
        except (asyncio.CancelledError, ConnectionError):
            failure = Failure(kind=FailureKind.CLIENT_GONE)
            status = failure.http_status
            raise
        finally:
            hold.release(exchange.end.cost_pico_usd if exchange.end is not None else 0)
            if not exchange.client_done:
                self._exchanges.close(exchange, status, failure)

    async def _read_body(self, request: web.Request) -> bytes:
        """Raises AnswerFailed if it does not arrive in time: a client that stops in the middle must not hold on."""
        if request.content.is_eof():
            return await request.read()
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except TimeoutError:
            raise AnswerFailed(Failure(kind=FailureKind.BODY_TIMEOUT)) from None

    def _check_models(self, options: Options) -> None:
        """Raises AnswerFailed."""
        if self._catalogue.find(options.model) is None:
            raise AnswerFailed(model_not_found(options.model))
        for number, name in enumerate(options.routing.fallback_models):
            if self._catalogue.find(name) is None:
                raise AnswerFailed(model_not_found(name, f"models[{number}]"))

    def _envelope(self, surface: ClientSurface, call: Call, options: Options, body_bytes: int) -> RequestEnvelope:
        now_ms = self._clock.now_ms()
        # A body that must not be kept stays out of Kafka, whose disk keeps it for minutes (G5). And Kafka's limit on a
        # record is no reason to refuse a large prompt. Both go by the reply channel.
        held = options.routing.zero_data_retention or body_bytes > self._settings.max_inline_body_bytes
        return RequestEnvelope(
            request_id=new_id("req", now_ms, self._random_bytes),
            stream_id=self._exchanges.next_stream_id(),
            reply_url=self._reply_url(),
            token=self._random_bytes(16).hex(),
            delivery=0,
            accepted_at_ms=now_ms,
            deadline_ms=now_ms + int(self._settings.request_deadline_s * 1000),
            attribution=options.attribution,
            surface=surface.name,
            model=options.model,
            streaming=call.streaming,
            max_output_tokens=call.max_output_tokens,
            routing=options.routing,
            body="held" if held else "inline",
        )

    async def _put(self, exchange: Exchange) -> None:
        """Raises AnswerFailed."""
        try:
            await self._queue.put(exchange)
        except QueueUnavailable:
            self._exchanges.forget(exchange)
            raise AnswerFailed(queue_unavailable(), exchange.envelope.request_id) from None
