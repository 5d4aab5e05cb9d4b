"""Usage records to test with. Everything about one is given by its arguments, so equal arguments are equal facts."""

from dataclasses import dataclass

from schemas.envelope import Attribution
from schemas.ids import attempt_id
from schemas.usage import USAGE, AttemptEvent, Origin, RequestEvent, TokenCounts, UsageRecord

START_MS = 1_790_000_000_000


@dataclass(frozen=True)
class KafkaRecordStub:
    offset: int
    value: bytes | None
    timestamp: int = START_MS
    timestamp_type: int = 1


def attempt_event(
    request_id: str, *, delivery: int = 0, attempt_no: int = 1, cost_pico_usd: int = 1, started_at_ms: int = START_MS
) -> AttemptEvent:
    return AttemptEvent(
        attempt_id=attempt_id(request_id, delivery, attempt_no),
        attempt_no=attempt_no,
        delivery=delivery,
        worker_id="worker-1",
        provider="maker",
        model="model-1",
        vendor="vendor-1",
        vendor_model="vendor-model-1",
        started_at_ms=started_at_ms,
        ended_at_ms=started_at_ms + 700,
        outcome="completed",
        tokens=TokenCounts(input=100, cached_input=40, cache_write=3, cache_write_1h=2, output=20, reasoning=5),
        cost_pico_usd=cost_pico_usd,
        estimated=False,
        price_id="vendor-1/vendor-model-1@2026-01-01",
        first_byte_ms=120,
        status=200,
    )


def request_event(*, delivery: int = 0, status: int = 200, accepted_at_ms: int = START_MS) -> RequestEvent:
    return RequestEvent(
        delivery=delivery,
        accepted_at_ms=accepted_at_ms,
        finished_at_ms=accepted_at_ms + 900,
        status=status,
        attempts=1,
        queue_ms=4,
        total_ms=900,
        first_byte_ms=130,
        model="model-1",
        vendor="vendor-1",
    )


def usage_record(
    request_id: str,
    *,
    attempts: tuple[AttemptEvent, ...] = (),
    request: RequestEvent | None = None,
    origin: Origin = "worker",
    repeat: bool = False,
    project_id: str = "prj_1",
    api_key_id: str = "key_1",
    tags: dict[str, str] | None = None,
    customer_id: str | None = None,
    accepted_at_ms: int = 0,
    deadline_ms: int = 0,
    leases: tuple[str, ...] = (),
) -> UsageRecord:
    return UsageRecord(
        request_id=request_id,
        origin=origin,
        attribution=Attribution(
            organization_id="org_1",
            project_id=project_id,
            api_key_id=api_key_id,
            customer_id=customer_id,
            tags={"team": "a b", "x": "'"} if tags is None else tags,
        ),
        surface="openai.chat",
        streaming=True,
        requested_model="maker/model-1",
        attempts=attempts,
        request=request,
        repeat=repeat,
        accepted_at_ms=accepted_at_ms,
        deadline_ms=deadline_ms,
        leases=leases,
    )


def kafka_record(offset: int, record: UsageRecord) -> KafkaRecordStub:
    return KafkaRecordStub(offset, USAGE.encode(record))
