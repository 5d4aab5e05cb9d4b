"""The vendor simulator on a free port, and what its tests ask of it."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import Ledger
from deploy.local.vendors.prices import load_prices
from deploy.local.vendors.server import start_server

HEADERS = {"Authorization": "Bearer k", "Content-Type": "application/json"}


@asynccontextmanager
async def simulated_vendors() -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose paths begin with a vendor's name, with a key that is good."""
    server = await start_server(Vendors(Ledger(time.time), load_prices(), "t"))
    async with aiohttp.ClientSession(server.url, headers=HEADERS, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session
    await server.close()


async def origin_of(http: aiohttp.ClientSession) -> str:
    """Where the simulator listens, for clients that bring their own HTTP."""
    async with http.get("/healthz") as response:
        return str(response.url.origin())


async def post(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(path, json=body) as response:
        return response.status, await response.json(content_type=None)


async def post_stream(http: aiohttp.ClientSession, path: str, body: Any) -> list[dict[str, Any]]:
    """The data of all server-sent events but `[DONE]`; where an event has a name it must be its type."""
    async with http.post(path, json=body) as response:
        text = await response.text()
        assert response.status == 200, text
        assert response.headers["Content-Type"].startswith("text/event-stream")
    events = []
    for event in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.split("\n"))
        if fields["data"] != "[DONE]":
            events.append(json.loads(fields["data"]))
            assert fields.get("event") in (None, events[-1].get("type"))
    return events


async def last_call(http: aiohttp.ClientSession) -> dict[str, Any]:
    """The newest entry of the ledger."""
    async with http.get("/ledger") as response:
        calls: list[dict[str, Any]] = (await response.json())["calls"]
        return calls[-1]
