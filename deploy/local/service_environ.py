"""The environment of each gateway process: the stack's settings, most of which give way to the caller's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local.layout import Layout
from deploy.local.options import StackOptions
from deploy.local.written_files import VendorPlan
from router_worker.vendors.table import BUILT_IN
from runtime.settings import variable_name

Service = Literal["ingress", "router_worker", "billing_consumer", "admin_api"]

SIMULATOR_CATALOGUE = Path(__file__).with_name("catalogue.toml")
REAL_MODEL_CATALOGUE = Path(__file__).with_name("real_model.toml")
# Shorter than in production: who stops a stack on a desk waits for it.
_DRAIN_S = "10"
_TANSU_FETCH_MAX_WAIT_MS = "5"
_CREDENTIALS_BESIDE_KEYS = frozenset(
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"}
)


@dataclass(frozen=True, kw_only=True)
class Backends:
    """What the services talk to. `kafka_kind` "given": not started by the stack."""

    kafka_bootstrap: str
    kafka_kind: Literal["apache", "tansu", "given"]
    clickhouse_url: str
    vendor_url: str
    vendors: VendorPlan


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Of one process. `api_port` for an ingress and the admin API only. Fixed, so that a process that is started again
    is found again."""

    probe_port: int
    probe_port_file: Path
    api_port: int | None = None


def drain_s(environ: Mapping[str, str]) -> float:
    """How long a service may take to finish its work in flight. What is no number is the service's to refuse."""
    try:
        return float(environ.get(variable_name("lifecycle", "drain_s"), _DRAIN_S))
    except ValueError:
        return float(_DRAIN_S)


def service_environ(
    service: Service, options: StackOptions, layout: Layout, backends: Backends, ports: Ports
) -> dict[str, str]:
    merged = command_environ(options, backends)
    defaults = {
        variable_name("lifecycle", "drain_s"): _DRAIN_S,
    }
    if service == "router_worker":
        merged |= backends.vendors.stand_in_keys
        merged |= _vendor_keys(options.environ)
    merged = defaults | merged
    merged[variable_name("catalogue", "files")] = _catalogue_files(options)
    # The caller's own vendors are in it.
    merged[variable_name("vendors", "file")] = str(layout.vendors_file)
    merged[variable_name("probe", "port")] = str(ports.probe_port)
    merged[variable_name("probe", "port_file")] = str(ports.probe_port_file)
    if ports.api_port is not None:
        merged[variable_name("ingress" if service == "ingress" else "admin", "port")] = str(ports.api_port)
    return merged


def command_environ(options: StackOptions, backends: Backends) -> dict[str, str]:
    """For `tollhouse topics`, `migrate` and `bootstrap`, and what all services share. Without any vendor's key."""
    caller = without_vendor_keys(options.environ)
    defaults = {}
    if backends.kafka_kind == "tansu":
        # It has no idempotent producer, and answers a fetch only when this time is over.
        defaults[variable_name("kafka", "idempotence")] = "false"
        defaults[variable_name("kafka", "fetch_max_wait_ms")] = _TANSU_FETCH_MAX_WAIT_MS
    decided = {
        # Settled before the stack started, from the command line or this same environment.
        variable_name("kafka", "bootstrap"): backends.kafka_bootstrap,
        variable_name("kafka", "topic_prefix"): options.topic_prefix,
        variable_name("clickhouse", "url"): backends.clickhouse_url,
    }
    return defaults | caller | decided


def without_vendor_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Vendors' keys go to the workers only: no other process has a use for them."""
    keys = _vendor_keys(environ)
    return {name: value for name, value in environ.items() if name not in keys}


def _vendor_keys(environ: Mapping[str, str]) -> dict[str, str]:
    variables = {row.api_key_env for row in BUILT_IN.values()} | _CREDENTIALS_BESIDE_KEYS
    return {name: value for name, value in environ.items() if name in variables and value}


def _catalogue_files(options: StackOptions) -> str:
    files = [str(SIMULATOR_CATALOGUE)]
    if options.real_model:
        files.append(str(REAL_MODEL_CATALOGUE))
    # Later ones win, so the caller's come last.
    given = options.environ.get(variable_name("catalogue", "files"), "")
    return ",".join([*files, *(file.strip() for file in given.split(",") if file.strip())])
