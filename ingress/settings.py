"""Settings of the ingress."""

from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.shared_settings import (
    CatalogueSettings,
    Count,
    KafkaSettings,
    LifecycleSettings,
    LogSettings,
    Port,
    Positive,
    ProbeSettings,
)
from schemas.frames import MAX_PAYLOAD_BYTES


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_body_bytes`: larger bodies get 413. `max_inline_body_bytes`: larger ones go by the reply channel instead of
    Kafka, whose records are limited. `body_timeout_s`: a body that takes longer to arrive gets 408.
    `request_deadline_s`: after it a request gets 504, started or not. `max_open_requests`: with so many waiting, new
    ones get 503. `confirm_within_s`: how long Kafka may take to confirm a request before clients get 503.
    `heartbeat_s`: an idle event stream gets a comment that often, so that proxies keep it open. `window_bytes`: how far
    a vendor may be ahead of a slow client, per stream. `max_deliveries`: how many workers a request may lose before it
    fails. `lost_report_delay_s`: how long the ingress gives a lost worker's own usage events to arrive before it
    reports estimates. `lease_ttl_s`: how long hard budgets go on being spent, out of leases, without a word from their
    authority; then their requests get 503. `budget_wait_s`: how long a request waits for room in a budget before it is
    refused. `default_output_cap_tokens`: what a request that names no cap may generate where a hard budget pays, if it
    can afford so much; `least_output_cap_tokens`: with less left it is refused."""

    host: str = "127.0.0.1"
    port: Port = 8080
    port_file: str | None = None
    max_body_bytes: Annotated[int, Meta(ge=1, le=MAX_PAYLOAD_BYTES - 1024)] = 32 * 1024 * 1024
    max_inline_body_bytes: Annotated[int, Meta(ge=0, le=960 * 1024)] = 768 * 1024
    body_timeout_s: Positive = 60.0
    request_deadline_s: Positive = 600.0
    max_open_requests: Count = 4000
    confirm_within_s: Positive = 3.0
    heartbeat_s: Positive = 15.0
    window_bytes: Count = 256 * 1024
    max_deliveries: Count = 3
    lost_report_delay_s: Positive = 2.0
    lease_ttl_s: Annotated[float, Meta(ge=1)] = 15.0
    budget_wait_s: Annotated[float, Meta(ge=0)] = 2.0
    default_output_cap_tokens: Count = 4096
    least_output_cap_tokens: Count = 64


class ReplySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where workers connect to this very replica. `advertised_url` is what they are told (ws://pod-name:port/reply);
    without it, the address that the listener has."""

    host: str = "127.0.0.1"
    port: Port = 0
    advertised_url: str | None = None


class IngressSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings
    catalogue: CatalogueSettings
    ingress: ApiSettings
    reply: ReplySettings
