"""What each file under `golden/` must decode to. A file is never edited once released: it stands for records in topics.

`full`: every field as the writer writes it. `older`: written before the optional fields existed. `newer_minor`: written
by a later version of the same major, with fields that this one does not know.
"""

from pathlib import Path
from typing import Any

import msgspec

from schemas.codec import RecordCodec
from schemas.dead_letter import DEAD_LETTER, DeadLetter
from schemas.envelope import ENVELOPE, Attribution, RequestEnvelope, RoutingOptions
from schemas.failures import Failure, FailureKind
from schemas.frames import (
    CLAIM_DECODER,
    END_DECODER,
    FAILURE_DECODER,
    HEAD_DECODER,
    REFUSE_DECODER,
    SETTLED_DECODER,
    Claim,
    End,
    FrameType,
    Head,
    Refuse,
    Settled,
)
from schemas.usage import USAGE, AttemptEvent, RequestEvent, TokenCounts, UsageRecord
from tests.schemas import golden_money

GOLDEN = Path(__file__).with_name("golden")

CODECS: dict[str, RecordCodec[Any]] = {
    "envelope": ENVELOPE,
    "usage": USAGE,
    **golden_money.CODECS,
    "dead_letter": DEAD_LETTER,
}
PAYLOAD_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "claim": CLAIM_DECODER,
    "head": HEAD_DECODER,
    "end": END_DECODER,
    "settled": SETTLED_DECODER,
    "refuse": REFUSE_DECODER,
    "failure": FAILURE_DECODER,
}

_WHO = Attribution(organization_id="org_1", project_id="prj_1", api_key_id="key_1")

_PLAIN_ENVELOPE = RequestEnvelope(
    request_id="req_1",
    stream_id=1,
    reply_url="ws://10.0.0.7:9001/reply",
    token="t",
    delivery=0,
    accepted_at_ms=1763800000000,
    deadline_ms=1763800600000,
    attribution=_WHO,
    surface="openai.chat",
    model="gpt-4o-mini",
    streaming=False,
    max_output_tokens=None,
    body="inline",
)

_FULL_ENVELOPE = RequestEnvelope(
    request_id="req_0193a0b1c2d3aabbccddeeff00112233aabb",
    stream_id=2**64 - 1,
    reply_url="ws://ingress-0.ingress:9001/reply",
    token="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    delivery=1,
    accepted_at_ms=1763800000000,
    deadline_ms=1763800600000,
    attribution=Attribution(
        organization_id="org_1",
        project_id="prj_1",
        api_key_id="key_1",
        customer_id="customer é 1",
        tags={"team": "search", "run": "42"},
    ),
    surface="openai.chat",
    model="gpt-4o-mini",
    streaming=True,
    max_output_tokens=256,
    body="held",
)

_SECOND_ATTEMPT = AttemptEvent(
    attempt_id="req_1.0.1",
    attempt_no=1,
    delivery=0,
    worker_id="worker-a",
    provider="openai",
    model="gpt-4o-mini",
    vendor="openai",
    vendor_model="gpt-4o-mini-2024-07-18",
    started_at_ms=1763800000031,
    ended_at_ms=1763800001031,
    outcome="completed",
    tokens=TokenCounts(input=1000, cached_input=600, cache_write=10, output=50, reasoning=20),
    cost_pico_usd=136500000,
    estimated=False,
    price_id="openai/gpt-4o-mini-2024-07-18@2025-01-01",
    first_byte_ms=210,
    status=200,
    vendor_request_id="oa-78",
)

_FULL_USAGE = UsageRecord(
    request_id="req_1",
    origin="worker",
    attribution=Attribution(
        organization_id="org_1",
        project_id="prj_1",
        api_key_id="key_1",
        customer_id="cus_1",
        tags={"team": "search"},
    ),
    surface="openai.chat",
    streaming=True,
    requested_model="best",
    attempts=(
        AttemptEvent(
            attempt_id="req_1.0.0",
            attempt_no=0,
            delivery=0,
            worker_id="worker-a",
            provider="openai",
            model="gpt-4o-mini",
            vendor="azure",
            vendor_model="gpt-4o-mini-eu",
            started_at_ms=1763800000010,
            ended_at_ms=1763800000030,
            outcome="failed",
            tokens=TokenCounts(),
            cost_pico_usd=0,
            estimated=False,
            price_id="azure/gpt-4o-mini-eu@2025-01-01",
            status=429,
            failure="vendor_rate_limited",
            vendor_request_id="az-77",
        ),
        _SECOND_ATTEMPT,
    ),
    request=RequestEvent(
        delivery=0,
        accepted_at_ms=1763800000000,
        finished_at_ms=1763800001032,
        status=200,
        attempts=2,
        queue_ms=9,
        total_ms=1032,
        first_byte_ms=242,
        model="gpt-4o-mini",
        vendor="openai",
    ),
    repeat=True,
)


def _with_1h(attempt: AttemptEvent) -> AttemptEvent:
    return msgspec.structs.replace(attempt, tokens=msgspec.structs.replace(attempt.tokens, cache_write_1h=4))


_LOST_USAGE = UsageRecord(
    request_id="req_2",
    origin="ingress",
    attribution=_WHO,
    surface="openai.chat",
    streaming=False,
    requested_model="gpt-4o-mini",
    attempts=(
        AttemptEvent(
            attempt_id="req_2.2.0",
            attempt_no=0,
            delivery=2,
            worker_id="worker-b",
            provider="openai",
            model="gpt-4o-mini",
            vendor="openai",
            vendor_model="gpt-4o-mini-2024-07-18",
            started_at_ms=1763800000000,
            ended_at_ms=1763800000500,
            outcome="worker_lost",
            # Beyond 2**53 and 2**64: a reader that went through floats or 64-bit integers would show it.
            tokens=TokenCounts(input=9007199254740993, output=4096),
            cost_pico_usd=123456789012345678901234,
            estimated=True,
            price_id="openai/gpt-4o-mini-2024-07-18@2025-01-01",
            failure="worker_lost",
        ),
    ),
)

_REFUSED_USAGE = UsageRecord(
    request_id="req_3",
    origin="ingress",
    attribution=_WHO,
    surface="openai.chat",
    streaming=False,
    requested_model="no-such",
    request=RequestEvent(
        delivery=0,
        accepted_at_ms=1763800000000,
        finished_at_ms=1763800000001,
        status=404,
        attempts=0,
        queue_ms=0,
        total_ms=1,
        failure="model_not_found",
    ),
)

_OLDER_USAGE = UsageRecord(
    request_id="req_4",
    origin="worker",
    attribution=_WHO,
    surface="openai.chat",
    streaming=False,
    requested_model="gpt-4o-mini",
    attempts=(
        AttemptEvent(
            attempt_id="req_4.0.0",
            attempt_no=0,
            delivery=0,
            worker_id="worker-a",
            provider="openai",
            model="gpt-4o-mini",
            vendor="openai",
            vendor_model="gpt-4o-mini-2024-07-18",
            started_at_ms=1,
            ended_at_ms=2,
            outcome="cancelled",
            tokens=TokenCounts(input=7),
            cost_pico_usd=1050000,
            estimated=True,
            price_id="openai/gpt-4o-mini-2024-07-18@2025-01-01",
        ),
    ),
)

_NO_ENVELOPE = DeadLetter(
    source_topic="requests", source_partition=0, source_offset=0, reason="no envelope", at_ms=1763800000000
)

RECORDS: dict[str, Any] = {
    "envelope/v1/full_at_first.json": _FULL_ENVELOPE,
    "envelope/v1/full.json": msgspec.structs.replace(
        _FULL_ENVELOPE,
        surface="anthropic.messages",
        routing=RoutingOptions(
            fallback_models=("gpt-4o", "claude-haiku-4-5"),
            vendors=("azure", "openai"),
            zero_data_retention=True,
            include_metadata=True,
        ),
        leases=("3|b1@2026-11-01|h1.1",),
        gateway_cap_tokens=4096,
    ),
    "envelope/v1/older.json": _PLAIN_ENVELOPE,
    "envelope/v1/newer_minor.json": _PLAIN_ENVELOPE,
    "usage/v1/full_at_first.json": _FULL_USAGE,
    "usage/v1/full.json": msgspec.structs.replace(
        _FULL_USAGE,
        attempts=(_FULL_USAGE.attempts[0], _with_1h(_FULL_USAGE.attempts[1])),
        accepted_at_ms=1763800000000,
        deadline_ms=1763800600000,
        leases=("3|b1@2026-11-01|h1.1",),
    ),
    "usage/v1/attempt_lost.json": _LOST_USAGE,
    "usage/v1/request_only.json": _REFUSED_USAGE,
    "usage/v1/older.json": _OLDER_USAGE,
    "usage/v1/newer_minor.json": _OLDER_USAGE,
    **golden_money.RECORDS,
    "dead_letter/v1/full.json": DeadLetter(
        source_topic="usage",
        source_partition=3,
        source_offset=9007199254740993,
        reason="UsageRecord: JSON is malformed: invalid character (byte 0)",
        at_ms=1763800000000,
        value=b"\x00\xffnot json",
    ),
    "dead_letter/v1/older.json": _NO_ENVELOPE,
    "dead_letter/v1/newer_minor.json": _NO_ENVELOPE,
}

_PLAIN_CLAIM = Claim(token="t", delivery=0, claim_no=0, worker_id="worker-a")
_HEAD = Head(status=200, content_type="text/event-stream", model="gpt-4o-mini", vendor="openai", attempts=2)
_SETTLED = Settled(cost_pico_usd=136500000, input_tokens=7, output_tokens=9)
_END = End(cost_pico_usd=136500000, estimated=False)

PAYLOADS: dict[str, Any] = {
    "claim/v1/full.json": Claim(
        token="t",
        delivery=1,
        claim_no=2,
        worker_id="worker-a",
        if_lost=msgspec.Raw(b'{"request_id":"req_1","attempts":[{"cost_pico_usd":12}],"v":1}'),
        bound_pico_usd=12,
        spent_pico_usd=3,
    ),
    "claim/v1/older.json": _PLAIN_CLAIM,
    "claim/v1/newer_minor.json": _PLAIN_CLAIM,
    "head/v1/full_at_first.json": _HEAD,
    "head/v1/full.json": Head(
        status=200,
        content_type="application/json",
        model="gpt-4o-mini",
        vendor="openai",
        attempts=2,
        vendor_ms=1204,
        cost_pico_usd=136500000,
        estimated=True,
        dropped=("seed", "metadata"),
        capped_tokens=4096,
    ),
    "head/v1/newer_minor.json": _HEAD,
    "end/v1/full.json": _END,
    "end/v1/newer_minor.json": _END,
    "settled/v1/full.json": _SETTLED,
    "settled/v1/newer_minor.json": _SETTLED,
    "refuse/v1/full.json": Refuse(reason="claimed"),
    "refuse/v1/newer_minor.json": Refuse(reason="late"),
    "failure/v1/full.json": Failure(
        kind=FailureKind.VENDOR_RATE_LIMITED,
        message="Slow down.",
        param="messages.0",
        code="rate_limit_exceeded",
        status=429,
        retry_after_s=1.5,
    ),
    "failure/v1/older.json": Failure(kind=FailureKind.CLIENT_GONE),
    "failure/v1/newer_minor.json": Failure(kind=FailureKind.CLIENT_GONE),
}

FRAMES: dict[str, tuple[FrameType, int, bytes]] = {
    "frames/v1/claim.hex": (FrameType.CLAIM, 7, b'{"token":"t","delivery":0,"claim_no":0,"worker_id":"w"}'),
    "frames/v1/head.hex": (
        FrameType.HEAD,
        7,
        b'{"status":200,"content_type":"application/json","model":"m","vendor":"v","attempts":1}',
    ),
    "frames/v1/data.hex": (FrameType.DATA, 2**64 - 1, b"\x00\xffdata"),
    "frames/v1/end.hex": (FrameType.END, 7, b'{"cost_pico_usd":5,"estimated":true}'),
    "frames/v1/error.hex": (FrameType.ERROR, 7, b'{"kind":"vendor_error"}'),
    "frames/v1/settled.hex": (FrameType.SETTLED, 7, b'{"cost_pico_usd":5,"input_tokens":1,"output_tokens":2}'),
    "frames/v1/abandoned.hex": (FrameType.ABANDONED, 7, b""),
    "frames/v1/accept.hex": (FrameType.ACCEPT, 7, b"\x00\x04\x00\x00"),
    "frames/v1/accept_held.hex": (FrameType.ACCEPT, 7, b'\x00\x04\x00\x00{"model":"m"}'),
    "frames/v1/refuse.hex": (FrameType.REFUSE, 7, b'{"reason":"unknown"}'),
    "frames/v1/cancel.hex": (FrameType.CANCEL, 7, b'{"kind":"client_gone"}'),
    "frames/v1/credit.hex": (FrameType.CREDIT, 7, b"\xff\xff\xff\xff"),
}


def read(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def read_hex(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / name).read_text(encoding="ascii"))
