"""Envelopes and attempt reports, with what a test does not care about filled in."""

from typing import Any

import msgspec

from schemas.envelope import Attribution, RequestEnvelope
from schemas.usage import USAGE, AttemptEvent, TokenCounts, UsageRecord

ATTRIBUTION = Attribution(organization_id="org", project_id="proj", api_key_id="key")


def envelope(**fields: Any) -> RequestEnvelope:
    """Accepted at 0, due at the end of time."""
    defaults: dict[str, Any] = {
        "request_id": "req_1",
        "stream_id": 1,
        "reply_url": "ws://127.0.0.1:1/reply",
        "token": "secret",
        "delivery": 0,
        "accepted_at_ms": 0,
        "deadline_ms": 2**52,
        "attribution": ATTRIBUTION,
        "surface": "openai.chat",
        "model": "m",
        "streaming": False,
    }
    return RequestEnvelope(**(defaults | fields))


def if_lost(*attempt_nos: int, delivery: int = 0, request_id: str = "req_1") -> msgspec.Raw:
    """What a worker's claim says of the calls of a delivery, the last of them about to be made."""
    record = UsageRecord(
        request_id=request_id,
        origin="worker",
        attribution=ATTRIBUTION,
        surface="openai.chat",
        streaming=False,
        requested_model="m",
        attempts=tuple(_attempt(number, delivery, request_id) for number in attempt_nos or (0,)),
    )
    return msgspec.Raw(USAGE.encode(record))


def _attempt(attempt_no: int, delivery: int, request_id: str) -> AttemptEvent:
    return AttemptEvent(
        attempt_id=f"{request_id}.{delivery}.{attempt_no}",
        attempt_no=attempt_no,
        delivery=delivery,
        worker_id="w",
        provider="p",
        model="m",
        vendor="v",
        vendor_model="vm",
        started_at_ms=5,
        ended_at_ms=5,
        outcome="worker_lost",
        tokens=TokenCounts(input=10, output=20),
        cost_pico_usd=50,
        estimated=True,
        price_id="v/vm@2020-01-01",
    )
