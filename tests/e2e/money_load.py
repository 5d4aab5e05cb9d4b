"""A thousand clients that spend a budget, whatever dies around them: the load of the chaos test.

Each client asks again and again, with a random prompt, streaming or not, with an output cap or without, at a random one
of the ingresses; it tries again, after a short wait, what was refused for the moment or broke. It ends when it has
been told often enough in a row that the budget is spent, or when all are told to stop. Everything random comes from
the seed: what each client asks for, and in which order, is the same in every run, whatever becomes of it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

REFUSALS_IN_A_ROW = 5
"""So many 402 end a client: one may come although money is left, while leases move."""

RETRY_STATUSES = frozenset({429, 502, 503, 504})
FIRST_BACKOFF_S = 0.05
MAX_BACKOFF_S = 1.0
REQUEST_TIMEOUT_S = 60.0
MAX_PROMPT_WORDS = 400
MAX_OUTPUT_TOKENS = 300

_STREAM_DONE = b"data: [DONE]"
_PATH = "/v1/chat/completions"


@dataclass
class LoadReport:
    """statuses: answers by HTTP status. whole: those of 200 that came to their proper end; cut: those that did not, or
    ended in an error event. connection_errors: by the name of the exception (an ingress was killed, or not up yet).
    spent_clients: how many ended because the budget was spent. request_ids: of the whole ones."""

    statuses: Counter[int] = field(default_factory=Counter)
    connection_errors: Counter[str] = field(default_factory=Counter)
    whole: int = 0
    cut: int = 0
    spent_clients: int = 0
    request_ids: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.statuses.total() + self.connection_errors.total()


async def run_load(
    urls: Sequence[str],
    api_key: str,
    clients: int,
    seed: int,
    models: Sequence[str],
    stop: asyncio.Event,
    *,
    refusals_in_a_row: int = REFUSALS_IN_A_ROW,
) -> LoadReport:
    """Returns when every client has ended: by 402s, or after `stop`, which lets what is being asked come to its end."""
    report = LoadReport()
    # One connector for all: keep-alive connections are shared, so a thousand clients need no thousand handshakes at
    # every restart of an ingress. Without a limit, because a client that waited for a connection would not be a client.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    headers = {"Authorization": f"Bearer {api_key}"}
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        load = [
            _Client(session, urls, models, random.Random(f"{seed}/{number}"), report, stop, refusals_in_a_row)
            for number in range(clients)
        ]
        await asyncio.gather(*(client.run() for client in load))
    return report


class _Client:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        models: Sequence[str],
        generator: random.Random,
        report: LoadReport,
        stop: asyncio.Event,
        refusals_in_a_row: int,
    ) -> None:
        self._session = session
        self._urls = urls
        self._models = models
        # Two, so that how often something must be tried again does not change what is asked next.
        self._asks = generator
        self._waits = random.Random(generator.random())
        self._report = report
        self._stop = stop
        self._refusals_left = self._refusals_in_a_row = refusals_in_a_row

    async def run(self) -> None:
        while not self._stop.is_set() and self._refusals_left > 0:
            await self._ask_until_answered(self._next_body())
        if self._refusals_left == 0:
            self._report.spent_clients += 1

    def _next_body(self) -> dict[str, Any]:
        words = self._asks.randint(1, MAX_PROMPT_WORDS)
        body: dict[str, Any] = {
            "model": self._asks.choice(self._models),
            "messages": [{"role": "user", "content": "word " * words}],
            "stream": self._asks.random() < 0.5,
        }
        if self._asks.random() < 0.5:
            body["max_tokens"] = self._asks.randint(1, MAX_OUTPUT_TOKENS)
        return body

    async def _ask_until_answered(self, body: dict[str, Any]) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            status = await self._ask(body)
            if status == 402:
                self._refusals_left -= 1
            elif status is not None and status < 400:
                self._refusals_left = self._refusals_in_a_row
            if status is not None and status not in RETRY_STATUSES and status != 402:
                return
            await self._wait(backoff_s * self._waits.uniform(0.5, 1.5))
            if status == 402:
                return
            backoff_s = min(MAX_BACKOFF_S, 2 * backoff_s)

    async def _ask(self, body: dict[str, Any]) -> int | None:
        """The answer's status; None if there was none."""
        url = self._waits.choice(self._urls) + _PATH
        try:
            async with self._session.post(url, json=body) as response:
                self._report.statuses[response.status] += 1
                try:
                    whole = await self._read(response, streaming=body["stream"])
                except (aiohttp.ClientError, ConnectionError, TimeoutError):
                    # It has been counted by its status, and may have cost something: it is not asked again.
                    whole = False
                if response.status == 200:
                    self._count(response, whole)
                return response.status
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self._report.connection_errors[type(error).__name__] += 1
            return None

    async def _read(self, response: aiohttp.ClientResponse, *, streaming: bool) -> bool:
        """To its end, so that the connection can be used again; whether that was a proper end."""
        if not streaming or response.status != 200:
            await response.read()
            return True
        end = b""
        async for chunk in response.content.iter_any():
            end = (end + chunk)[-64:]
        return _STREAM_DONE in end

    def _count(self, response: aiohttp.ClientResponse, whole: bool) -> None:
        if whole:
            self._report.whole += 1
            self._report.request_ids.append(response.headers["X-Request-Id"])
        else:
            self._report.cut += 1

    async def _wait(self, seconds: float) -> None:
        """Ends early when all are to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
