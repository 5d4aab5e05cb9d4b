"""Arrows point down: command → services → runtime → schemas; inside a service only the edges touch the world."""

from collections.abc import Iterable

import pytest

from tests.architecture.source import SERVICES, Module, modules, modules_in, reachable

# From the top down. A package may import those after it, never those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("tollhouse", "deploy.local", "catalogue_build"),
    SERVICES,
    ("runtime",),
    ("schemas",),
)

IO_LIBRARIES = ("aiohttp", "aiokafka", "clickhouse_connect")

# The only files that may import an I/O library, and which. A new line here is a decision: could the file be an existing
# edge and a pure core instead?
EDGES: dict[str, tuple[str, ...]] = {
    # ingress: the client's HTTP, and the workers' WebSockets
    "ingress/answer.py": ("aiohttp",),
    "ingress/http_api.py": ("aiohttp",),
    "ingress/reply_server.py": ("aiohttp",),
    "ingress/request_path.py": ("aiohttp",),
    # router_worker: the vendors' HTTP, and the WebSockets to the ingresses
    "router_worker/google_tokens.py": ("aiohttp",),
    "router_worker/reply_pool.py": ("aiohttp",),
    "router_worker/vendor_caller.py": ("aiohttp",),
    # billing_consumer: usage from Kafka, rows to ClickHouse
    "billing_consumer/batch_loop.py": ("aiokafka",),
    "billing_consumer/batch_reader.py": ("aiokafka",),
    "billing_consumer/committed_plans.py": ("aiokafka",),
    "runtime/clickhouse.py": ("aiohttp", "clickhouse_connect"),
    "billing_consumer/clickhouse_store.py": ("clickhouse_connect",),
    "billing_consumer/migrate.py": ("clickhouse_connect",),
    "billing_consumer/usage_clock.py": ("aiokafka",),
    "billing_consumer/clickhouse_session.py": ("clickhouse_connect",),
    # ... and commands to the authority, and alerts from it
    "billing_consumer/authority/loop.py": ("aiokafka",),
    "billing_consumer/authority/webhook_sender.py": ("aiohttp",),
    # admin_api: its HTTP, and usage from ClickHouse
    "admin_api/http_api.py": ("aiohttp",),
    "admin_api/usage/clickhouse.py": ("clickhouse_connect",),
    "reconciliation/clickhouse.py": ("clickhouse_connect",),
    # runtime: the edges that services share
    "runtime/frame_socket.py": ("aiohttp",),
    "runtime/probes.py": ("aiohttp",),
    "runtime/kafka/": ("aiokafka",),
    # the command
    "tollhouse/bootstrap.py": ("aiokafka",),
    "tollhouse/corrections.py": ("aiokafka",),
    "tollhouse/reconcile.py": ("aiokafka",),
    "tollhouse/topics.py": ("aiokafka",),
    # the one-machine stack: stand-ins for vendors and for ClickHouse's server
    "deploy/local/vendors/delivery.py": ("aiohttp",),
    "deploy/local/vendors/server.py": ("aiohttp",),
    "deploy/local/clickhouse/": ("aiohttp",),
}

# Tested on every byte split, every plan and every price without a network: hence none may be reached from here.
PURE = (
    "schemas",
    "runtime.clock",
    "runtime.kafka.offsets",
    "ingress.admission",
    "ingress.exchange",
    "ingress.exchanges",
    "ingress.models_page",
    "ingress.directory",
    "ingress.worst_case",
    "ingress.budgets.account_book",
    "ingress.budgets.budget_ticket",
    "ingress.budgets.lease_account",
    "ingress.budgets.ledger_view",
    "ingress.rates.meters",
    "ingress.rates.shares",
    "ingress.rates.announcements",
    "ingress.rates.rate_limits",
    "ingress.surfaces",
    "router_worker.estimate",
    "router_worker.health",
    "router_worker.planner",
    "router_worker.rating",
    "router_worker.surfaces",
    "router_worker.vendors",
    "billing_consumer.batch_bounds",
    "billing_consumer.resolve",
    "billing_consumer.rows",
    "billing_consumer.tables",
    "billing_consumer.settlement",
    "billing_consumer.intents",
    "billing_consumer.usage_progress",
    "billing_consumer.authority.ledger",
    "billing_consumer.authority.ledger_book",
    "billing_consumer.authority.budget_view",
    "billing_consumer.authority.webhook_message",
    "admin_api.bootstrap_plan",
    "admin_api.checks",
    "admin_api.config_state",
    "admin_api.openapi",
    "admin_api.usage.statements",
    "reconciliation.compare",
    "reconciliation.statement",
    "tollhouse.correction_file",
    "tollhouse.correction_plan",
)
NETWORK_AND_PROCESSES = (*IO_LIBRARIES, "http", "requests", "select", "socket", "ssl", "subprocess", "urllib.request")
# What schemas must not even know of: a record is the same for a tool without an event loop.
NOT_IN_SCHEMAS = (*NETWORK_AND_PROCESSES, "asyncio", "logging", "os", "pathlib", "structlog", "threading", "time")


def layer_of(module: Module) -> int | None:
    return next(
        (
            number
            for number, packages in enumerate(LAYERS)
            if any(module.name == package or module.name.startswith(f"{package}.") for package in packages)
        ),
        None,
    )


def complain(wrong: Iterable[str], reason: str) -> None:
    lines = sorted(wrong)
    assert not lines, "\n  ".join([reason, *lines])


def test_no_import_points_up() -> None:
    wrong = [
        f"{module.path} imports {name}"
        for module in modules()
        if (layer := layer_of(module)) is not None
        for above in LAYERS[:layer]
        for name in module.imports_any(*above)
    ]
    complain(wrong, "A lower layer that knows a higher one can be neither tested nor reused without it:")


def test_no_service_imports_another() -> None:
    wrong = [
        f"{module.path} imports {name}"
        for service in SERVICES
        for module in modules_in(service)
        for name in module.imports_any(*(other for other in SERVICES if other != service))
    ]
    complain(wrong, "Services meet in Kafka and on the reply channel; what they share belongs in schemas or runtime:")


def test_schemas_know_only_data() -> None:
    wrong = [
        f"{module.path} imports {name}"
        for module in modules_in("schemas")
        for name in module.imports_any(*NOT_IN_SCHEMAS)
    ]
    complain(wrong, "A record that does I/O, reads a clock or logs cannot be decoded in peace:")


@pytest.mark.parametrize("package", ["vendors", "kafka", "clickhouse"])
def test_stand_ins_know_nothing_of_the_gateway(package: str) -> None:
    here = f"deploy.local.{package}"
    wrong = [
        f"{module.path} imports {name}"
        for module in modules_in(here)
        for name in module.imports_any("tollhouse", *SERVICES, "runtime", "schemas", "deploy")
        if name not in ("deploy", "deploy.local")
        and not f"{name}.".startswith(f"{here}.")
        # `from deploy.local.kafka import apache` names the package too
        and name != here
    ]
    complain(wrong, "A stand-in that shares our code shares our mistakes, and then proves nothing:")


def test_only_the_edges_import_io_libraries() -> None:
    def allowed(module: Module) -> tuple[str, ...]:
        return next(
            (libraries for edge, libraries in EDGES.items() if module.path == edge or _lies_in(module, edge)), ()
        )

    wrong = [
        f"{module.path} imports {name}"
        for module in modules()
        for library in IO_LIBRARIES
        if library not in allowed(module)
        for name in module.imports_any(library)
    ]
    complain(wrong, "Only an edge may touch the world (EDGES in this file); the rest must be testable without it:")


def test_every_edge_is_still_one() -> None:
    wrong = [
        f"{edge}: {library}"
        for edge, libraries in EDGES.items()
        for library in libraries
        if not any(module.imports_any(library) for module in modules() if module.path == edge or _lies_in(module, edge))
    ]
    complain(wrong, "No file there needs this permission any more; take it out, so that the list stays true:")


def _lies_in(module: Module, edge: str) -> bool:
    return edge.endswith("/") and module.path.startswith(edge)


@pytest.mark.parametrize("package", PURE)
def test_the_pure_core_reaches_no_network_and_no_process_by_any_way(package: str) -> None:
    members = list(modules_in(package))
    assert members, f"{package} is gone or renamed: correct PURE, or its purity is no longer guarded"
    wrong = [
        f"{module.path} → {reached.path} imports {name}"
        for module in members
        for reached in reachable(module)
        for name in reached.imports_any(*NETWORK_AND_PROCESSES)
    ]
    complain(wrong, "Pure code is tested on every byte split and every plan; with I/O in reach it could not be:")
