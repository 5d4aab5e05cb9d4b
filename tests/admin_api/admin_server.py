"""The admin API on a real port, over a log in memory; and the calls that tests make of it."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import ClientSession
from yarl import URL

from admin_api.changer import Changer, Plan
from admin_api.config_state import ConfigState
from admin_api.configuration import Configuration
from admin_api.drafts import Author, draft
from admin_api.http_api import HttpApi
from admin_api.operation import QueriesUnavailable
from admin_api.operations import OPERATIONS
from admin_api.settings import AdminSettings
from admin_api.spend_table import SpendTable
from runtime.lifecycle import Deadline
from schemas.config_record import Entity
from schemas.tenancy import ManagementKey, Organization, hash_api_key
from tests.admin_api.memory_log import MemoryLog, MemoryReplica
from tests.fakes.clock import HandClock

ROOT_KEY = "thm_" + "0" * 40
VIEWER_KEY = "thm_" + "1" * 40
ACME_KEY = "thm_" + "2" * 40


ResultT = TypeVar("ResultT")


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def param(self) -> Any:
        return self.body["error"]["param"]

    @property
    def code(self) -> Any:
        return self.body["error"]["code"]


class ClickHouse:
    """`rows_to_give` None: it is away."""

    def __init__(self) -> None:
        self.rows_to_give: list[dict[str, Any]] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked.append((sql, dict(parameters)))
        if self.rows_to_give is None:
            raise QueriesUnavailable("away")
        return self.rows_to_give


class AdminServer:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.clock = HandClock()
        self.rng = Random(1)
        self.log = MemoryLog()
        self.replica = MemoryReplica(self.log, "a")
        self.spend = SpendTable()
        self.clickhouse = ClickHouse()
        changer = Changer(self.replica.state, self.replica, self.replica, self.rng.randbytes, limit_s=0.5)
        self.configuration = Configuration(changer, self.spend.get, self.rng.randbytes, plain_http_webhooks=False)
        settings = AdminSettings(port=0, max_body_bytes=4096, body_timeout_s=0.3)
        self.api = HttpApi(settings, OPERATIONS, self.configuration, self.clickhouse, self.clock, self.rng.randbytes)
        self._session: ClientSession | None = None

    async def start(self, organizations: bool) -> None:
        await self.seed(
            ManagementKey(management_key_id="root", key_sha256=hash_api_key(ROOT_KEY)),
            ManagementKey(management_key_id="viewer", key_sha256=hash_api_key(VIEWER_KEY), role="viewer"),
        )
        if organizations:
            await self.seed(
                Organization(organization_id="acme"),
                Organization(organization_id="other"),
                ManagementKey(management_key_id="acme", key_sha256=hash_api_key(ACME_KEY), organization_id="acme"),
            )
        await self.api.start()
        self._session = ClientSession()

    async def stop(self) -> None:
        assert self._session is not None
        await self._session.close()
        await self.api.stop(Deadline(self.clock, 1))

    async def seed(self, *entities: Entity) -> None:
        author = Author("test", self.clock.now_ms(), self.rng.randbytes)
        for entity in entities:

            def planner(state: ConfigState, entity: Entity = entity) -> Plan:
                return Plan((draft(state, entity, "created", author),))

            await self.configuration.changer.change(planner)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self._loop.run_until_complete(work)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = ROOT_KEY,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        """`path`: after the base, and encoded already."""
        return self._loop.run_until_complete(self._call(method, path, body, key, headers, raw))

    async def _call(
        self, method: str, path: str, body: Any, key: str | None, headers: Mapping[str, str] | None, raw: bytes | None
    ) -> Reply:
        assert self._session is not None
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        data = raw if raw is not None else msgspec.json.encode(body) if body is not None else None
        url = URL(f"{self.api.url}/admin/v1{path}", encoded=True)
        async with self._session.request(method, url, data=data, headers=sent) as answer:
            text = await answer.read()
            is_json = answer.content_type == "application/json"
            return Reply(answer.status, answer.headers, msgspec.json.decode(text) if is_json and text else text)

    def snapshot(self) -> int:
        """Changes with every record that counts or not."""
        return len(self.log.entries)


@contextmanager
def admin_server(organizations: bool = True) -> Iterator[AdminServer]:
    loop = asyncio.new_event_loop()
    server = AdminServer(loop)
    loop.run_until_complete(server.start(organizations))
    try:
        yield server
    finally:
        loop.run_until_complete(server.stop())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def encoded(text: str) -> str:
    """As part of a path or a query."""
    return quote(text, safe="")
