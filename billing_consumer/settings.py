"""What can be set on the billing consumer. Names in the environment: runtime.settings."""

from msgspec import Struct

from runtime.shared_settings import Count, KafkaSettings, LifecycleSettings, LogSettings, Positive, ProbeSettings


class ClickHouseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: http(s)://host:port of ClickHouse's HTTP interface. `timeout_s`: for one query or insert; a batch that
    runs into it is tried again."""

    url: str
    user: str = "default"
    password: str = ""
    database: str = "tollhouse"
    timeout_s: Positive = 30.0


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
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings
