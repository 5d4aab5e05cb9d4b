"""Settings of the admin API."""

from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.shared_settings import (
    ClickHouseSettings,
    KafkaSettings,
    LifecycleSettings,
    LogSettings,
    Port,
    Positive,
    ProbeSettings,
)


class AdminSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_body_bytes`: larger bodies get 413. `body_timeout_s`: a body that takes longer to arrive gets 408.
    `change_timeout_s`: how long Kafka may take to confirm a change before the caller gets 503. `stale_after_s`: with a
    configuration that may be older than this nobody is let in, for a key may have been revoked meanwhile.
    `plain_http_webhooks`: also take webhooks on other machines without TLS."""

    host: str = "127.0.0.1"
    port: Port = 8081
    port_file: str | None = None
    max_body_bytes: Annotated[int, Meta(ge=1024, le=900_000)] = 256 * 1024
    body_timeout_s: Positive = 10.0
    change_timeout_s: Positive = 10.0
    stale_after_s: Positive = 15.0
    plain_http_webhooks: bool = False


class AdminApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings
    admin: AdminSettings
