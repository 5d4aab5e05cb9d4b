"""The tables that rows are inserted into: their columns, in the order of a row. The same as in migrations/*.sql.

The last three columns of attempts and requests are `sign`, `kafka_partition` and `kafka_offset`: what a cancellation
changes.
"""

from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]
"""One value per column of its table. Times are unix ms, money is Decimal USD, absent text is ''."""

_ATTRIBUTION = (
    ("api_key_id", "String"),
    ("customer_id", "String"),
    ("tags", "Map(LowCardinality(String), String)"),
    ("surface", "LowCardinality(String)"),
    ("streaming", "Bool"),
    ("requested_model", "LowCardinality(String)"),
)
_POSITION = (
    ("unusual", "Bool"),
    ("sign", "Int8"),
    ("kafka_partition", "UInt32"),
    ("kafka_offset", "UInt64"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """`columns`: name and ClickHouse type. `id_column`: what a report is about, the key of superseding."""

    name: str
    id_column: str
    columns: tuple[tuple[str, str], ...]

    @property
    def column_names(self) -> list[str]:
        return [name for name, _ in self.columns]

    @property
    def column_types(self) -> list[str]:
        return [type_name for _, type_name in self.columns]

    def index(self, column: str) -> int:
        return self.column_names.index(column)


ATTEMPTS = Table(
    "attempts",
    "attempt_id",
    (
        ("organization_id", "LowCardinality(String)"),
        ("project_id", "LowCardinality(String)"),
        ("request_id", "String"),
        ("attempt_id", "String"),
        ("attempt_no", "UInt32"),
        ("delivery", "UInt32"),
        ("origin", "LowCardinality(String)"),
        *_ATTRIBUTION,
        ("worker_id", "LowCardinality(String)"),
        ("provider", "LowCardinality(String)"),
        ("model", "LowCardinality(String)"),
        ("vendor", "LowCardinality(String)"),
        ("vendor_model", "LowCardinality(String)"),
        ("accepted_at", "DateTime64(3, 'UTC')"),
        ("started_at", "DateTime64(3, 'UTC')"),
        ("ended_at", "DateTime64(3, 'UTC')"),
        ("first_byte_ms", "Nullable(UInt64)"),
        ("outcome", "LowCardinality(String)"),
        ("status", "Nullable(UInt16)"),
        ("failure", "LowCardinality(String)"),
        ("vendor_request_id", "String"),
        ("input_tokens", "UInt64"),
        ("cached_input_tokens", "UInt64"),
        ("cache_write_tokens", "UInt64"),
        ("cache_write_1h_tokens", "UInt64"),
        ("output_tokens", "UInt64"),
        ("reasoning_tokens", "UInt64"),
        ("cost_usd", "Decimal(38, 12)"),
        ("price_id", "LowCardinality(String)"),
        ("estimated", "Bool"),
        ("leases", "Array(String)"),
        *_POSITION,
    ),
)

REQUESTS = Table(
    "requests",
    "request_id",
    (
        ("organization_id", "LowCardinality(String)"),
        ("project_id", "LowCardinality(String)"),
        ("request_id", "String"),
        ("delivery", "UInt32"),
        ("origin", "LowCardinality(String)"),
        *_ATTRIBUTION,
        ("accepted_at", "DateTime64(3, 'UTC')"),
        ("finished_at", "DateTime64(3, 'UTC')"),
        ("status", "UInt16"),
        ("attempts", "UInt32"),
        ("queue_ms", "UInt64"),
        ("total_ms", "UInt64"),
        ("first_byte_ms", "Nullable(UInt64)"),
        ("failure", "LowCardinality(String)"),
        ("model", "LowCardinality(String)"),
        ("vendor", "LowCardinality(String)"),
        *_POSITION,
    ),
)

INTENTS = Table(
    "intents",
    "attempt_id",
    (
        ("kafka_partition", "UInt32"),
        ("request_id", "String"),
        ("attempt_id", "String"),
        ("project_id", "LowCardinality(String)"),
        ("due_at", "DateTime64(3, 'UTC')"),
        ("record", "String"),
        ("kafka_offset", "UInt64"),
    ),
)
