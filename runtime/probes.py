"""/livez, /readyz and /metrics, the same for every service, on a port of their own.

/livez: the event loop turns. /readyz: the service can do its work now; its body names what is not ready.
A process that drains is alive but not ready.
"""

from collections.abc import Callable
from pathlib import Path

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from runtime.shared_settings import ProbeSettings

ReadyCheck = Callable[[], str | None]
"""None when ready, else one line that says why not."""


class Probes:
    def __init__(self, settings: ProbeSettings, metrics: Metrics, checks: dict[str, ReadyCheck]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._checks = checks
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        if self._settings.port_file:
            host, port = self._runner.addresses[0][:2]
            write_port_file(self._settings.port_file, f"http://{host}:{port}")

    async def stop(self, deadline: Deadline) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = {name: reason for name, check in self._checks.items() if (reason := check()) is not None}
        return web.Response(
            status=503 if reasons else 200,
            body=orjson.dumps({"ready": not reasons, "not_ready": reasons}) + b"\n",
            content_type="application/json",
        )

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def write_port_file(path: str, url: str) -> None:
    """Written whole or not at all: whoever waits for the file may read it the moment that it appears."""
    target = Path(path)
    draft = target.with_name(target.name + ".draft")
    draft.write_text(url + "\n", encoding="utf-8")
    draft.rename(target)
