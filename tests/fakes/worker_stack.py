"""The whole of a router worker but its consumer: real channel, real vendor calls, Kafka a list."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from router_worker.credentials import Credentials
from router_worker.failure_log import FailureLog
from router_worker.health import RouteHealth
from router_worker.intents import Intents
from router_worker.measures import WorkerMeasures
from router_worker.project_vendors import ProjectVendors
from router_worker.reply_pool import ReplyPool
from router_worker.serve import Server
from router_worker.settings import WorkSettings
from router_worker.usable_vendor import UsableVendor
from router_worker.vendor_caller import VendorCaller
from router_worker.workbench import Workbench
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.catalogue import Catalogue, Route
from schemas.envelope import RequestEnvelope
from tests.fakes.envelopes import envelope
from tests.fakes.kafka import FakeKafka, durable_producer
from tests.fakes.ring_ingress import RingIngress, ring_ingress
from tests.fakes.vendors import Simulator, model, route, simulator


@dataclass
class WorkerStack:
    """`intents`: the Kafka that intents go to. `credentials`, `secrets`: what projects bring of their own."""

    kafka: FakeKafka
    intents: FakeKafka
    ingress: RingIngress
    vendors: Simulator
    pool: ReplyPool
    server: Server
    supervisor: Supervisor
    health: RouteHealth
    metrics: Metrics
    clock: SystemClock
    credentials: Credentials
    secrets: dict[str, str]
    settled: list[str] = field(default_factory=list)

    def envelope(self, **fields: Any) -> RequestEnvelope:
        now_ms = self.clock.now_ms()
        defaults = {"reply_url": self.ingress.url, "accepted_at_ms": now_ms, "deadline_ms": now_ms + 60_000}
        return envelope(**(defaults | fields))

    async def serve(self, asked: dict[str, Any] | bytes, /, **fields: Any) -> None:
        raw = asked if isinstance(asked, bytes) else msgspec.json.encode(asked)
        sent = self.envelope(**({"streaming": b'"stream":true' in raw} | fields))
        await self.server.serve(sent, raw, lambda: self.settled.append(sent.request_id))

    def result(self, name: str) -> float:
        value = self.metrics.registry.get_sample_value("tollhouse_worker_requests_total", {"result": name})
        return value or 0.0


def ask(*, stream: bool = False, text: str = "one two three", **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream} | fields


@asynccontextmanager
async def worker_stack(
    *vendor_models: str | Route, intent_timeout_s: float = 5.0, keyless: Sequence[str] = (), **settings: Any
) -> AsyncIterator[WorkerStack]:
    """Model "m" has a route to each of the simulator's models, at vendors "v0", "v1" and so on. `keyless`: vendors at
    which the gateway has no key."""
    kafka, clock, supervisor = FakeKafka(), SystemClock(), Supervisor()
    intents, credentials, secrets = FakeKafka(), Credentials(), dict[str, str]()
    metrics, health = Metrics(CollectorRegistry()), RouteHealth()
    routes = [
        route(f"v{number}", wanted) if isinstance(wanted, str) else wanted
        for number, wanted in enumerate(vendor_models)
    ]
    async with simulator() as vendors, ring_ingress() as ingress:
        usable: dict[str, UsableVendor] = {one.vendor: vendors.vendor(one.vendor) for one in routes}
        caller = VendorCaller(WorkSettings(**settings), clock, supervisor)
        pool = ReplyPool(clock, supervisor)
        await caller.start()
        await pool.start()
        bench = Workbench(
            worker_id="w",
            catalogue=Catalogue((model(*routes),)),
            vendors=ProjectVendors(
                {name: vendor for name, vendor in usable.items() if name not in keyless},
                usable,
                credentials,
                secrets.get,
                clock,
            ),
            caller=caller,
            usage=await durable_producer(kafka),
            intents=Intents(await durable_producer(intents), supervisor, intent_timeout_s),
            health=health,
            clock=clock,
            supervisor=supervisor,
            measures=WorkerMeasures(metrics),
            failures=FailureLog(clock),
        )
        yield WorkerStack(
            kafka=kafka,
            intents=intents,
            ingress=ingress,
            vendors=vendors,
            pool=pool,
            server=Server(bench, pool),
            supervisor=supervisor,
            health=health,
            metrics=metrics,
            clock=clock,
            credentials=credentials,
            secrets=secrets,
        )
        await pool.stop(Deadline(clock, 0))
        await caller.stop(Deadline(clock, 0))
        await supervisor.cancel_all()
        assert not supervisor.failed.is_set(), "a task of the worker failed"
