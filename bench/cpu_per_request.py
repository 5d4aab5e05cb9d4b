"""CPU per request: the gateway's three services against a bare pass-through proxy, in one run on one machine.

    make bench        (or: python -m bench.cpu_per_request [--rounds 3] [--requests 8000] [--clients 64])

Everything runs: keys, admission, claims, usage events, exact billing into ClickHouse. The vendor is the simulator, at
its fastest. CPU is what the kernel has counted for each process (/proc/<pid>/stat, user and system), including what the
billing consumer still does after the last answer. The ratio is the figure; milliseconds depend on the machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.load import run as run_load
from tests.e2e.stack import Stack

SERVICES = ("ingress", "router_worker", "billing_consumer")
TICKS_PER_S = 100
PATH = "/v1/chat/completions"


def cpu_s(pids: list[int]) -> float:
    """Seconds of CPU that the processes have used so far."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return total


def wait_until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("bench: the account was not complete in time")
        time.sleep(0.1)


@contextmanager
def pass_through(vendor_url: str) -> Iterator[tuple[str, int]]:
    """URL and pid of a running pass-through proxy."""
    command = [sys.executable, "-m", "bench.pass_through", "--vendor", f"{vendor_url}/sim-a/v1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        yield proxy.stdout.readline().strip(), proxy.pid
        proxy.terminate()


class Bench:
    def __init__(self, stack: Stack, proxy_url: str, proxy_pid: int, requests: int, clients: int) -> None:
        self._stack = stack
        self._proxy_url = proxy_url
        self._proxy_pid = proxy_pid
        self._requests = requests
        self._clients = clients
        self._billed = stack.totals()["attempts"][0]

    def _load(self, url: str, key: str, model: str, stream: bool) -> dict[str, Any]:
        result = uvloop.run(
            run_load(url, PATH, key, model, clients=self._clients, requests=self._requests, stream=stream)
        )
        if result["failures"]:
            sys.exit(f"bench: {result}")
        return result

    def proxy_round(self, model: str, stream: bool) -> float:
        """Milliseconds of CPU per request."""
        before = cpu_s([self._proxy_pid])
        self._load(self._proxy_url, "bench", model, stream)
        return (cpu_s([self._proxy_pid]) - before) * 1000 / self._requests

    def gateway_round(self, model: str, stream: bool) -> tuple[dict[str, float], dict[str, Any]]:
        """Milliseconds of CPU per request by service, until all of it is billed; and what the clients saw."""
        before = {service: cpu_s(self._stack.pids(service)) for service in SERVICES}
        result = self._load(self._stack.api_url, self._stack.api_key, model, stream)
        self._billed += self._requests
        wait_until(lambda: self._stack.totals()["attempts"][0] >= self._billed, 60)
        after = {service: cpu_s(self._stack.pids(service)) for service in SERVICES}
        return {name: (after[name] - before[name]) * 1000 / self._requests for name in SERVICES}, result


def report(title: str, bare: list[float], rounds: list[dict[str, float]], clients: list[dict[str, Any]]) -> str:
    """One section of Markdown: medians, and the ratio to the bare proxy in the same run."""
    bare_ms = statistics.median(bare)
    rows = [f"### {title}", "", "| | CPU ms per request | × bare proxy |", "|---|---|---|"]
    rows.append(f"| bare aiohttp pass-through | {bare_ms:.3f} | 1.00 |")
    for service in SERVICES:
        ms = statistics.median(each[service] for each in rounds)
        rows.append(f"| {service} | {ms:.3f} | {ms / bare_ms:.2f} |")
    total_ms = statistics.median(sum(each.values()) for each in rounds)
    rows.append(f"| **all three** | **{total_ms:.3f}** | **{total_ms / bare_ms:.2f}** |")
    middle = sorted(clients, key=lambda each: float(each["per_second"]))[len(clients) // 2]
    rows += ["", f"Load generator and everything else on the same cores: {middle['per_second']} requests/s,"]
    rows += [f"p50 {middle['p50_ms']} ms, p99 {middle['p99_ms']} ms. Rounds: {len(rounds)}."]
    return "\n".join(rows)


def measure(bench: Bench, title: str, proxy_model: str, model: str, stream: bool, rounds: int) -> str:
    bench.proxy_round(proxy_model, stream)
    bench.gateway_round(model, stream)  # both warm
    bare, gateway, clients = [], [], []
    for number in range(rounds):
        print(f"{title}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        bare.append(bench.proxy_round(proxy_model, stream))
        by_service, seen = bench.gateway_round(model, stream)
        gateway.append(by_service)
        clients.append(seen)
    return report(title, bare, gateway, clients)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.cpu_per_request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tollhouse-bench-") as directory:
        stack = Stack(Path(directory) / "stack", [], {})
        print("starting the stack", file=sys.stderr, flush=True)
        stack.up()
        try:
            with pass_through(str(stack.info["vendor_url"])) as (url, pid):
                bench = Bench(stack, url, pid, options.requests, options.clients)
                title = f"Plain requests, {options.clients} clients"
                print(measure(bench, title, "echo", "e2e-echo", False, options.rounds))
                print()
                title = f"Streams of 20 chunks 20 ms apart, {options.clients} clients"
                bench = Bench(stack, url, pid, options.requests // 8, options.clients)
                print(measure(bench, title, "echo:chunks=20:gap_ms=20", "e2e-brisk", True, options.rounds))
        finally:
            stack.down()


if __name__ == "__main__":
    main()
