"""The HTTP edge for clients: paths, and the one place where failures become responses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import Counter

from ingress.answer import STREAM_BEGUN, AnswerFailed
from ingress.answer_headers import REQUEST_ID
from ingress.client_apis import ANY_KEY, ENDPOINTS, GEMINI_ACTIONS, GEMINI_PATHS, MODEL_LISTS, SURFACES, surface_of_path
from ingress.exchanges import Exchanges
from ingress.models_page import ModelsPage
from ingress.request_path import RequestPath
from ingress.settings import ApiSettings
from ingress.surfaces.surface import ClientSurface
from runtime.clock import Clock
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from runtime.probes import write_port_file
from schemas.catalogue import Catalogue
from schemas.failures import Failure, FailureKind, clipped
from schemas.ids import RandomBytes, new_id

log = structlog.get_logger(__name__)


LAST_WRITES_S = 1.0
"""At the end of the drain: for answers that have left their handler and not yet the socket. aiohttp waits for it twice,
and its own minute would outlast the pod's grace period."""


class _NoBrokenHttp(logging.Filter):
    """aiohttp logs a request that is no HTTP with the line at fault: a header with a key, maybe, or an address with one
    in its query (G7), or, after a `Content-Length` that was too short, a piece of a prompt (G5). The client is told.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_NO_BROKEN_HTTP = _NoBrokenHttp()


class HttpApi:
    def __init__(
        self,
        settings: ApiSettings,
        path: RequestPath,
        catalogue: Catalogue,
        exchanges: Exchanges,
        clock: Clock,
        random_bytes: RandomBytes,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._exchanges = exchanges
        self._clock = clock
        self._random_bytes = random_bytes
        self._path = path
        self._models = ModelsPage(catalogue)
        self._responses = metrics.counter("tollhouse_ingress_responses_total")
        self._responses_of: dict[tuple[str, int], Counter] = {}
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._open_handlers = 0
        self._draining = False

    async def start(self) -> None:
        logging.getLogger("aiohttp.server").addFilter(_NO_BROKEN_HTTP)
        app = web.Application(client_max_size=self._settings.max_body_bytes, middlewares=[self._edge])
        for endpoint in ENDPOINTS:
            app.router.add_post(endpoint.path, self._endpoint(endpoint.surface))
        for path in GEMINI_PATHS:
            app.router.add_post(path, self._gemini)
        for path in MODEL_LISTS:
            app.router.add_get(path, self._list_models)
            app.router.add_get(path + "/{model:.+}", self._one_model)
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
        surface = surface_of_path(request.path)
        try:
            response = await handler(request)
        except AnswerFailed as failed:
            response = self._refuse(surface, failed.failure, failed.request_id, failed.headers)
        except web.HTTPRequestEntityTooLarge:
            limit = self._settings.max_body_bytes
            text = f"The request body is larger than {limit} bytes."
            response = self._refuse(surface, Failure(kind=FailureKind.BODY_TOO_LARGE, message=text))
        except web.RequestPayloadError:
            text = "The request body cannot be read: it is not encoded as its headers say."
            response = self._refuse(surface, Failure(kind=FailureKind.INVALID_REQUEST, message=text))
        except web.HTTPNotFound:
            response = self._refuse(
                surface,
                Failure(kind=FailureKind.UNKNOWN_PATH, message=f"There is nothing at {request.method} {request.path}."),
            )
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.path} does not take {request.method}, only {allowed}."
            response = self._refuse(surface, Failure(kind=FailureKind.METHOD_NOT_ALLOWED, message=text))
            response.headers["Allow"] = allowed
        except ConnectionError:
            raise  # the client is gone; there is nobody to answer
        except Exception:  # the HTTP edge: a mistake of ours must not reach the client as a trace
            log.exception("request failed", path=request.path)
            if STREAM_BEGUN in request:
                # A second response would end up inside the first one; only the connection can still be ended.
                raise ConnectionResetError from None
            response = self._refuse(surface, Failure(kind=FailureKind.INTERNAL))
        finally:
            self._open_handlers -= 1
        if self._draining:
            response.force_close()
        self._count(surface, response.status)
        return response

    def _count(self, surface: ClientSurface, status: int) -> None:
        counter = self._responses_of.get((surface.name, status))
        if counter is None:
            # Looking a label set up anew costs more than counting, on the path of every request.
            counter = self._responses.labels(surface=surface.name, status=str(status))
            self._responses_of[surface.name, status] = counter
        counter.inc()

    def _refuse(
        self,
        surface: ClientSurface,
        failure: Failure,
        request_id: str | None = None,
        more_headers: Mapping[str, str] = MappingProxyType({}),
    ) -> web.Response:
        if request_id is None:
            # Also what was refused at the door has a name, by which a caller can ask about it.
            request_id = new_id("req", self._clock.now_ms(), self._random_bytes)
            log.debug("refused", request_id=request_id, failure=failure.kind.value)
        failure = clipped(failure)
        headers = {"Content-Type": "application/json", REQUEST_ID: request_id, **more_headers}
        if failure.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, round(failure.retry_after_s)))
        return web.Response(status=failure.http_status, body=surface.error_body(failure, request_id), headers=headers)

    def _endpoint(self, surface: ClientSurface) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._path.handle(request, surface, None, streaming=False)

        return handle

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        """Gemini's API names the model and what to do with it in the path."""
        action = request.match_info["action"]
        if action not in GEMINI_ACTIONS:
            raise web.HTTPNotFound
        streaming = action == "streamGenerateContent"
        if streaming and request.query.get("alt") != "sse":
            text = "streamGenerateContent is served as server-sent events only: add '?alt=sse', as the SDKs do."
            raise AnswerFailed(Failure(kind=FailureKind.INVALID_REQUEST, message=text, param="alt"))
        return await self._path.handle(
            request, SURFACES["gemini.generate"], request.match_info["model"], streaming=streaming
        )

    async def _list_models(self, request: web.Request) -> web.Response:
        caller = self._path.caller(request, ANY_KEY)
        return web.Response(body=self._models.list_for(caller.key), content_type="application/json")

    async def _one_model(self, request: web.Request) -> web.Response:
        caller = self._path.caller(request, ANY_KEY)
        page = self._models.one(request.match_info["model"], caller.key)
        if isinstance(page, Failure):
            raise AnswerFailed(page)
        return web.Response(body=page, content_type="application/json")
