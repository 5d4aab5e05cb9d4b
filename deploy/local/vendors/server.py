"""The simulator's HTTP surface: vendors' endpoints (wires.py), and the ledger's.

aiohttp's low-level server is used without its router: an endpoint is the end of a path, and the benches pay for every
microsecond spent here.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from deploy.local.vendors.behaviour import KINDS
from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.openai_wire import OpenAIWire
from deploy.local.vendors.wire import Incoming, Refused, Wire
from deploy.local.vendors.wires import all_endpoints

MAX_BODY_BYTES = 64 * 1024 * 1024
DEFAULT_LEDGER_LIMIT = 100_000
# Long, so that a caller's pooled connection is never closed under it in the middle of a bench.
_KEEPALIVE_S = 3600.0
_SHUTDOWN_S = 0.05


class VendorServer:
    """Handles one request at a time; `vendors` holds all state."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._endpoints = all_endpoints()
        # Its envelope is the one in which unknown paths are refused.
        self._openai = OpenAIWire()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        other_method: Wire | None = None
        for endpoint in self._endpoints:
            path_params = endpoint.matches(path)
            if path_params is None:
                continue
            if endpoint.only_with_header is not None and endpoint.only_with_header not in request.headers:
                continue
            vendor = unquote(path.split("/", 2)[1])
            wire = endpoint.wire_of(vendor)
            if endpoint.method != request.method:
                other_method = other_method or wire
            elif endpoint.lists_models:
                return self._models(request, wire, vendor)
            else:
                return await self._vendors.call(request, wire, vendor, path_params)
        if other_method is not None:
            return _refused(other_method, Refused(405, f"{request.method} is not allowed here."))
        return self._other(request, path)

    def _other(self, request: web.BaseRequest, path: str) -> web.Response:
        match request.method, path:
            case "GET", "/healthz":
                return web.Response(text="ok")
            case "GET", "/ledger":
                return self._ledger(request.query)
            case "DELETE", "/ledger":
                return _json({"deleted": self._vendors.reset()})
            case "GET", "/ledger/summary":
                return _json(self._vendors.ledger.summary())
        return _refused(
            self._openai, Refused(404, f"Unknown request URL: {request.method} {path}.", code="unknown_url")
        )

    def _ledger(self, query: Mapping[str, str]) -> web.Response:
        try:
            since = int(query.get("since", "0"))
            limit = int(query.get("limit", str(DEFAULT_LEDGER_LIMIT)))
        except ValueError:
            return _json({"error": "since and limit must be whole numbers"}, status=400)
        calls, next_since = self._vendors.ledger.rows(since, query.get("attempt_id"), query.get("model"), limit)
        return _json({"calls": calls, "next": next_since})

    def _models(self, request: web.BaseRequest, wire: Wire, vendor: str) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        incoming = Incoming("GET", path, query, {}, request.query, request.headers, b"")
        try:
            wire.authorize(incoming)
        except Refused as refused:
            return _refused(wire, refused)
        models = sorted({*KINDS, *self._vendors.prices.models(vendor)})
        return web.Response(body=wire.models_body(vendor, models), content_type="application/json")


class RunningServer:
    """A listening server; `port` is the real one when 0 was asked for."""

    def __init__(self, runner: web.ServerRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def close(self) -> None:
        """Cuts the calls in progress; they are in the ledger as hung up."""
        await self._runner.cleanup()


async def start_server(vendors: Vendors, host: str = "127.0.0.1", port: int = 0) -> RunningServer:
    loop = asyncio.get_running_loop()

    def request_factory(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)

    server = web.Server(
        VendorServer(vendors).handle,
        request_factory=request_factory,
        # Off by default in aiohttp; without it a hang-up is noticed only at the next write, for `never` not at all.
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=4096).start()
    return RunningServer(runner, host, runner.addresses[0][1])


def _refused(wire: Wire, refused: Refused) -> web.Response:
    headers = {"Content-Type": "application/json", **wire.error_headers(refused)}
    return web.Response(status=refused.status, body=wire.error_body(refused), headers=headers)


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
