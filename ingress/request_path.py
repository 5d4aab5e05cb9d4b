"""A request's way through the ingress. Read `handle` top to bottom."""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from ingress.admission import Admission, Ask, Refusal, Ticket
from ingress.answer import AnswerFailed, AnswerWriter
from ingress.directory import Caller, Directory
from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from ingress.gateway_options import Options, read_options
from ingress.models_page import may_call, model_not_found
from ingress.request_queue import RETRY_AFTER_S, RequestQueue, queue_unavailable
from ingress.settings import ApiSettings
from ingress.surfaces.surface import Call, ClientSurface
from ingress.worst_case import WorstCases
from runtime.clock import Clock
from runtime.kafka.queue_producer import QueueUnavailable
from schemas.budgets import scopes_of
from schemas.catalogue import Catalogue
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.ids import RandomBytes, new_id
from schemas.tenancy import ApiKey

_NO_QUERY: Mapping[str, str] = {}


class RequestPath:
    def __init__(
        self,
        settings: ApiSettings,
        directory: Directory,
        catalogue: Catalogue,
        worst_cases: WorstCases,
        admission: Admission,
        queue: RequestQueue,
        exchanges: Exchanges,
        reply_url: Callable[[], str],
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._catalogue = catalogue
        self._worst_cases = worst_cases
        self._admission = admission
        self._queue = queue
        self._exchanges = exchanges
        self._reply_url = reply_url
        self._clock = clock
        self._random_bytes = random_bytes
        self._answers = AnswerWriter(clock, settings.heartbeat_s)

    def caller(self, request: web.Request, surface: ClientSurface) -> Caller:
        """Raises AnswerFailed."""
        # Taking a query apart costs more than all the rest here, and hardly any request has one.
        secret = surface.secret(request.headers, request.query if request.rel_url.raw_query_string else _NO_QUERY)
        caller = secret if isinstance(secret, Failure) else self._directory.find(secret, self._clock.now_ms())
        if isinstance(caller, Failure):
            raise AnswerFailed(caller)
        return caller

    async def handle(
        self, request: web.Request, surface: ClientSurface, model: str | None, *, streaming: bool
    ) -> web.StreamResponse:
        """`model` and `streaming`: what the path says, if it does. Raises AnswerFailed before the first byte."""
        caller = self.caller(request, surface)
        if self._exchanges.waiting_clients >= self._settings.max_open_requests:
            # Before the body is read: a replica that is full must not fill its memory with bodies that it then refuses.
            raise AnswerFailed(Failure(kind=FailureKind.OVERLOADED, retry_after_s=RETRY_AFTER_S))
        body = await self._read_body(request)
        call = surface.read_call(body, model, streaming=streaming)
        if isinstance(call, Failure):
            raise AnswerFailed(call)
        options = read_options(call, request.headers, caller.key, caller.project)
        if isinstance(options, Failure):
            raise AnswerFailed(options)
        models = self._checked_models(options, caller.key)
        accepted_at_ms = self._clock.now_ms()
        ticket = await self._admit(caller, surface, call, options, models, body, accepted_at_ms)
        envelope = self._envelope(surface, call, options, len(body), ticket, accepted_at_ms)
        exchange = self._exchanges.open(envelope, body, ticket)
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

    def _checked_models(self, options: Options, key: ApiKey) -> list[str]:
        """The ids of all that the request may be answered by. Raises AnswerFailed."""
        models: list[str] = []
        for number, name in enumerate((options.model, *options.routing.fallback_models)):
            param = f"models[{number - 1}]" if number else "model"
            model = self._catalogue.find(name)
            if model is None:
                raise AnswerFailed(model_not_found(name, param))
            if not may_call(key, model, self._catalogue):
                text = f"This API key may not use the model '{name}'."
                raise AnswerFailed(Failure(kind=FailureKind.MODEL_NOT_ALLOWED, message=text, param=param))
            models.append(model.model_id)
        return models

    async def _admit(
        self,
        caller: Caller,
        surface: ClientSurface,
        call: Call,
        options: Options,
        models: list[str],
        body: bytes,
        now_ms: int,
    ) -> Ticket:
        """Raises AnswerFailed."""
        who = options.attribution
        if who.customer_id is not None:
            customer = self._directory.customer(who.organization_id, who.customer_id)
            if customer is not None and not customer.active:
                raise AnswerFailed(Failure(kind=FailureKind.CUSTOMER_INACTIVE, param="customer"))
        ask = Ask(
            caller,
            scopes_of(who.organization_id, who.project_id, who.api_key_id, who.customer_id, who.tags),
            self._worst_cases.worst_case(models, body, call.max_output_tokens, call.choices, surface.name),
            now_ms,
        )
        ticket = await self._admission.admit(ask)
        if isinstance(ticket, Refusal):
            raise AnswerFailed(ticket.failure, headers=ticket.headers)
        return ticket

    def _envelope(
        self,
        surface: ClientSurface,
        call: Call,
        options: Options,
        body_bytes: int,
        ticket: Ticket,
        now_ms: int,
    ) -> RequestEnvelope:
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
            leases=ticket.leases,
            gateway_cap_tokens=ticket.gateway_cap_tokens,
        )

    async def _put(self, exchange: Exchange) -> None:
        """Raises AnswerFailed."""
        try:
            await self._queue.put(exchange)
        except QueueUnavailable:
            self._exchanges.forget(exchange)
            raise AnswerFailed(queue_unavailable(), exchange.envelope.request_id) from None
