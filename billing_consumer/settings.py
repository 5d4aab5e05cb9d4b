"""What can be set on the billing consumer. Names in the environment: runtime.settings."""

from msgspec import Struct

from billing_consumer.authority.settings import AuthoritySettings
from runtime.shared_settings import (
    ClickHouseSettings,
    Count,
    KafkaSettings,
    LifecycleSettings,
    LogSettings,
    Positive,
    ProbeSettings,
)


class BatchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_batch_records`: what one cycle takes at most, over all partitions. `batch_wait_s`: how long a cycle collects
    records before it writes them, so that ClickHouse gets a few large inserts and not many small ones. `backoff_s` to
    `max_backoff_s`: the pause before Kafka or ClickHouse is tried again, doubled each time."""

    max_batch_records: Count = 20_000
    batch_wait_s: Positive = 0.5
    backoff_s: Positive = 0.2
    max_backoff_s: Positive = 5.0


class BillingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    billing: BatchSettings
    authority: AuthoritySettings
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings
