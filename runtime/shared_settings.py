"""The groups of settings that more than one service has. Units are in the names; defaults are safe for production."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class KafkaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`bootstrap`: host:port, several with commas. `topic_prefix`: before every topic and group name, so that several
    fleets can share a cluster. `idempotence` may only be turned off for a broker that lacks it (the one-machine
    fallback): without it a broken connection can double a usage event in the topic."""

    bootstrap: Annotated[str, Meta(min_length=1)]
    topic_prefix: str = ""
    idempotence: bool = True
    session_timeout_s: Positive = 10.0
    fetch_max_wait_ms: Count = 500
    replication: Count = 1


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log lines are JSON on stdout, without secrets and without prompts at any level."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class ProbeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where /livez, /readyz and /metrics are served. Port 0 takes a free one. `port_file`: written once it is known."""

    host: str = "127.0.0.1"
    port: Port = 0
    port_file: str | None = None


class LifecycleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`drain_s`: how long work in flight may take to finish after SIGTERM. The pod's grace period must be longer."""

    drain_s: Positive = 25.0


class CatalogueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TOML files laid over the built-in catalogue, later ones winning, model by model."""

    files: tuple[str, ...] = ()


class ClickHouseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: http(s)://host:port of ClickHouse's HTTP interface. `timeout_s`: for one query or insert; a batch that
    runs into it is tried again."""

    url: Annotated[str, Meta(pattern="^https?://[^ ]+$")]
    user: str = "default"
    password: str = ""
    database: str = "tollhouse"
    timeout_s: Positive = 30.0


SHARED_GROUPS = frozenset({"kafka", "log", "probe", "lifecycle", "catalogue", "clickhouse"})
SERVICE_GROUPS = frozenset(
    {"ingress", "reply", "worker", "vendors", "billing", "authority", "admin", "bootstrap", "cli"}
)
KNOWN_GROUPS = SHARED_GROUPS | SERVICE_GROUPS
