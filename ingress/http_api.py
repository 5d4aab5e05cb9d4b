"""The HTTP edge for clients. Read `_chat` top to bottom: it is the request's way through the ingress."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from prometheus_client import Counter

from ingress.admission import Admission
from ingress.answer import REQUEST_ID_HEADER, STREAM_BEGUN, AnswerFailed, AnswerWriter
from ingress.authenticate import authenticate
from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from ingress.models_page import ModelsPage, model_not_found
from ingress.request_queue import RETRY_AFTER_S, RequestQueue, queue_unavailable
from ingress.settings import ApiSettings
from ingress.surfaces import openai_chat
from runtime.clock import Clock
from runtime.kafka.queue_producer import QueueUnavailable
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from runtime.probes import write_port_file
from schemas.catalogue import Catalogue
from schemas.envelope import Attribution, RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.ids import RandomBytes, new_id
from schemas.tenancy import ApiKey, Project, Tenants

log = structlog.get_logger(__name__)


LAST_WRITES_S = 1.0
"""At the end of the drain: for answers that have left their handler and not yet the socket. aiohttp waits for it twice,
and its own minute would outlast the pod's grace period."""


class HttpApi:
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
        metrics: Metrics,
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
        self._models = ModelsPage(catalogue)
        self._responses = metrics.counter("tollhouse_ingress_responses_total")
        self._responses_of: dict[int, Counter] = {}
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._open_handlers = 0
        self._draining = False

    async def start(self) -> None:
        app = web.Application(client_max_size=self._settings.max_body_bytes, middlewares=[self._edge])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_get("/v1/models/{model:.+}", self._one_model)
        # Cancelling the handler is how we hear at once that a client has hung up, even while nothing is being written.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=LAST_WRITES_S)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._settings.host, self._settings.port, backlog=1024)
        await self._site.start()
        if self._settings.port_file:
            host, port = self._runner.addresses[0][:2]
            write_port_file(self._settings.port_file, f"http://{host}:{port}")

    async def stop(self, deadline: Deadline) -> None:
        """No new connections; requests that come on old ones are still served, and their connections then closed."""
        self._draining = True
        if self._site is not None:
            await self._site.stop()
        # Polled, because an event for these two counters would cost every request something.
        while (self._open_handlers or self._exchanges.unsettled) and deadline.left_s() > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)
        if self._open_handlers:
            log.warning("requests unfinished at the end of the drain", requests=self._open_handlers)
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _edge(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The one place where failures become responses."""
        self._open_handlers += 1
        try:
            response = await handler(request)
        except AnswerFailed as failed:
            response = self._refuse(failed.failure, failed.request_id)
        except web.HTTPRequestEntityTooLarge:
            limit = self._settings.max_body_bytes
            text = f"The request body is larger than {limit} bytes."
            response = self._refuse(Failure(kind=FailureKind.BODY_TOO_LARGE, message=text))
        except web.RequestPayloadError:
            text = "The request body cannot be read: it is not encoded as its headers say."
            response = self._refuse(Failure(kind=FailureKind.INVALID_REQUEST, message=text))
        except web.HTTPNotFound:
            response = self._refuse(
                Failure(kind=FailureKind.UNKNOWN_PATH, message=f"There is nothing at {request.method} {request.path}.")
            )
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.path} does not take {request.method}, only {allowed}."
            response = self._refuse(Failure(kind=FailureKind.METHOD_NOT_ALLOWED, message=text))
            response.headers["Allow"] = allowed
        except ConnectionError:
            raise  # the client is gone; there is nobody to answer
        except Exception:  # the HTTP edge: a mistake of ours must not reach the client as a trace
            log.exception("request failed", path=request.path)
            if STREAM_BEGUN in request:
                # A second response would end up inside the first one; only the connection can still be ended.
                raise ConnectionResetError from None
            response = self._refuse(Failure(kind=FailureKind.INTERNAL))
        finally:
            self._open_handlers -= 1
        if self._draining:
            response.force_close()
        self._count(response.status)
        return response

    def _count(self, status: int) -> None:
        counter = self._responses_of.get(status)
        if counter is None:
            # Looking a label set up anew costs more than counting, on the path of every request.
            counter = self._responses_of[status] = self._responses.labels(surface="openai.chat", status=str(status))
        counter.inc()

    def _refuse(self, failure: Failure, request_id: str | None = None) -> web.Response:
        if request_id is None:
            # Also what was refused at the door has a name, by which a caller can ask about it.
            request_id = new_id("req", self._clock.now_ms(), self._random_bytes)
            log.debug("refused", request_id=request_id, failure=failure.kind.value)
        headers = {"Content-Type": "application/json", REQUEST_ID_HEADER: request_id}
        if failure.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, round(failure.retry_after_s)))
        return web.Response(status=failure.http_status, body=openai_chat.error_body(failure), headers=headers)

    def _caller(self, request: web.Request) -> tuple[ApiKey, Project]:
        """Raises AnswerFailed."""
        caller = authenticate(request.headers.get("Authorization"), self._tenants)
        if isinstance(caller, Failure):
            raise AnswerFailed(caller)
        return caller

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        key, project = self._caller(request)
        if self._exchanges.waiting_clients >= self._settings.max_open_requests:
            # Before the body is read: a replica that is full must not fill its memory with bodies that it then refuses.
            raise AnswerFailed(Failure(kind=FailureKind.OVERLOADED, retry_after_s=RETRY_AFTER_S))
        body = await self._read_body(request)
        call = openai_chat.read_call(body)
        if isinstance(call, Failure):
            raise AnswerFailed(call)
        if self._catalogue.find(call.model) is None:
            raise AnswerFailed(model_not_found(call.model))
        hold = self._admission.admit(key, project)
        if isinstance(hold, Failure):
            raise AnswerFailed(hold)
        envelope = self._envelope(key, project, call, len(body))
        exchange = self._exchanges.open(envelope, body)
        status, failure = 500, None
        try:
            await self._put(exchange)
            response = await self._answers.write(request, exchange)
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

    def _envelope(self, key: ApiKey, project: Project, call: openai_chat.ChatCall, body_bytes: int) -> RequestEnvelope:
        now_ms = self._clock.now_ms()
        # A body that must not be kept stays out of Kafka, whose disk keeps it for minutes (G5). And Kafka's limit on a
        # record is no reason to refuse a large prompt. Both go by the reply channel.
        held = bool(call.zero_data_retention) or body_bytes > self._settings.max_inline_body_bytes
        return RequestEnvelope(
            request_id=new_id("req", now_ms, self._random_bytes),
            stream_id=self._exchanges.next_stream_id(),
            reply_url=self._reply_url(),
            token=self._random_bytes(16).hex(),
            delivery=0,
            accepted_at_ms=now_ms,
            deadline_ms=now_ms + int(self._settings.request_deadline_s * 1000),
            attribution=Attribution(
                organization_id=project.organization_id, project_id=project.project_id, api_key_id=key.api_key_id
            ),
            surface="openai.chat",
            model=call.model,
            streaming=bool(call.stream),
            max_output_tokens=call.max_output_tokens,
            body="held" if held else "inline",
        )

    async def _put(self, exchange: Exchange) -> None:
        """Raises AnswerFailed."""
        try:
            await self._queue.put(exchange)
        except QueueUnavailable:
            self._exchanges.forget(exchange)
            raise AnswerFailed(queue_unavailable(), exchange.envelope.request_id) from None

    async def _list_models(self, request: web.Request) -> web.Response:
        self._caller(request)
        return web.Response(body=self._models.list_body, content_type="application/json")

    async def _one_model(self, request: web.Request) -> web.Response:
        self._caller(request)
        page = self._models.one(request.match_info["model"])
        if isinstance(page, Failure):
            raise AnswerFailed(page)
        return web.Response(body=page, content_type="application/json")
