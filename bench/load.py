"""A closed-loop load generator: N clients, one connection each, each asking again when it has its answer.

    python -m bench.load --url http://127.0.0.1:8080 --key th_... --clients 64 --requests 10000 [--stream]

Prints one JSON object: requests, failures, seconds, requests per second, latencies in milliseconds.
It reads responses with a bare parser, so that the generator takes as little of the shared cores as it can.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

BODY_BYTES = 1024


def request_bytes(url: str, path: str, key: str, model: str, stream: bool) -> bytes:
    """One HTTP/1.1 request with a body of about `BODY_BYTES`."""
    parts = urlsplit(url)
    payload: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": ""}]}
    if stream:
        payload["stream"] = True
    filler = BODY_BYTES - len(orjson.dumps(payload))
    payload["messages"][0]["content"] = ("word " * BODY_BYTES)[: max(5, filler)]
    body = orjson.dumps(payload)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.hostname}:{parts.port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_response(reader: asyncio.StreamReader) -> int:
    """Reads one whole response; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            await reader.readexactly(size + 2)
            if size == 0:
                return status
    start = lowered.index(b"content-length:") + len(b"content-length:")
    await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
    return status


class Load:
    def __init__(self, url: str, request: bytes, total: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._request = request
        self._left = total
        self.latencies_ms: list[float] = []
        self.statuses: Counter[int] = Counter()

    async def client(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        while self._left > 0:
            self._left -= 1
            started = time.perf_counter()
            writer.write(self._request)
            self.statuses[await read_response(reader)] += 1
            self.latencies_ms.append((time.perf_counter() - started) * 1000)
        writer.close()

    def result(self, seconds: float) -> dict[str, Any]:
        ordered = sorted(self.latencies_ms)
        count = len(ordered)

        def percentile(share: float) -> float:
            return round(ordered[min(count - 1, int(count * share))], 2)

        return {
            "requests": count,
            "failures": count - self.statuses[200],
            "statuses": {str(status): times for status, times in sorted(self.statuses.items())},
            "seconds": round(seconds, 3),
            "per_second": round(count / seconds, 1),
            "p50_ms": percentile(0.5),
            "p99_ms": percentile(0.99),
            "max_ms": round(ordered[-1], 2),
        }


async def run(
    url: str, path: str, key: str, model: str, *, clients: int, requests: int, stream: bool
) -> dict[str, Any]:
    load = Load(url, request_bytes(url, path, key, model, stream), requests)
    started = time.perf_counter()
    await asyncio.gather(*(load.client() for _ in range(clients)))
    return load.result(time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.load", description="Closed-loop load on one chat endpoint.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", default="/v1/chat/completions")
    parser.add_argument("--key", required=True)
    parser.add_argument("--model", default="sim-echo")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--stream", action="store_true")
    o = parser.parse_args()
    result = uvloop.run(run(o.url, o.path, o.key, o.model, clients=o.clients, requests=o.requests, stream=o.stream))
    print(orjson.dumps(result).decode())
    sys.exit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()
