"""`python -m deploy.local.vendors`: runs the vendor simulator until SIGTERM or SIGINT."""

import argparse
import asyncio
import gc
import signal
import time
from pathlib import Path

import uvloop

from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import DEFAULT_MAX_ENTRIES, Ledger
from deploy.local.vendors.prices import DEFAULT_PRICES_PATH, PriceTable, load_prices
from deploy.local.vendors.server import start_server


def main() -> None:
    arguments = _parser().parse_args()
    prices = load_prices(arguments.prices)
    # A ledger of millions of entries stays; walking over it again and again would only show as latency.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvloop.run(_serve(arguments.host, arguments.port, arguments.port_file, arguments.max_entries, prices))


async def _serve(host: str, port: int, port_file: Path | None, max_entries: int, prices: PriceTable) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    vendors = Vendors(Ledger(time.time, max_entries), prices, f"{time.time_ns():x}")
    server = await start_server(vendors, host, port)
    if port_file is not None:
        # Renamed into place, so that nobody reads half a number.
        unfinished = port_file.with_name(port_file.name + ".unfinished")
        unfinished.write_text(f"{server.port}\n", encoding="ascii")
        unfinished.replace(port_file)
    print(f"vendors ready on {server.url}", flush=True)
    await stop.wait()
    await server.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.vendors", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--port-file", type=Path, help="the port is written here when the server is ready")
    parser.add_argument("--prices", type=Path, default=DEFAULT_PRICES_PATH, help="TOML, see prices.toml")
    parser.add_argument(
        "--max-entries", type=int, default=DEFAULT_MAX_ENTRIES, help="ledger entries kept; totals stay exact"
    )
    return parser


if __name__ == "__main__":
    main()
