"""Rows for the tables of billing_consumer's migrations, written past the code that writes them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.asyncclient import AsyncClient

Row = dict[str, Any]


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def attempt_row(request_id: str, **given: Any) -> Row:
    """One attempt of project p1. Times follow `accepted_at`, the id follows delivery and number."""
    delivery, attempt_no = given.get("delivery", 0), given.get("attempt_no", 1)
    accepted_at = given.get("accepted_at", at("2026-11-10T12:00:00"))
    row: Row = {
        "organization_id": "o1",
        "project_id": "p1",
        "request_id": request_id,
        "attempt_id": f"{request_id}.{delivery}.{attempt_no}",
        "attempt_no": attempt_no,
        "delivery": delivery,
        "origin": "worker",
        "api_key_id": "k1",
        "customer_id": "",
        "tags": {},
        "surface": "openai.chat",
        "streaming": False,
        "requested_model": "maker/m1",
        "worker_id": "w1",
        "provider": "maker",
        "model": "m1",
        "vendor": "v1",
        "vendor_model": "vm1",
        "started_at": accepted_at,
        "ended_at": accepted_at,
        "accepted_at": accepted_at,
        "first_byte_ms": 12,
        "outcome": "completed",
        "status": 200,
        "failure": "",
        "input_tokens": 100,
        "cached_input_tokens": 40,
        "output_tokens": 20,
        "cost_usd": Decimal("0.001"),
        "price_id": "v1/vm1@2026-01-01",
        "estimated": False,
        "unusual": False,
        "sign": 1,
        "kafka_partition": 0,
        "kafka_offset": 10,
        "leases": [],
    }
    return row | given


def request_row(request_id: str, **given: Any) -> Row:
    accepted_at = given.get("accepted_at", at("2026-11-10T12:00:00"))
    row: Row = {
        "organization_id": "o1",
        "project_id": "p1",
        "request_id": request_id,
        "delivery": 0,
        "origin": "worker",
        "api_key_id": "k1",
        "customer_id": "",
        "tags": {},
        "surface": "openai.chat",
        "streaming": False,
        "requested_model": "maker/m1",
        "accepted_at": accepted_at,
        "finished_at": accepted_at,
        "status": 200,
        "attempts": 1,
        "queue_ms": 1,
        "total_ms": 2,
        "first_byte_ms": None,
        "failure": "",
        "model": "m1",
        "vendor": "v1",
        "unusual": False,
        "sign": 1,
        "kafka_partition": 0,
        "kafka_offset": 10,
    }
    return row | given


def taken_back(row: Row, **given: Any) -> Row:
    return row | {"sign": -1} | given


async def insert(client: AsyncClient, table: str, rows: Sequence[Row]) -> None:
    if rows:
        # One insert: deduplication is by content where no token is given, and tests repeat rows.
        names = list(rows[0])
        data = [[row[name] for name in names] for row in rows]
        await client.insert(table, data, column_names=names, settings={"insert_deduplicate": 0})
