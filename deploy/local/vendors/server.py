"""The simulator's HTTP surface: vendors' routes by suffix, and the ledger's.

aiohttp's low-level server is used without its router: routes are a suffix each, and the benches pay for every
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
from deploy.local.vendors.vendor_rules import RULES
from deploy.local.vendors.wire import Refused, Wire

MAX_BODY_BYTES = 64 * 1024 * 1024
DEFAULT_LEDGER_LIMIT = 100_000
# Long, so that a caller's pooled connection is never closed under it in the middle of a bench.
_KEEPALIVE_S = 3600.0
_SHUTDOWN_S = 0.05


class VendorServer:
    """Handles one request at a time; `vendors` holds all state."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._openai = OpenAIWire()
        openai_of_vendor: dict[str, Wire] = {vendor: OpenAIWire(rules) for vendor, rules in RULES.items()}
        # Which wire format a path speaks, as documented and as some vendors speak it. The first path segment names the
        # vendor, whatever lies between.
        self._wires: tuple[tuple[str, Wire, Mapping[str, Wire]], ...] = (
            ("/chat/completions", self._openai, openai_of_vendor),
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        for suffix, documented, of_vendor in self._wires:
            # Without a segment before the suffix there is no vendor.
            if path.endswith(suffix) and len(path) > len(suffix):
                if request.method != "POST":
                    return _refused(documented, Refused(405, f"{request.method} is not allowed here."))
                vendor = unquote(path.split("/", 2)[1])
                return await self._vendors.call(request, of_vendor.get(vendor, documented), vendor)
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
            case "GET", _ if path.endswith("/models") and path.count("/") >= 2:
                return self._models(request, unquote(path.split("/", 2)[1]))
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

    def _models(self, request: web.BaseRequest, vendor: str) -> web.Response:
        try:
            self._openai.authorize(request.headers.get("Authorization"), "application/json")
        except Refused as refused:
            return _refused(self._openai, refused)
        models = sorted({*KINDS, *self._vendors.prices.models(vendor)})
        return web.Response(body=self._openai.models_body(vendor, models), content_type="application/json")


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
    return web.Response(status=refused.status, body=wire.error_body(refused), content_type="application/json")


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
