"""Run the server: `python -m deploy.local.clickhouse --path DIR [--port N]`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from deploy.local.clickhouse.access import Account
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import EngineUnavailableError
from deploy.local.clickhouse.handle import Handle
from deploy.local.clickhouse.server import CANCEL_S, ClickHouseHttp
from deploy.local.clickhouse.sessions import Sessions

_ANSWER_S = 2.0  # for answers still being sent when their statements have ended; aiohttp waits up to twice that


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 1 if it could not start or not stop cleanly."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="clickhouse: %(message)s")
    try:
        stopped_cleanly = asyncio.run(_serve(options))
    except (EngineUnavailableError, OSError) as error:
        print(f"clickhouse: {error}", file=sys.stderr)
        return 1
    if not stopped_cleanly:
        print("clickhouse: gave up on statements that would not end", file=sys.stderr, flush=True)
        os._exit(1)  # an ordinary exit would wait for their threads for ever; what was acknowledged is on disk
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy.local.clickhouse", description="ClickHouse's HTTP interface over an embedded engine"
    )
    parser.add_argument("--path", type=Path, required=True, help="data directory; created if missing")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it is served")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--threads", type=int, default=8, help="statements that may run at once")
    return parser


async def _serve(options: argparse.Namespace) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = Engine.open(options.path, threads=options.threads)
    sessions: Sessions[Handle] = Sessions(time.monotonic)
    server = ClickHouseHttp(engine, Account(options.user, options.password), sessions)
    runner = web.AppRunner(server.application(), access_log=None, auto_decompress=False, shutdown_timeout=_ANSWER_S)
    try:
        await runner.setup()
        await web.TCPSite(runner, options.host, options.port).start()
        _announce(runner.addresses[0][1], options)
        await stop.wait()
    finally:
        # 1. Take no more requests; running statements finish or are cancelled, and are answered (see
        #    ClickHouseHttp). 2. Nothing may be left on the engine: it would wait for ever on a thread within it.
        # 3. Close the handles, then the engine.
        await runner.cleanup()
        settled = await asyncio.to_thread(engine.settle, 0.0, CANCEL_S)
        if settled:
            for handle in sessions.take_all():
                handle.close()
            engine.close()
    return settled


def _announce(port: int, options: argparse.Namespace) -> None:
    if options.port_file is not None:
        # Renamed into place, so that a reader never sees half a number.
        unfinished = options.port_file.with_name(options.port_file.name + ".tmp")
        unfinished.write_text(f"{port}\n")
        unfinished.replace(options.port_file)
    print(f"clickhouse ready on http://{options.host}:{port}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
