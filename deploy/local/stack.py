"""The parts of a stack, in the order in which they start; they stop in reverse."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from deploy.local.child import Child, ChildSpec, StartFailed, stop_together, wait_until_ready
from deploy.local.kafka import choose
from deploy.local.kafka.errors import PortInUse
from deploy.local.kafka.ports import free_ports, require_free
from deploy.local.kafka.process import KafkaHandle
from deploy.local.layout import Layout
from deploy.local.options import HOST, StackOptions
from deploy.local.process_records import record_of, write_records
from deploy.local.progress import Progress
from deploy.local.service_environ import Backends, Ports, Service, command_environ, drain_s, service_environ
from deploy.local.stack_file import MetricsUrls, Pids, StackFile, remove_stack_file, write_stack_file
from deploy.local.stop_signals import StopSignals
from deploy.local.written_files import first_api_key, key_is_known, plan_vendors, write_tenants, write_whole

BACKEND_STOP_LIMIT_S = 15.0
HURRIED_STOP_LIMIT_S = 0.1
SETUP_LIMIT_S = 60.0
_PAUSE_S = 0.02
_COMMANDS: dict[Service, str] = {
    "billing_consumer": "billing-consumer",
    "router_worker": "router-worker",
    "ingress": "ingress",
}


class Stack:
    """`kafka`, `clickhouse`: None when the caller's own servers are used. Lists are in the order of their numbers."""

    def __init__(self, options: StackOptions, layout: Layout, signals: StopSignals, progress: Progress) -> None:
        self._options = options
        self._layout = layout
        self._signals = signals
        self._progress = progress
        self._api_ports: list[int] = []
        self._probe_ports: dict[str, int] = {}
        self._api_key: str | None = None
        self.kafka: KafkaHandle | None = None
        self.clickhouse: Child | None = None
        self.vendors: Child | None = None
        self.real_model: Child | None = None
        self.services: dict[Service, list[Child]] = {service: [] for service in _COMMANDS}
        self.used: Backends | None = None

    def start(self) -> None:
        """Returns when every part is ready. Raises StartFailed, KafkaUnavailable, KafkaStartFailed, OSError."""
        api_key = first_api_key(self._layout)
        write_tenants(self._layout, api_key)
        tenants_file = self._options.environ.get("TOLLHOUSE_TENANTS_FILE") or str(self._layout.tenants_file)
        self._api_key = api_key if key_is_known(self._layout.root / tenants_file, api_key) else None
        ports = self._choose_ports()
        backends = self._start_backends(ports)
        self.used = backends
        self._set_up(backends)
        self._start_services(backends, ports)
        self.write_stack_file()

    def _choose_ports(self) -> Iterator[int]:
        """All that start now, so that a taken one is told before anything runs. Fixed for the life of the stack."""
        options = self._options
        if options.port:
            try:
                require_free(HOST, options.port)
            except PortInUse as error:
                raise StartFailed(f"{error}: take another one (make up PORT=8081, or --port)") from error
        found = free_ports(3 + 2 * options.ingress + options.workers + options.billing, HOST)
        self._api_ports = [options.port or found.pop(), *(found.pop() for _ in range(options.ingress - 1))]
        return iter(found)

    def _start_backends(self, ports: Iterator[int]) -> Backends:
        options, progress = self._options, self._progress
        if options.clickhouse_url is None:
            self.clickhouse = self._backend(
                "clickhouse", "deploy.local.clickhouse", next(ports), "/ping", "--path", str(self._layout.clickhouse_dir)
            )
        self.vendors = self._backend("vendors", "deploy.local.vendors", next(ports), "/healthz")
        if options.real_model:
            self.real_model = self._backend("real-model", "deploy.local.real_model", next(ports), "/health")
        children = [child for child in (self.clickhouse, self.vendors, self.real_model) if child is not None]
        for child in children:
            self._start(child)
        progress.say("starting " + ", ".join([*([] if options.kafka_bootstrap else ["kafka"]), *(c.name for c in children)]))
        if options.kafka_bootstrap is None:
            self.kafka = choose.start(options.kafka, self._layout.kafka_dir, progress.say, HOST, None)
            self.write_records()
            progress.say(f"kafka: ready ({self.kafka.kind})")
        wait_until_ready(children, progress)
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

    def _backend(self, name: str, module: str, port: int, ready_path: str, *arguments: str) -> Child:
        port_file = self._layout.run_dir / f"{name}.port"
        listening = ("--host", HOST, "--port", str(port), "--port-file", str(port_file))
        return Child(
            ChildSpec(
                name=name,
                command=(sys.executable, "-m", module, *listening, *arguments),
                environ=self._options.environ,
                log_file=self._layout.log_file(name),
                port_file=port_file,
                ready_url=f"http://{HOST}:{port}{ready_path}",
                stop_limit_s=BACKEND_STOP_LIMIT_S,
            )
        )

    def _set_up(self, backends: Backends) -> None:
        """Topics and tables, side by side. Both are safe to repeat."""
        environ = command_environ(self._options, backends)
        running = {}
        try:
            for name in ("topics", "migrate"):
                with self._signals.held():
                    running[name] = subprocess.Popen(
                        (sys.executable, "-m", "tollhouse", name),
                        env=environ,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            deadline_s = time.monotonic() + SETUP_LIMIT_S
            for name, process in running.items():
                try:
                    said, _ = process.communicate(timeout=max(0.0, deadline_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    raise StartFailed(f"'tollhouse {name}' did not end within {SETUP_LIMIT_S:.0f} s") from None
                lines = said.decode(errors="replace").strip().splitlines()
                if process.returncode != 0:
                    told = "\n  ".join(lines[-6:]) or "it said nothing"
                    raise StartFailed(f"'tollhouse {name}' failed with exit code {process.returncode}:\n  {told}")
        finally:
            for process in running.values():
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
        self._progress.say("topics and tables: up to date")

    def _start_services(self, backends: Backends, ports: Iterator[int]) -> None:
        options = self._options
        counts: dict[Service, int] = {
            "billing_consumer": options.billing,
            "router_worker": options.workers,
            "ingress": options.ingress,
        }
        for service, count in counts.items():
            for number in range(1, count + 1):
                child = self._service(service, number, next(ports), backends)
                self.services[service].append(child)
                self._start(child)
        wait_until_ready(self.service_children, self._progress)

    def _service(self, service: Service, number: int, probe_port: int, backends: Backends) -> Child:
        name = f"{_COMMANDS[service]}-{number}"
        port_file = self._layout.run_dir / f"{name}.port"
        self._probe_ports[name] = probe_port
        ports = Ports(
            probe_port=probe_port,
            probe_port_file=port_file,
            api_port=self._api_ports[number - 1] if service == "ingress" else None,
        )
        return Child(
            ChildSpec(
                name=name,
                command=(sys.executable, "-m", "tollhouse", _COMMANDS[service]),
                environ=service_environ(service, self._options, self._layout, backends, ports),
                log_file=self._layout.log_file(name),
                port_file=port_file,
                ready_url=f"http://{HOST}:{probe_port}/readyz",
                stop_limit_s=drain_s(self._options.environ) + 5.0,
            )
        )

    def _start(self, child: Child) -> None:
        with self._signals.held():
            child.start()
            self.write_records()

    @property
    def service_children(self) -> list[Child]:
        return [child for children in self.services.values() for child in children]

    @property
    def backend_children(self) -> list[Child]:
        return [child for child in (self.clickhouse, self.vendors, self.real_model) if child is not None]

    def stop(self) -> None:
        """Clients are seen off first; then whoever serves those that are left. Nothing of ours runs afterwards."""
        for service in reversed(list(self.services)):
            stop_together(self.services[service], self._signals, self._progress)
        stop_together([child for child in (self.vendors, self.real_model) if child], self._signals, self._progress)
        # Both keep data on disk and know nothing of each other.
        if self.kafka is not None and self.kafka.running:
            with suppress(ProcessLookupError):
                self.kafka.terminate()
        stop_together([self.clickhouse] if self.clickhouse else [], self._signals, self._progress)
        if self.kafka is not None:
            self.kafka.stop(HURRIED_STOP_LIMIT_S if self._signals.hurry else BACKEND_STOP_LIMIT_S)
        remove_stack_file(self._layout)
        self._layout.processes_file.unlink(missing_ok=True)

    def write_records(self) -> None:
        """What a later `down` needs, should this process be killed."""
        kafka_pid = self.kafka.pid if self.kafka is not None and self.kafka.running else None
        named = [("kafka", kafka_pid)]
        named += [(child.name, child.pid) for child in (*self.backend_children, *self.service_children)]
        records = [record_of(name, pid) for name, pid in named if pid is not None]
        write_records(self._layout, [record for record in records if record is not None])

    def write_stack_file(self) -> None:
        """To be called whenever a pid has changed, after `start`."""
        if self.used is None:
            return
        self.write_records()
        write_stack_file(self._layout, self._described(self.used))

    def _described(self, backends: Backends) -> StackFile: ...


def _pids(children: Sequence[Child]) -> list[int]:
    return [child.pid for child in children if child.pid is not None]


def _origin(child: Child) -> str:
    return child.spec.ready_url.rpartition("/")[0]
