"""The vendor simulator in this process, and vendors, routes and models that lead to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal

import msgspec

from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import CallRow, Ledger
from deploy.local.vendors.prices import load_prices
from deploy.local.vendors.server import start_server
from router_worker.usable_vendor import UsableVendor
from router_worker.vendors.row import VendorRow
from router_worker.vendors.table import BUILT_IN
from router_worker.ways import ways_of
from schemas.catalogue import Model, Price, Route
from schemas.money import usd_to_pico

# The simulator's default prices.
PRICE = Price(
    start=date(2020, 1, 1), input=Decimal("1.00"), cached_input=Decimal("0.10"), output=Decimal("2.00"), source="test"
)


class Simulator:
    def __init__(self, url: str, ledger: Ledger) -> None:
        self.url = url
        self._ledger = ledger

    def calls(self) -> list[CallRow]:
        return self._ledger.rows(0, None, None, 1000)[0]

    def cost_pico_usd(self) -> int:
        return sum(usd_to_pico(call["cost_usd"]) for call in self.calls())

    def vendor(self, name: str) -> UsableVendor:
        return usable(name, f"{self.url}/{name}/v1")


@asynccontextmanager
async def simulator() -> AsyncIterator[Simulator]:
    ledger = Ledger(time.time)
    server = await start_server(Vendors(ledger, load_prices(), "t"))
    yield Simulator(server.url, ledger)
    await server.close()


def usable(name: str, base_url: str) -> UsableVendor:
    """In OpenAI's format, but for the vendor that the simulator plays in Anthropic's."""
    if name == "sim-anthropic":
        row = msgspec.structs.replace(BUILT_IN["anthropic"], name=name, base_url=base_url)
    else:
        row = VendorRow(name=name, base_url=base_url, api_key_env=None)
    return UsableVendor(ways=ways_of(row), base_url=base_url, api_key="k")


def route(vendor: str, vendor_model: str, max_output_tokens: int = 4096) -> Route:
    return Route(
        vendor=vendor,
        vendor_model=vendor_model,
        prices=(PRICE,),
        context_tokens=100_000,
        max_output_tokens=max_output_tokens,
        capabilities=frozenset({"streaming", "tools"}),
    )


def model(*routes: Route) -> Model:
    return Model(model_id="m", name="M", provider="p", routes=routes)


@asynccontextmanager
async def raw_vendor(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[UsableVendor]:
    """A vendor that sends bytes which no HTTP server would send. `answer` is called once the request was read."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield usable("raw", f"http://{host}:{port}/v1")
    finally:
        server.close()
