"""Builds the usage events of a request. Pure."""

import msgspec

from router_worker.call_result import CallResult
from router_worker.estimate import input_tokens_bound, output_tokens_bound, tokens_bound
from router_worker.rating import consistent, cost_pico_usd, dearest
from schemas.catalogue import Model, Price, Route
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.ids import attempt_id
from schemas.usage import AttemptEvent, AttemptOutcome, RequestEvent, TokenCounts, UsageRecord

# Vendors' ids are far shorter. A garbled one of a megabyte would make a record that Kafka never takes, and the producer
# would try for ever.
MAX_VENDOR_REQUEST_ID = 256

NOT_CALLED = "not_called"
"""An attempt's failure that is no vendor's: there was an intent, but no call followed."""


class AttemptContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt before the call."""

    attempt_no: int
    worker_id: str
    model: Model
    route: Route
    price: Price
    started_at_ms: int
    input_bound: int
    max_output_tokens: int | None
    choices: int


def attempt_context(
    attempt_no: int,
    worker_id: str,
    model: Model,
    route: Route,
    price: Price,
    now_ms: int,
    body: bytes,
    *,
    has_media: bool,
    max_output_tokens: int | None,
    choices: int,
) -> AttemptContext:
    return AttemptContext(
        attempt_no=attempt_no,
        worker_id=worker_id,
        model=model,
        route=route,
        price=price,
        started_at_ms=now_ms,
        input_bound=input_tokens_bound(body, route, has_media=has_media),
        max_output_tokens=max_output_tokens,
        choices=choices,
    )


def lost_attempt(context: AttemptContext, envelope: RequestEnvelope) -> AttemptEvent:
    """The attempt at its upper bound: what there is to report should this worker be lost."""
    tokens = _bound(context, None)
    return _event(context, envelope, tokens, estimated=True, outcome="worker_lost", ended_at_ms=context.started_at_ms)


def intent(envelope: RequestEnvelope, lost: AttemptEvent) -> UsageRecord:
    """What stays of the attempt in Kafka should the ingress be lost with the worker."""
    record = usage_record(envelope, (lost,), None)
    return msgspec.structs.replace(record, origin="intent", deadline_ms=envelope.deadline_ms)


def uncalled_attempt(context: AttemptContext, envelope: RequestEnvelope, ended_at_ms: int) -> AttemptEvent:
    """Takes an intent back: the call was not made."""
    return _event(
        context,
        envelope,
        TokenCounts(),
        estimated=False,
        outcome="failed",
        ended_at_ms=ended_at_ms,
        failure=NOT_CALLED,
    )


def finished_attempt(
    context: AttemptContext, envelope: RequestEnvelope, result: CallResult, ended_at_ms: int
) -> AttemptEvent:
    """The vendor's figures where it gave them; else nothing, if it cannot have worked; else an upper bound."""
    tokens, estimated = TokenCounts(), False
    if result.tokens is not None:
        tokens = consistent(result.tokens)
    elif result.began and (result.failure is None or result.failure.rule.maybe_billed or result.outcome == "cancelled"):
        tokens, estimated = _bound(context, result.output_bytes), True
    return _event(
        context,
        envelope,
        tokens,
        estimated=estimated,
        outcome=result.outcome,
        ended_at_ms=ended_at_ms,
        first_byte_ms=result.first_byte_ms,
        status=result.status,
        failure=result.failure.kind.value if result.failure is not None else None,
        vendor_request_id=result.vendor_request_id and result.vendor_request_id[:MAX_VENDOR_REQUEST_ID],
    )


def _bound(context: AttemptContext, output_bytes: int | None) -> TokenCounts:
    output = output_tokens_bound(context.max_output_tokens, context.route, output_bytes, choices=context.choices)
    return tokens_bound(context.input_bound, output)


def _event(
    context: AttemptContext,
    envelope: RequestEnvelope,
    tokens: TokenCounts,
    *,
    estimated: bool,
    outcome: AttemptOutcome,
    ended_at_ms: int,
    first_byte_ms: int | None = None,
    status: int | None = None,
    failure: str | None = None,
    vendor_request_id: str | None = None,
) -> AttemptEvent:
    route = context.route
    return AttemptEvent(
        attempt_id=attempt_id(envelope.request_id, envelope.delivery, context.attempt_no),
        attempt_no=context.attempt_no,
        delivery=envelope.delivery,
        worker_id=context.worker_id,
        provider=context.model.provider,
        model=context.model.model_id,
        vendor=route.vendor,
        vendor_model=route.vendor_model,
        started_at_ms=context.started_at_ms,
        ended_at_ms=ended_at_ms,
        outcome=outcome,
        tokens=tokens,
        cost_pico_usd=cost_pico_usd(tokens, dearest(context.price) if estimated else context.price),
        estimated=estimated,
        price_id=route.price_id(context.price),
        first_byte_ms=first_byte_ms,
        status=status,
        failure=failure,
        vendor_request_id=vendor_request_id,
    )


def finished_request(
    envelope: RequestEnvelope,
    attempts: list[AttemptEvent],
    failure: Failure | None,
    *,
    answered: bool,
    taken_at_ms: int,
    now_ms: int,
) -> RequestEvent:
    """`answered`: the client has got a 200 and at least part of an answer."""
    last = attempts[-1] if attempts else None
    first_byte_ms: int | None = None
    if last is not None and answered and last.first_byte_ms is not None:
        first_byte_ms = max(0, last.started_at_ms + last.first_byte_ms - envelope.accepted_at_ms)
    # In a stream the 200 was out before the failure; but of a client that went away, that is the thing to know.
    in_stream = answered and envelope.streaming and (failure is None or failure.kind is not FailureKind.CLIENT_GONE)
    return RequestEvent(
        delivery=envelope.delivery,
        accepted_at_ms=envelope.accepted_at_ms,
        finished_at_ms=now_ms,
        status=200 if failure is None or in_stream else failure.http_status,
        attempts=len(attempts),
        queue_ms=max(0, taken_at_ms - envelope.accepted_at_ms),
        total_ms=max(0, now_ms - envelope.accepted_at_ms),
        first_byte_ms=first_byte_ms,
        failure=failure.kind.value if failure is not None else None,
        model=last.model if last is not None else None,
        vendor=last.vendor if last is not None else None,
    )


def usage_record(
    envelope: RequestEnvelope, attempts: tuple[AttemptEvent, ...], request: RequestEvent | None
) -> UsageRecord:
    return UsageRecord(
        request_id=envelope.request_id,
        origin="worker",
        attribution=envelope.attribution,
        surface=envelope.surface,
        streaming=envelope.streaming,
        requested_model=envelope.model,
        attempts=attempts,
        request=request,
        accepted_at_ms=envelope.accepted_at_ms,
        leases=envelope.leases,
    )
