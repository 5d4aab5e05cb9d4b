"""The whole ingress in this process, over real sockets; only Kafka is a list."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from ingress.admission import Ticket
from ingress.aftermath import IngressAftermath
from ingress.directory import Directory
from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from ingress.http_api import HttpApi
from ingress.reply_server import ReplyServer
from ingress.request_path import RequestPath
from ingress.request_queue import RequestQueue
from ingress.settings import ApiSettings, ReplySettings
from ingress.worst_case import WorstCases
from runtime.clock import SystemClock
from runtime.kafka.queue_producer import QueueProducer
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.catalogue import Catalogue, Model, Price, Route
from schemas.config_record import Entity
from schemas.envelope import RequestEnvelope
from schemas.tenancy import ApiKey, Project, hash_api_key
from schemas.topics import Topic
from tests.fakes.configuration import config_record, directory_of
from tests.fakes.kafka import FakeKafka, durable_producer
from tests.fakes.ring_worker import RingWorker, ring_worker
from tests.fakes.tickets import FakeAdmission
from tests.fakes.waiting import until

SECRET = "th-secret"
CHAT = "/v1/chat/completions"
_PRICE = Price(start=date(2020, 1, 1), input=Decimal(1), output=Decimal(2), source="test")
_ROUTE = Route(vendor="v", vendor_model="vm", prices=(_PRICE,), context_tokens=1000, max_output_tokens=100)
CATALOGUE = Catalogue(
    (
        Model(model_id="m", name="The Model", provider="maker", routes=(_ROUTE,), created=date(2024, 5, 1)),
        Model(model_id="org/deep:v1", name="Deep", provider="other", routes=(_ROUTE,)),
    )
)
PROJECT = Project(project_id="proj", organization_id="org")
KEY = ApiKey(api_key_id="key", project_id="proj", key_sha256=hash_api_key(SECRET))


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | fields


@dataclass
class Stack:
    kafka: FakeKafka
    exchanges: Exchanges
    api: HttpApi
    supervisor: Supervisor
    directory: Directory
    admission: FakeAdmission
    worker: RingWorker
    client: aiohttp.ClientSession
    replies: ReplyServer
    url: str
    opened: list[Exchange]
    stopped: bool = False

    async def stop(self, deadline: Deadline) -> None:
        """Drains the HTTP side; at the end of a test at once, unless it has done so itself."""
        if not self.stopped:
            self.stopped = True
            await self.api.stop(deadline)

    @property
    def reply_url(self) -> str:
        return self.replies.url

    async def request(self, number: int = 0) -> RequestEnvelope:
        """The envelope of the given record on the queue, once it is there."""
        await until(lambda: len(self.kafka.requests()) > number)
        return self.kafka.requests()[number].envelope

    def change(self, *entities: Entity) -> None:
        """As if the admin API had written them."""
        for entity in entities:
            self.directory.apply(config_record(entity))


@asynccontextmanager
async def ingress_stack(**settings: Any) -> AsyncIterator[Stack]:
    """`settings` are those of `ApiSettings`."""
    kafka, clock, supervisor = FakeKafka(), SystemClock(), Supervisor()
    metrics = Metrics(CollectorRegistry())
    confirm_within_s = float(settings.get("confirm_within_s", 3.0))
    producer = QueueProducer(kafka.make_producer, Topic.REQUESTS.value, confirm_within_s, clock, supervisor, metrics)
    await producer.start()
    queue = RequestQueue(producer)
    aftermath = IngressAftermath(queue, await durable_producer(kafka), clock, supervisor, metrics, 0.001)
    exchanges = Exchanges(
        aftermath,
        clock,
        metrics,
        lambda: os.urandom(16).hex(),
        window_bytes=int(settings.get("window_bytes", 256 * 1024)),
        max_deliveries=3,
    )
    opened = _remember_opened(exchanges)
    replies = ReplyServer(ReplySettings(), exchanges, supervisor, metrics)
    await replies.start()
    directory, admission = directory_of(PROJECT, KEY), FakeAdmission()
    with TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        api_settings = ApiSettings(port=0, port_file=str(port_file), **settings)
        path = RequestPath(
            api_settings,
            directory,
            CATALOGUE,
            WorstCases(CATALOGUE, date(2026, 1, 1)),
            admission,
            queue,
            exchanges,
            lambda: replies.url,
            clock,
            os.urandom,
        )
        api = HttpApi(api_settings, path, CATALOGUE, exchanges, clock, os.urandom, metrics)
        await api.start()
        url = port_file.read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {SECRET}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        ring_worker(replies.url) as worker,
        aiohttp.ClientSession(url, headers=headers, timeout=timeout) as client,
    ):
        stack = Stack(kafka, exchanges, api, supervisor, directory, admission, worker, client, replies, url, opened)
        yield stack
        await client.close()
        await stack.stop(Deadline(clock, 0))
        await replies.stop(Deadline(clock, 0))
    await producer.stop(Deadline(clock, 0))
    await supervisor.cancel_all()
    assert not supervisor.failed.is_set(), "a task of the ingress failed"
    assert exchanges.waiting_clients == 0, "a client's place is never given back"


def _remember_opened(exchanges: Exchanges) -> list[Exchange]:
    opened: list[Exchange] = []
    original = exchanges.open

    def open_and_remember(envelope: RequestEnvelope, body: bytes, ticket: Ticket) -> Exchange:
        exchange = original(envelope, body, ticket)
        opened.append(exchange)
        return exchange

    # A spy, so that a test can see what waits in an exchange.
    exchanges.open = open_and_remember  # type: ignore[method-assign]
    return opened
