"""The aiohttp application: one handler from request to answer. Never blocks the event loop.

A statement's way: credentials are checked, the body is read, the session (if any) is leased; then, in one
of the engine's threads, the body is decompressed, parsed and run, and the answer compressed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import hdrs, web

from deploy.local.clickhouse.access import Account
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import QUERY_IS_TOO_LARGE, STD_EXCEPTION, ClickHouseError, refuse
from deploy.local.clickhouse.formats import choose_encoding, content_type, decode_body, encode_reply
from deploy.local.clickhouse.handle import Handle, Result
from deploy.local.clickhouse.requests import HttpRequest, guard_shared_handle, parse_call
from deploy.local.clickhouse.sessions import Session, Sessions, session_request

FINISH_S = 10.0  # how long running statements may take to finish when the server stops
CANCEL_S = 5.0  # and then to notice that they are cancelled

_MAX_BODY_BYTES = 1 << 30
_SWEEP_INTERVAL_S = 1.0
_HEADER_SAFE = re.compile(r"[\x20-\x7e]{1,256}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    headers: dict[str, str]


class ClickHouseHttp:
    """Serves one engine to one account."""

    def __init__(self, engine: Engine, account: Account, sessions: Sessions[Handle]) -> None:
        self._engine = engine
        self._account = account
        self._sessions = sessions

    def application(self) -> web.Application:
        """To be run with `auto_decompress=False`: bodies are decompressed here, off the event loop."""
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_get("/ping", self._ok)
        application.router.add_get("/replicas_status", self._ok)
        application.router.add_route("*", "/", self._statement)
        application.cleanup_ctx.append(self._sweeping)
        application.on_shutdown.append(self._settle)
        return application

    async def _ok(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _statement(self, request: web.Request) -> web.Response:
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and "query" not in request.query:
            return await self._ok(request)
        given_id = request.query.get("query_id", "")
        headers = {
            "X-ClickHouse-Query-Id": given_id if _HEADER_SAFE.fullmatch(given_id) else str(uuid.uuid4()),
            "X-ClickHouse-Server-Display-Name": "tollhouse-local",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            self._account.check(request.headers, request.query)
            answer = await self._answer(request)
        except ClickHouseError as error:
            return _refusal(error, headers)
        except web.HTTPRequestEntityTooLarge:
            return _refusal(refuse(QUERY_IS_TOO_LARGE, f"Body exceeds {_MAX_BODY_BYTES} bytes"), headers)
        except Exception as error:  # noqa: BLE001 - HTTP edge: the client gets ClickHouse's kind of error, we the trace
            _log.exception("statement failed")
            return _refusal(refuse(STD_EXCEPTION, f"{type(error).__name__}: {error}"), headers)
        return web.Response(body=answer.body, headers=headers | answer.headers)

    async def _answer(self, request: web.Request) -> _Answer:
        http_request, content_encoding = await _read(request)
        wanted = session_request(http_request.fields)
        if wanted is None:
            return await self._engine.run(lambda: self._run(http_request, content_encoding, None))
        with self._sessions.lease(wanted) as session:
            return await self._engine.run(lambda: self._run(http_request, content_encoding, session))

    def _run(self, request: HttpRequest, content_encoding: str, session: Session[Handle] | None) -> _Answer:
        """All that takes CPU or waits for the engine; runs in a thread of the engine's."""
        plain = decode_body(request.body, content_encoding)
        call = parse_call(HttpRequest(request.method, request.fields, request.headers, plain, request.uploads))
        if session is not None:
            guard_shared_handle(call)
            if session.handle is None:
                session.handle = self._engine.open_handle()
            result = session.handle.run_in_session(call)
        else:
            handle = self._engine.open_handle()
            try:
                result = handle.run_once(call)
            finally:
                handle.close()
        headers = {
            "Content-Type": content_type(call.output_format),
            "X-ClickHouse-Summary": _summary(result),
        }
        if call.gives_result or result.data:
            # Clients take its absence for "no result set", so it must be there for an empty one.
            headers["X-ClickHouse-Format"] = call.output_format
        encoding = None
        if result.data and request.fields.get("enable_http_compression") == "1":
            encoding = choose_encoding(request.headers.get("Accept-Encoding", ""))
        if encoding is None:
            return _Answer(result.data, headers)
        return _Answer(encode_reply(result.data, encoding), headers | {"Content-Encoding": encoding})

    async def _sweeping(self, _application: web.Application) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(self._sweep())
        yield
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper

    async def _settle(self, _application: web.Application) -> None:
        # Runs when no more connections are taken and before the open ones are closed, so that clients get
        # their answers, or ClickHouse's QUERY_WAS_CANCELLED, instead of a broken connection.
        await asyncio.to_thread(self._engine.settle, FINISH_S, CANCEL_S)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            for handle in self._sessions.take_expired():
                await self._engine.run(handle.close)


async def _read(request: web.Request) -> tuple[HttpRequest, str]:
    """The request with its body still encoded, and the body's encoding."""
    fields = dict(request.query.items())
    uploads: dict[str, bytes] = {}
    if request.content_type != "multipart/form-data":
        # A form-encoded content type is no different: it is what curl sends with plain SQL.
        body = await request.read()
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "")
        return HttpRequest(request.method, fields, request.headers, body, uploads), encoding
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            uploads[name] = await asyncio.to_thread(value.file.read)
        else:
            fields[name] = value if isinstance(value, str) else bytes(value).decode()
    return HttpRequest(request.method, fields, request.headers, b"", uploads), ""


def _refusal(error: ClickHouseError, headers: dict[str, str]) -> web.Response:
    headers = headers | {"X-ClickHouse-Exception-Code": str(error.code)}
    return web.Response(status=error.http_status, text=f"{error}\n", headers=headers)


def _summary(result: Result) -> str:
    counts = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": result.written_rows,
        "written_bytes": result.written_bytes,
        "total_rows_to_read": result.read_rows,
        "result_rows": result.result_rows,
        "result_bytes": result.result_bytes,
        "elapsed_ns": result.elapsed_ns,
    }
    return json.dumps({name: str(count) for name, count in counts.items()})
