"""Drives a whole one-machine stack in real processes, through its stack.json and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp

T = TypeVar("T")
HELLO = [{"role": "user", "content": "hello there world"}]

CATALOGUE_NAMES = ("catalogue.toml", "clients_catalogue.toml", "money_catalogue.toml")
CATALOGUES = tuple(str(Path(__file__).with_name(name)) for name in CATALOGUE_NAMES)
ROLLUPS = ("spend_by_key", "spend_by_project", "spend_by_model_hour")
"""Each has every attempt once. `spend_by_scope` has it once for each scope."""


def eventually(what: str, probe: Callable[[], T | None], within_s: float = 30.0) -> T:
    """The probe's first result that is neither None nor False."""
    deadline = time.monotonic() + within_s
    while True:
        result = probe()
        if result is not None and result is not False:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


def services_environ() -> dict[str, str]:
    """This process's environment, without what is said to the tests: to services it would be an unknown setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOLLHOUSE_TEST_")}


class Stack:
    def __init__(self, directory: Path, options: list[str], settings: dict[str, str]) -> None:
        self.directory = directory
        self._options = options
        self._environment = {
            **services_environ(),
            "TOLLHOUSE_CATALOGUE_FILES": ",".join(CATALOGUES),
            "TOLLHOUSE_KAFKA_SESSION_TIMEOUT_S": "6",
            **settings,
        }

    def up(self) -> None:
        self._command("up", "--port", "0", "--detach", *self._options)

    def down(self) -> None:
        self._command("down")

    def _command(self, verb: str, *options: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tollhouse", "local", verb, "--dir", str(self.directory), *options],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def info(self) -> dict[str, Any]:
        info: dict[str, Any] = json.loads((self.directory / "stack.json").read_text())
        return info

    @property
    def api_url(self) -> str:
        return str(self.info["api_url"])

    @property
    def api_key(self) -> str:
        return str(self.info["api_key"])

    def pids(self, service: str) -> list[int]:
        found = self.info["pids"][service]
        return list(found) if isinstance(found, list) else [found]

    def kill(self, service: str, index: int = 0) -> int:
        """kill -9; the pid that died."""
        pid = self.pids(service)[index]
        os.kill(pid, signal.SIGKILL)
        return pid

    def restart_dead(self) -> None:
        """At once, where the stack was told not to restart by itself."""
        os.kill(self.info["pids"]["keeper"], signal.SIGUSR1)

    def get_json(self, url: str) -> Any:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def get_text(self, url: str) -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, service: str, index: int, name: str) -> float:
        """The sum of a metric over its labels."""
        url = self.info["metrics_urls"][service][index]
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    # The simulator's ledger: what really reached the vendors.

    def ledger(self, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        calls: list[dict[str, Any]] = self.get_json(f"{self.info['vendor_url']}/ledger?{query}")["calls"]
        return calls

    def ledger_of(self, request_id: str) -> list[dict[str, Any]]:
        return [call for call in self.ledger() if (call["request_id_header"] or "").startswith(request_id)]

    def clear_ledger(self) -> None:
        request = urllib.request.Request(f"{self.info['vendor_url']}/ledger", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()

    # ClickHouse: what is billed.

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows as dictionaries; decimals and large integers come as strings, so nothing is rounded."""
        settings = "output_format_json_quote_decimals=1&output_format_json_quote_64bit_integers=1"
        url = f"{self.info['clickhouse_url']}/?database=tollhouse&{settings}"
        request = urllib.request.Request(url, data=f"{sql} FORMAT JSONEachRow".encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line]

    def attempts(self, request_id: str) -> list[dict[str, Any]]:
        return self.query(f"SELECT * FROM attempts_final WHERE request_id = '{request_id}' ORDER BY attempt_id")

    def requests(self, request_id: str) -> list[dict[str, Any]]:
        return self.query(f"SELECT * FROM requests_final WHERE request_id = '{request_id}'")

    def billed(self, request_id: str, attempts: int) -> list[dict[str, Any]]:
        """The attempts of a request, once its request row and that many attempts are there."""
        deadline = time.monotonic() + 30
        while True:
            rows, requests = self.attempts(request_id), self.requests(request_id)
            if len(rows) >= attempts and len(requests) == 1:
                return rows
            if time.monotonic() > deadline:
                calls = [(call["request_id_header"], call["outcome"]) for call in self.ledger_of(request_id)]
                raise AssertionError(f"{attempts} attempts expected; {rows=} {requests=} ledger: {calls}")
            time.sleep(0.05)

    def totals(self) -> dict[str, tuple[int, Decimal]]:
        """Attempts and cost in USD, by the base table and by each rollup."""
        totals = {"attempts": "SELECT sum(sign) AS n, sum(sign * cost_usd) AS cost FROM attempts"}
        totals |= {name: f"SELECT sum(attempts) AS n, sum(cost_usd) AS cost FROM {name}" for name in ROLLUPS}
        rows = {name: self.query(sql)[0] for name, sql in totals.items()}
        return {name: (int(row["n"]), Decimal(row["cost"])) for name, row in rows.items()}

    def settled_totals(self, expected: tuple[int, Decimal]) -> dict[str, tuple[int, Decimal]]:
        """The totals once they are as expected; else as they are when time is up, for the caller's assertion to show.

        A row is in the base table a moment before it is in the rollups, so one look is not enough.
        """
        deadline = time.monotonic() + 60
        while True:
            totals = self.totals()
            if set(totals.values()) == {expected} or time.monotonic() > deadline:
                return totals
            time.sleep(0.2)

    def ledger_total(self) -> tuple[int, Decimal]:
        calls = self.ledger()
        return len(calls), sum((Decimal(call["cost_usd"]) for call in calls), Decimal(0))


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def request_id(self) -> str:
        return self.headers["X-Request-Id"]


async def ask(
    stack: Stack,
    model: str,
    *,
    streaming: bool = False,
    content: str = "hello there world",
    extra: Mapping[str, Any] | None = None,
) -> Answer:
    """One chat request, read to its end."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    messages = [{"role": "user", "content": content}]
    body = {"model": model, "messages": messages, "stream": streaming, **(extra or {})}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
        session.post(f"{stack.api_url}/v1/chat/completions", headers=headers, json=body) as response,
    ):
        return Answer(response.status, response.headers, await response.text())
