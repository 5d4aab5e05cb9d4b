"""The HTTP edge: routes, the order of checks, and the one place where refusals become responses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from admin_api.configuration import Configuration
from admin_api.management_auth import authenticate
from admin_api.openapi import ErrorBody, Problem
from admin_api.operation import (
    BASE_PATH,
    Answer,
    Call,
    Caller,
    Operation,
    Queries,
    QueriesUnavailable,
    Refusal,
)
from admin_api.request_fields import read_body, read_if_match, read_query
from admin_api.settings import AdminSettings
from runtime.clock import Clock
from runtime.lifecycle import Deadline
from runtime.probes import write_port_file
from schemas.ids import RandomBytes, new_id

log = structlog.get_logger(__name__)

REQUEST_ID = "X-Request-Id"
LAST_WRITES_S = 1.0
"""At the end of the drain, for answers that have left their handler and not yet the socket."""

_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 409: "conflict_error"}
_NOBODY = Caller("", "", False)


class _NoBrokenHttp(logging.Filter):
    """aiohttp logs a request that is no HTTP with the line at fault: a header with a key, maybe (G7)."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_NO_BROKEN_HTTP = _NoBrokenHttp()


class HttpApi:
    def __init__(
        self,
        settings: AdminSettings,
        operations: tuple[Operation, ...],
        configuration: Configuration,
        queries: Queries,
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        self._settings = settings
        self._operations = operations
        self._configuration = configuration
        self._queries = queries
        self._clock = clock
        self._random_bytes = random_bytes
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._open = 0
        self._draining = False

    async def start(self) -> None:
        logging.getLogger("aiohttp.server").addFilter(_NO_BROKEN_HTTP)
        app = web.Application(client_max_size=self._settings.max_body_bytes, middlewares=[self._edge])
        for operation in self._operations:
            # Ids may be any text, a slash (as %2F) and braces included.
            path = BASE_PATH + operation.path.replace("}", ":[^/]+}")
            app.router.add_route(operation.method, path, self._endpoint(operation))
        # A change is not cancelled when its caller hangs up: it is made, or not, but never left open.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=LAST_WRITES_S)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await self._site.start()
        if self._settings.port_file:
            write_port_file(self._settings.port_file, self.url)

    @property
    def url(self) -> str:
        assert self._runner is not None, "url before start"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self, deadline: Deadline) -> None:
        self._draining = True
        if self._site is not None:
            await self._site.stop()
        # Polled: there is no event for a counter, and this is the end of the process.
        while self._open and deadline.left_s() > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
        if self._runner is not None:
            await self._runner.cleanup()

    def _endpoint(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            now_ms = self._clock.now_ms()
            call = Call(
                caller=self._caller(operation, request, now_ms),
                path=dict(request.match_info),
                query=read_query(operation, request.query.items()),
                body=read_body(operation, await self._read(request)),
                now_ms=now_ms,
                queries=self._queries,
                config=self._configuration,
                if_match=read_if_match(request.headers.get("If-Match")),
            )
            answer = await operation.handler(call)
            if operation.access == "admin":
                log.info(
                    "changed",
                    operation=operation.operation_id,
                    actor=call.caller.actor,
                    path=request.path,
                    version=answer.version,
                )
            return _response(operation, answer)

        return serve

    def _caller(self, operation: Operation, request: web.Request, now_ms: int) -> Caller:
        if operation.access == "public":
            return _NOBODY
        if self._configuration.changer.age_s() > self._settings.stale_after_s:
            raise Refusal(503, "configuration_stale", "The configuration cannot be verified at present. Try again.")
        caller = authenticate(self._configuration.state, request.headers.get("Authorization"), now_ms)
        if operation.access == "admin" and not caller.is_admin:
            raise Refusal(403, "read_only_key", "This management key may look, but not change anything.")
        return caller

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except TimeoutError:
            raise Refusal(408, "body_timeout", "The request body did not arrive in time.") from None

    @web.middleware
    async def _edge(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._open += 1
        request_id = new_id("req", self._clock.now_ms(), self._random_bytes)
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = _refused(refusal)
        except QueriesUnavailable:
            response = _refused(
                Refusal(503, "clickhouse_unavailable", "ClickHouse does not answer. Try again shortly.")
            )
        except web.HTTPRequestEntityTooLarge:
            text = f"The request body is larger than {self._settings.max_body_bytes} bytes."
            response = _refused(Refusal(413, "body_too_large", text))
        except web.RequestPayloadError:
            text = "The request body cannot be read: it is not encoded as its headers say."
            response = _refused(Refusal(400, "unreadable_body", text))
        except web.HTTPNotFound:
            text = f"There is nothing at this path. The API begins at {BASE_PATH}."
            response = _refused(Refusal(404, "unknown_path", text))
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            response = _refused(Refusal(405, "method_not_allowed", f"This path takes only {allowed}."))
            response.headers["Allow"] = allowed
        except ConnectionError:
            raise  # the caller is gone; there is nobody to answer
        except Exception:  # the HTTP edge: a mistake of ours must not reach the caller as a trace
            log.exception("request failed", request_id=request_id, path=request.path)
            response = _refused(Refusal(500, "internal", "The admin API made a mistake. It has been logged."))
        finally:
            self._open -= 1
        response.headers[REQUEST_ID] = request_id
        # Answers may have a new key's secret in them.
        response.headers["Cache-Control"] = "no-store"
        if self._draining:
            response.force_close()
        return response


def _response(operation: Operation, answer: Answer) -> web.Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    if answer.version is not None:
        headers["ETag"] = f'"{answer.version}"'
    body = answer.text.encode() if answer.text is not None else msgspec.json.encode(answer.body)
    return web.Response(status=operation.status, body=body, headers=headers)


def _refused(refusal: Refusal) -> web.Response:
    error_type = _ERROR_TYPES.get(refusal.status)
    if error_type is None:
        error_type = "invalid_request_error" if refusal.status < 500 else "unavailable_error"
    if refusal.status == 500:
        error_type = "internal_error"
    message = refusal.message[:1000].encode(errors="replace").decode()
    problem = Problem(type=error_type, message=message, param=refusal.param, code=refusal.code)
    headers = {"Content-Type": "application/json"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=refusal.status, body=msgspec.json.encode(ErrorBody(error=problem)), headers=headers)
