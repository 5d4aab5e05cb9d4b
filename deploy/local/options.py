"""What `tollhouse local up` was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.choose import Choice

HOST = "127.0.0.1"
DEFAULT_DIR = ".local"
DEFAULT_PORT = 8080


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """`port`: of the first API, 0 for a free one. `kafka_bootstrap`, `clickhouse_url`: servers that are there already;
    then the stack starts none. `topic_prefix`: before every topic and group name. `restart`: whether services that
    end by themselves are started again. `environ`: the caller's; its TOLLHOUSE_* settings win over the stack's."""

    dir: Path
    port: int
    ingress: int
    workers: int
    billing: int
    kafka: Choice
    kafka_bootstrap: str | None
    clickhouse_url: str | None
    topic_prefix: str
    real_model: bool
    restart: bool
    environ: Mapping[str, str]
