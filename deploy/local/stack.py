"""The parts of a stack, in the order in which they start; they stop in reverse."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.child import Child, ChildSpec, StartFailed, stop_together, wait_until_ready
from deploy.local.kafka import choose
from deploy.local.kafka.errors import PortInUse
from deploy.local.kafka.ports import free_ports, require_free
from deploy.local.kafka.process import KafkaHandle
from deploy.local.layout import Layout
from deploy.local.options import HOST, StackOptions
from deploy.local.process_records import record_of, write_records
from deploy.local.progress import Progress
from deploy.local.service_environ import (
    Backends,
    Ports,
    Service,
    command_environ,
    drain_s,
    service_environ,
    without_vendor_keys,
)
from deploy.local.setup_commands import set_up
from deploy.local.stack_file import MetricsUrls, Pids, StackFile, remove_stack_file, write_stack_file
from deploy.local.stop_signals import StopSignals
from deploy.local.written_files import first_secrets, known_secrets, plan_vendors, write_bootstrap, write_whole
from runtime.settings import variable_name

BACKEND_STOP_LIMIT_S = 15.0
HURRIED_STOP_LIMIT_S = 0.1
# A service that has drained still flushes and says goodbye to Kafka.
AFTER_DRAIN_S = 5.0
_COMMANDS: dict[Service, str] = {
    "admin_api": "admin-api",
    "billing_consumer": "billing-consumer",
    "router_worker": "router-worker",
    "ingress": "ingress",
}


class Stack:
    """`kafka`, `clickhouse`: None when the caller's own servers are used. Services are in order of number."""

    def __init__(self, options: StackOptions, layout: Layout, signals: StopSignals, progress: Progress) -> None:
        self._options = options
        self._layout = layout
        self._signals = signals
        self._progress = progress
        self._api_key: str | None = None
        self._management_key: str | None = None
        self._admin_port = 0
        self._api_ports: list[int] = []
        self._backends: Backends | None = None
        self.kafka: KafkaHandle | None = None
        self.clickhouse: Child | None = None
        self.vendors: Child | None = None
        self.real_model: Child | None = None
        self.services: dict[Service, list[Child]] = {service: [] for service in _COMMANDS}

    @property
    def servers(self) -> list[Child]:
        """Without Kafka, which is no Child."""
        return [child for child in (self.clickhouse, self.vendors, self.real_model) if child is not None]

    @property
    def service_children(self) -> list[Child]:
        return [child for children in self.services.values() for child in children]

    @property
    def vendors_used(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the built-in vendors that are called for real, and of those that are simulated."""
        return (self._backends.vendors.real, self._backends.vendors.simulated) if self._backends else ((), ())

    def start(self) -> None:
        """Returns when every part is ready. Raises StartFailed, KafkaUnavailable, KafkaStartFailed, OSError."""
        ports = self._choose_ports()
        secrets = first_secrets(self._layout)
        write_bootstrap(self._layout, secrets)
        given = self._options.environ.get(variable_name("bootstrap", "file"))
        bootstrap_file = Path(given) if given else self._layout.bootstrap_file
        self._api_key, self._management_key = known_secrets(bootstrap_file, secrets)
        self._backends = self._start_backends(ports)
        set_up(command_environ(self._options, self._backends), bootstrap_file, self._signals)
        self._progress.say("topics, tables and first keys: up to date")
        self._start_services(self._backends, ports)
        self.write_stack_file()

    def stop(self) -> None:
        """Clients are seen off first, then whoever serves those that are left. Nothing of ours runs afterwards."""
        for service in reversed(_COMMANDS):
            stop_together(self.services[service], self._signals, self._progress)
        # They know nothing of each other, and end side by side.
        if self.kafka is not None and self.kafka.running:
            with suppress(ProcessLookupError):
                os.kill(self.kafka.pid, signal.SIGTERM)
        stop_together(list(reversed(self.servers)), self._signals, self._progress)
        if self.kafka is not None:
            self.kafka.stop(HURRIED_STOP_LIMIT_S if self._signals.hurry else BACKEND_STOP_LIMIT_S)
        remove_stack_file(self._layout)
        self._layout.processes_file.unlink(missing_ok=True)

    def write_stack_file(self) -> StackFile:
        """To be called whenever a pid has changed, once `start` has returned."""
        if self._backends is None:
            raise RuntimeError("the stack was not started")
        self._write_records()
        described = self._described(self._backends)
        write_stack_file(self._layout, described)
        return described

    def _choose_ports(self) -> Iterator[int]:
        """Fixed for the life of the stack. Looked at before anything runs, so that a taken one is told at once."""
        options = self._options
        if options.port:
            try:
                require_free(HOST, options.port)
            except PortInUse as error:
                raise StartFailed(f"{error}: take another one (make up PORT=..., or --port)") from error
        found = free_ports(5 + 2 * options.ingress + options.workers + options.billing, HOST)
        self._admin_port = found.pop()
        self._api_ports = [options.port or found.pop(), *(found.pop() for _ in range(options.ingress - 1))]
        return iter(found)

    def _start_backends(self, ports: Iterator[int]) -> Backends:
        options, progress = self._options, self._progress
        if options.clickhouse_url is None:
            path = ("--path", str(self._layout.clickhouse_dir))
            self.clickhouse = self._server("clickhouse", "deploy.local.clickhouse", next(ports), "/ping", *path)
        self.vendors = self._server("vendors", "deploy.local.vendors", next(ports), "/healthz")
        if options.real_model:
            self.real_model = self._server("real-model", "deploy.local.real_model", next(ports), "/health")
        own_kafka = options.kafka_bootstrap is None
        progress.say("starting " + ", ".join([*(["kafka"] if own_kafka else []), *(s.name for s in self.servers)]))
        for child in self.servers:
            self._start(child)
        if own_kafka:
            self.kafka = choose.start(options.kafka, self._layout.kafka_dir, progress.say, HOST, None)
            self._write_records()
            progress.say(f"kafka: ready ({self.kafka.kind})")
        wait_until_ready(self.servers, progress)
        vendor_url = _origin(self.vendors)
        vendors = plan_vendors(vendor_url, _origin(self.real_model) if self.real_model else None, options.environ)
        write_whole(self._layout.vendors_file, vendors.text)
        return Backends(
            kafka_bootstrap=options.kafka_bootstrap or (self.kafka.bootstrap if self.kafka else ""),
            kafka_kind=self.kafka.kind if self.kafka else "given",
            clickhouse_url=options.clickhouse_url or (_origin(self.clickhouse) if self.clickhouse else ""),
            vendor_url=vendor_url,
            vendors=vendors,
        )

    def _server(self, name: str, module: str, port: int, ready_path: str, *arguments: str) -> Child:
        port_file = self._layout.run_dir / f"{name}.port"
        listening = ("--host", HOST, "--port", str(port), "--port-file", str(port_file))
        return Child(
            ChildSpec(
                name=name,
                command=(sys.executable, "-m", module, *listening, *arguments),
                environ=without_vendor_keys(self._options.environ),
                log_file=self._layout.log_file(name),
                port_file=port_file,
                ready_url=f"http://{HOST}:{port}{ready_path}",
                stop_limit_s=BACKEND_STOP_LIMIT_S,
            )
        )

    def _start_services(self, backends: Backends, ports: Iterator[int]) -> None:
        options = self._options
        counts: dict[Service, int] = {
            "admin_api": 1,
            "billing_consumer": options.billing,
            "router_worker": options.workers,
            "ingress": options.ingress,
        }
        for service, children in self.services.items():
            for number in range(counts[service]):
                child = self._service(service, number, next(ports), backends)
                children.append(child)
                self._start(child)
        wait_until_ready(self.service_children, self._progress)

    def _service(self, service: Service, number: int, probe_port: int, backends: Backends) -> Child:
        name = f"{_COMMANDS[service]}-{number + 1}"
        port_file = self._layout.run_dir / f"{name}.port"
        api_port = self._api_port(service, number)
        ports = Ports(probe_port=probe_port, probe_port_file=port_file, api_port=api_port)
        return Child(
            ChildSpec(
                name=name,
                command=(sys.executable, "-m", "tollhouse", _COMMANDS[service]),
                environ=service_environ(service, self._options, self._layout, backends, ports),
                log_file=self._layout.log_file(name),
                port_file=port_file,
                ready_url=f"http://{HOST}:{probe_port}/readyz",
                stop_limit_s=drain_s(self._options.environ) + AFTER_DRAIN_S,
            )
        )

    def _api_port(self, service: Service, number: int) -> int | None:
        if service == "ingress":
            return self._api_ports[number]
        return self._admin_port if service == "admin_api" else None

    def _start(self, child: Child) -> None:
        with self._signals.held():
            child.start()
            self._write_records()

    def _write_records(self) -> None:
        """What a later `down` needs, should this process be killed."""
        named = [("kafka", self._kafka_pid)]
        named += [(child.name, child.pid) for child in (*self.servers, *self.service_children)]
        records = [record_of(name, pid) for name, pid in named if pid is not None]
        write_records(self._layout, [record for record in records if record is not None])

    @property
    def _kafka_pid(self) -> int | None:
        return self.kafka.pid if self.kafka is not None and self.kafka.running else None

    def _described(self, backends: Backends) -> StackFile:
        services = self.services
        metrics = {service: [f"{_origin(child)}/metrics" for child in services[service]] for service in services}
        api_urls = [f"http://{HOST}:{port}" for port in self._api_ports]
        return StackFile(
            api_url=api_urls[0],
            api_urls=api_urls,
            metrics_urls=MetricsUrls(**metrics),
            kafka_bootstrap=backends.kafka_bootstrap,
            kafka_kind=backends.kafka_kind,
            topic_prefix=self._options.topic_prefix,
            clickhouse_url=backends.clickhouse_url,
            vendor_url=backends.vendor_url,
            admin_url=f"http://{HOST}:{self._admin_port}",
            api_key=self._api_key,
            management_key=self._management_key,
            logs_dir=str(self._layout.logs_dir),
            pids=Pids(
                keeper=os.getpid(),
                **{service: _pids(children) for service, children in services.items()},
                kafka=self._kafka_pid,
                clickhouse=self.clickhouse.pid if self.clickhouse else None,
                vendors=self.vendors.pid if self.vendors else None,
                real_model=self.real_model.pid if self.real_model else None,
            ),
        )


def _pids(children: Sequence[Child]) -> list[int]:
    return [child.pid for child in children if child.pid is not None]


def _origin(child: Child) -> str:
    return child.spec.ready_url.rpartition("/")[0]
