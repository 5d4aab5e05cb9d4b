"""Settings of the router worker."""

import msgspec

from runtime.shared_settings import (
    CatalogueSettings,
    Count,
    KafkaSettings,
    LifecycleSettings,
    LogSettings,
    Positive,
    ProbeSettings,
)


class WorkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_in_flight`: requests served at once by this process; with so many, its partitions are paused.
    `connect_timeout_s`, `first_byte_timeout_s` (until an event stream's first chunk), `answer_timeout_s` (until a plain
    answer is whole): after them the next route is tried. `stall_timeout_s`: silence in the
    middle of an answer. `max_answer_bytes`: of a plain answer, which is held in memory."""

    max_in_flight: Count = 1000
    connect_timeout_s: Positive = 5.0
    first_byte_timeout_s: Positive = 60.0
    answer_timeout_s: Positive = 300.0
    stall_timeout_s: Positive = 60.0
    max_answer_bytes: Count = 64 * 1024 * 1024


class VendorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`file`: TOML with self-hosted vendors and other base URLs. `keys_dir`: a folder of mounted secrets, one file for
    each key, named like the environment variable that it replaces."""

    file: str | None = None
    keys_dir: str | None = None


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings
    catalogue: CatalogueSettings
    worker: WorkSettings
    vendors: VendorSettings
