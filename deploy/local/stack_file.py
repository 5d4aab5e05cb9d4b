"""`stack.json`: where everything of a running stack is, for tests, benches and people. Gone when the stack is."""

import msgspec

from deploy.local.layout import Layout
from deploy.local.written_files import write_whole


class Pids(msgspec.Struct, kw_only=True):
    """Of what runs now; None or left out of the list: not running, or not started by this stack."""

    keeper: int
    ingress: list[int]
    router_worker: list[int]
    billing_consumer: list[int]
    admin_api: list[int]
    kafka: int | None
    clickhouse: int | None
    vendors: int | None
    real_model: int | None


class MetricsUrls(msgspec.Struct, kw_only=True):
    """One for each process that was asked for. /livez and /readyz are beside /metrics."""

    ingress: list[str]
    router_worker: list[str]
    billing_consumer: list[str]
    admin_api: list[str]


class StackFile(msgspec.Struct, kw_only=True):
    """`api_key`, `management_key`: None when the bootstrap file does not make the stack's own."""

    api_url: str
    api_urls: list[str]
    admin_url: str
    metrics_urls: MetricsUrls
    kafka_bootstrap: str
    kafka_kind: str
    topic_prefix: str
    clickhouse_url: str
    vendor_url: str
    api_key: str | None
    management_key: str | None
    logs_dir: str
    pids: Pids


def write_stack_file(layout: Layout, stack: StackFile) -> None:
    """Whole or not at all: it is read while processes come and go. With the key in it, so for its owner only."""
    text = msgspec.json.format(msgspec.json.encode(stack), indent=2).decode()
    write_whole(layout.stack_file, text + "\n", mode=0o600)


def remove_stack_file(layout: Layout) -> None:
    layout.stack_file.unlink(missing_ok=True)


def read_stack_file(layout: Layout) -> StackFile:
    """Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode(layout.stack_file.read_bytes(), type=StackFile)
