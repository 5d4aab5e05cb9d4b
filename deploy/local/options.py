"""What `tollhouse local up` was asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

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


def problem_of(options: StackOptions) -> str | None:
    """What is wrong with a value whose mistake would show itself only later, and as something else; else None."""
    if options.clickhouse_url is not None and not _is_http_url(options.clickhouse_url):
        return f"CLICKHOUSE_URL: {options.clickhouse_url!r} is no URL such as http://127.0.0.1:8123"
    if not re.fullmatch(r"[a-zA-Z0-9._-]*", options.topic_prefix):
        allowed = "a topic's name in Kafka has letters, digits, '.', '_' and '-' only"
        return f"TOPIC_PREFIX: {options.topic_prefix!r} cannot be used; {allowed}"
    return None


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
