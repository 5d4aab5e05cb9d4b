"""The local ClickHouse server as a child process, and plain HTTP to it, for tests."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client

REPOSITORY = Path(__file__).parents[2]
PASSWORD = "local-only"
DEADLINE_S = 30.0
ACCOUNT: Mapping[str, str] = {"X-ClickHouse-User": "tester", "X-ClickHouse-Key": PASSWORD}
NO_FIELDS: Mapping[str, str] = {}


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int
    ready_line: str

    def client(self, **options: Any) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username="tester", password=PASSWORD, **options
        )

    async def async_client(self, **options: Any) -> AsyncClient:
        return await clickhouse_connect.get_async_client(
            host="127.0.0.1", port=self.port, username="tester", password=PASSWORD, **options
        )

    def ask(
        self,
        sql: str | bytes,
        fields: Mapping[str, str] = NO_FIELDS,
        *,
        method: str = "POST",
        headers: Mapping[str, str] = ACCOUNT,
    ) -> tuple[int, Message, bytes]:
        """One plain HTTP request: status, headers, body. A GET carries `sql` in its URL."""
        body = sql.encode() if isinstance(sql, str) else sql
        if method == "GET" and body:
            fields, body = {**fields, "query": body.decode()}, b""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, f"/?{urlencode(fields)}", body or None, dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def value(self, sql: str, fields: Mapping[str, str] = NO_FIELDS) -> str:
        status, _, body = self.ask(sql, fields)
        assert status == 200, body
        return body.decode().strip()


def command(path: Path, *more: str) -> list[str]:
    account = ("--user", "tester", "--password", PASSWORD)
    return [sys.executable, "-m", "deploy.local.clickhouse", "--path", str(path), "--port", "0", *account, *more]


def start(path: Path) -> Server:
    port_file = path.with_suffix(".port")
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        command(path, "--port-file", str(port_file)), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: port_file.exists() or process.poll() is not None)
    assert process.stdout is not None
    line = process.stdout.readline().rstrip("\n")
    assert process.poll() is None, "the server ended before it was ready"
    return Server(process, int(port_file.read_text()), line)


def stop(server: Server, number: int) -> int:
    server.process.send_signal(number)
    status = server.process.wait(DEADLINE_S)
    assert server.process.stdout is not None
    server.process.stdout.close()
    return status


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        time.sleep(0.02)
