"""Broken bodies over HTTP through both services in this process, with the strict vendor simulator behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
from router_worker.vendors.table import BUILT_IN
from router_worker.ways import ways_of
from router_worker.workbench import Workbench
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.catalogue import Catalogue, Model, Route
from tests.fakes.kafka import FakeKafka, durable_producer
from tests.fakes.vendors import PRICE, Simulator, simulator
from tests.fuzz.http_bodies import broken_bodies, judged, send_all
from tests.ingress.http_stack import SECRET, Stack, ingress_stack

BODIES = 300
CHAT = {
    "openai": "gpt-5.1-2025-11-13",
    "mistral": "mistral-large-latest",
    "anthropic": "claude-sonnet-4-5-20250929",
    "gemini": "gemini-2.5-flash",
    "bedrock": "us.amazon.nova-2-lite-v1:0",
    "cohere": "command-a-03-2025",
}
EMBEDDINGS = {
    "openai": "text-embedding-3-small",
    "mistral": "mistral-embed",
    "gemini": "gemini-embedding-001",
    "cohere": "embed-v4.0",
}
_BASE_PATHS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "bedrock": "", "cohere": ""}
# Those that the ingress of the stack knows.
CHAT_MODEL, EMBEDDING_MODEL = "m", "org/deep:v1"


def _route(vendor: str, vendor_model: str) -> Route:
    return Route(
        vendor=vendor,
        vendor_model=vendor_model,
        prices=(PRICE,),
        context_tokens=100_000,
        max_output_tokens=32_000,
        capabilities=frozenset(
            {"streaming", "tools", "tool_choice", "structured_output", "vision", "documents", "reasoning"}
        ),
    )


CATALOGUE = Catalogue(
    (
        Model(model_id=CHAT_MODEL, name="M", provider="p", routes=tuple(_route(*each) for each in CHAT.items())),
        Model(
            model_id=EMBEDDING_MODEL,
            name="E",
            provider="p",
            kind="embeddings",
            routes=tuple(_route(*each) for each in EMBEDDINGS.items()),
        ),
    )
)


def _usable(name: str, vendors: Simulator) -> UsableVendor:
    row = BUILT_IN[name]
    base_url = f"{vendors.url}/{name}{_BASE_PATHS[row.wire]}"
    region = None if row.region is None else "us-east-1"
    return UsableVendor(
        ways=ways_of(msgspec.structs.replace(row, base_url=base_url, region=region)), base_url=base_url, api_key="k"
    )


@asynccontextmanager
async def _worker(stack: Stack, vendors: Simulator) -> AsyncIterator[Supervisor]:
    """Takes what the ingress puts on its queue, as the consumer would."""
    clock, supervisor, metrics = SystemClock(), Supervisor(), Metrics(CollectorRegistry())
    caller, pool = VendorCaller(WorkSettings(), clock, supervisor), ReplyPool(clock, supervisor)
    await caller.start()
    await pool.start()
    usable = {name: _usable(name, vendors) for name in CHAT}
    bench = Workbench(
        worker_id="w",
        catalogue=CATALOGUE,
        vendors=ProjectVendors(usable, usable, Credentials(), dict[str, str]().get, clock),
        caller=caller,
        usage=await durable_producer(FakeKafka()),
        intents=Intents(await durable_producer(FakeKafka()), supervisor, 5.0),
        health=RouteHealth(),
        clock=clock,
        supervisor=supervisor,
        measures=WorkerMeasures(metrics),
        failures=FailureLog(clock),
    )
    server = Server(bench, pool)

    async def consume() -> None:
        taken = 0
        while True:
            for record in stack.kafka.requests()[taken:]:
                taken += 1
                supervisor.spawn(server.serve(record.envelope, record.value, lambda: None), "a request")
            await asyncio.sleep(0.005)

    consumer = supervisor.spawn(consume(), "the consumer")
    yield supervisor
    consumer.cancel()
    await pool.stop(Deadline(clock, 0))
    await caller.stop(Deadline(clock, 0))
    await supervisor.cancel_all()
    assert not supervisor.failed.is_set(), "a task of the worker failed"


async def test_broken_bodies_get_the_clients_own_errors_and_reach_no_vendor() -> None:
    bodies = broken_bodies(BODIES, 7, dict.fromkeys(CHAT, CHAT_MODEL), dict.fromkeys(EMBEDDINGS, EMBEDDING_MODEL))
    async with simulator() as vendors, ingress_stack() as stack, _worker(stack, vendors):
        answers = await send_all(stack.url, SECRET, bodies)
        ledger = vendors.calls()
    wrong = [
        problem
        for got in answers
        if (problem := judged(got, [c for c in ledger if (c["request_id_header"] or "").startswith(got.request_id)]))
    ]
    assert not wrong, f"{len(wrong)} of {len(answers)}:\n" + "\n".join(wrong)
    statuses = {got.status for got in answers}
    assert {200, 400} <= statuses, statuses
