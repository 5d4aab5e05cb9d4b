"""One request: claim, plan, call with fallback, settle. Read `OneRequest` top to bottom.

The order of the last steps is what G1 and G3 rest on:
  1. END or ERROR goes to the ingress, so the client does not wait for Kafka.
  2. The usage record is delivered to Kafka. If this process dies before that, the ingress, which still holds the
     claim, reports the attempts at their upper bound.
  3. SETTLED goes to the ingress, which then forgets the request.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec

from router_worker.call_result import CallResult
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.planner import Plan, PlanRequest, no_route_failure, plan, route_key
from router_worker.rating import FREE
from router_worker.stream import Refused, Stream
from router_worker.surfaces.stored_objects import stored_object
from router_worker.surfaces.surface import Reading
from router_worker.usable_vendor import UsableVendor
from router_worker.usage_events import (
    AttemptContext,
    attempt_context,
    finished_attempt,
    finished_request,
    lost_attempt,
    usage_record,
)
from router_worker.vendors.vendor import Vendor, VendorCall, VendorRequest
from router_worker.ways import SURFACES
from router_worker.workbench import Workbench
from schemas.catalogue import Model, Route
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.frames import Claim, End, FrameType, Head, encode_payload
from schemas.ids import attempt_id
from schemas.topics import Topic
from schemas.usage import USAGE, AttemptEvent, RequestEvent

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"


class OneRequest:
    """The state of one request while it is served."""

    def __init__(
        self,
        bench: Workbench,
        envelope: RequestEnvelope,
        stream: Stream,
        settled: Callable[[], None],
        taken_at_ms: int,
    ) -> None:
        self._bench = bench
        self._envelope = envelope
        self._stream = stream
        self._settled = settled
        self._taken_at_ms = taken_at_ms
        self._claims = 0
        self._claimed = False
        self._reported_all = False
        self._attempts: list[AttemptEvent] = []
        self._reported = 0
        self._early_reports: list[asyncio.Task[None]] = []
        self._vendor_ms = 0

    @property
    def owes_a_report(self) -> bool:
        return self._claimed and not self._reported_all

    def abandon(self) -> None:
        """After a mistake of ours. Without a claim the ingress would not know of whom we speak, and its client would
        wait until the deadline. The answer to this one is not waited for: no call follows from it."""
        if not self._claimed:
            self._stream.send(FrameType.CLAIM, encode_payload(self._next_claim(None)))
        self._stream.send_abandoned()

    async def run(self, body: bytes) -> None:
        """Raises Refused if the ingress does not want the first call made."""
        if self._envelope.body == "held":
            body = await self._claim(None)
        reading = SURFACES[self._envelope.surface].read(body, streaming=self._envelope.streaming)
        if isinstance(reading, Failure):
            result = await self._without_call(reading)
        elif (refused := stored_object(self._envelope.surface, body)) is not None:
            result = await self._without_call(refused)
        else:
            result = await self._serve(reading, body)
        await self._finish(result)

    async def _serve(self, reading: Reading, body: bytes) -> CallResult:
        bench, envelope = self._bench, self._envelope
        models: list[Model] = []
        for name in (envelope.model, *envelope.routing.fallback_models):
            model = bench.catalogue.find(name)
            if model is None:
                # The ingress knew the model: its catalogue is newer, or older, than ours.
                return await self._without_call(Failure(kind=FailureKind.MODEL_NOT_FOUND, param="model"))
            models.append(model)
        today = datetime.fromtimestamp(self._taken_at_ms / 1000, UTC).date()
        request = PlanRequest(
            surface=envelope.surface,
            kind=reading.kind,
            needs=reading.needs,
            zero_data_retention=envelope.routing.zero_data_retention,
            vendors=envelope.routing.vendors,
        )
        offers = {name: vendor.ways.keys() for name, vendor in bench.vendors.items()}
        routes = plan(models, request, offers, bench.health.unhealthy_until(), bench.clock.monotonic_s(), today)
        if not routes.routes:
            return await self._without_call(no_route_failure(routes, request))
        return await self._walk(routes, reading, body, today)

    async def _claim(self, if_lost: msgspec.Raw | None) -> bytes:
        held_body = await self._stream.claim(self._next_claim(if_lost))
        # From here on the ingress knows that the request is ours: Kafka need not deliver it again.
        self._claimed = True
        self.settle()
        return held_body

    def _next_claim(self, if_lost: msgspec.Raw | None) -> Claim:
        claim = Claim(
            token=self._envelope.token,
            delivery=self._envelope.delivery,
            claim_no=self._claims,
            worker_id=self._bench.worker_id,
            if_lost=if_lost if if_lost is not None else msgspec.Raw(b"null"),
        )
        self._claims += 1
        return claim

    def settle(self) -> None:
        """The claim is decided: neither this delivery of the record nor its doubles need come again."""
        self._settled()
        while self._stream.doubles:
            self._stream.doubles.pop()()

    async def _without_call(self, failure: Failure) -> CallResult:
        if self._claims == 0:
            await self._claim(None)
        self._bench.failures.note("", failure, request_id=self._envelope.request_id, model=self._envelope.model)
        return CallResult(outcome="failed", failure=failure)

    async def _walk(self, routes: Plan, reading: Reading, body: bytes, today: date) -> CallResult:
        """Calls one route after the other until one answers, or the failure is none that another route would mend.

        A route whose vendor's format cannot say what is asked is passed over; if there is no other, that is the answer.
        """
        result: CallResult | None = None
        unsaid: Failure | None = None
        canonical: ChatRequest | EmbeddingsRequest | Failure | None = None
        attempt_no = 0
        for model, route in routes.routes:
            usable = self._bench.vendors[route.vendor]
            way = usable.ways[self._envelope.surface]
            if way.translated and canonical is None:
                canonical = reading.canonical()
            call = self._vendor_call(attempt_no, model, route, usable, reading, body, canonical)
            request = way.vendor.build_request(call)
            if isinstance(request, Failure):
                unsaid = unsaid or request
                continue
            if attempt_no:
                self._report_early()
            # Of the two bodies the longer: what a translation adds is read, and charged, like what the client wrote.
            longest = max(body, request.body, key=len)
            context = self._context(attempt_no, model, route, today, reading, longest)
            try:
                await self._claim(lost_attempt(context, self._envelope))
            except Refused:
                if not self._claimed:
                    raise
                # The client has gone away while the route before was failing, or since the body was handed over. What
                # was claimed must be settled, or the ingress keeps it until our channel closes.
                return result or CallResult(outcome="failed", failure=Failure(kind=FailureKind.DEADLINE_EXCEEDED))
            result = await self._call(context, way.vendor, usable.base_url, call, request)
            attempt_no += 1
            failure = result.failure
            if failure is None or result.answered or not failure.rule.advance or self._stream.interrupted is not None:
                break
        if result is None:
            assert unsaid is not None, "a plan without routes is not walked"
            return await self._without_call(unsaid)
        return result

    def _context(
        self, attempt_no: int, model: Model, route: Route, today: date, reading: Reading, body: bytes
    ) -> AttemptContext:
        price = route.price_at(today)
        assert price is not None, "the planner skips routes without a price"
        return attempt_context(
            attempt_no,
            self._bench.worker_id,
            model,
            route,
            FREE if reading.free else price,
            self._bench.clock.now_ms(),
            body,
            has_media=reading.has_media,
            max_output_tokens=0 if reading.free or reading.kind == "embeddings" else reading.max_output_tokens,
            choices=reading.choices,
        )

    def _vendor_call(
        self,
        attempt_no: int,
        model: Model,
        route: Route,
        usable: UsableVendor,
        reading: Reading,
        body: bytes,
        canonical: ChatRequest | EmbeddingsRequest | Failure | None,
    ) -> VendorCall:
        envelope = self._envelope
        return VendorCall(
            body=body,
            canonical=canonical,
            model_id=model.model_id,
            vendor_model=route.vendor_model,
            streaming=reading.streaming,
            api_key=usable.key(),
            aws=usable.aws,
            client_wants_usage=reading.wants_usage,
            choices=reading.choices,
            attempt_id=attempt_id(envelope.request_id, envelope.delivery, attempt_no),
            answer_id=envelope.request_id.removeprefix("req_"),
            route_max_output_tokens=route.max_output_tokens,
            now_ms=self._bench.clock.now_ms(),
        )

    async def _call(
        self, context: AttemptContext, vendor: Vendor, base_url: str, call: VendorCall, request: VendorRequest
    ) -> CallResult:
        bench, route = self._bench, context.route
        called_at_ms = bench.clock.now_ms()
        told: AttemptEvent | None = None

        def heading(so_far: CallResult) -> Head:
            nonlocal told
            now_ms = bench.clock.now_ms()
            cost: int | None = None
            estimated = False
            if not call.streaming:
                told = finished_attempt(context, self._envelope, so_far, now_ms)
                cost = told.cost_pico_usd + sum(attempt.cost_pico_usd for attempt in self._attempts)
                estimated = told.estimated or any(attempt.estimated for attempt in self._attempts)
            return Head(
                status=200,
                content_type=EVENT_STREAM if call.streaming else JSON,
                model=context.model.model_id,
                vendor=route.vendor,
                attempts=context.attempt_no + 1,
                vendor_ms=self._vendor_ms + now_ms - called_at_ms,
                cost_pico_usd=cost,
                estimated=estimated,
                dropped=request.dropped,
            )

        result = await bench.caller.call(vendor, base_url + request.url_path, call, request, self._stream, heading)
        ended_at_ms = bench.clock.now_ms()
        self._vendor_ms += ended_at_ms - called_at_ms
        if told is not None and result.failure is None:
            # A plain answer's tokens were all known when its headers were: rating them again would say the same.
            event = msgspec.structs.replace(told, ended_at_ms=ended_at_ms)
        else:
            event = finished_attempt(context, self._envelope, result, ended_at_ms)
        self._attempts.append(event)
        self._note(route, result, event)
        return result

    def _note(self, route: Route, result: CallResult, event: AttemptEvent) -> None:
        self._bench.measures.attempt(event)
        if result.failure is None:
            self._bench.health.succeeded(route_key(route))
        elif result.outcome != "cancelled":
            self._bench.health.failed(route_key(route), result.failure, self._bench.clock.monotonic_s())
            self._bench.failures.note(
                route.vendor, result.failure, attempt_id=event.attempt_id, model=event.model, status=event.status
            )

    def _report_early(self) -> None:
        """What is known so far goes to Kafka while the next route is tried."""
        attempts = tuple(self._attempts[self._reported :])
        self._reported = len(self._attempts)
        if attempts:
            self._early_reports.append(
                self._bench.supervisor.spawn(self._deliver(attempts, None), f"usage of {self._envelope.request_id}")
            )

    async def _deliver(self, attempts: tuple[AttemptEvent, ...], request: RequestEvent | None) -> None:
        record = usage_record(self._envelope, attempts, request)

        def encode(repeat: bool) -> bytes:
            return USAGE.encode(msgspec.structs.replace(record, repeat=True) if repeat else record)

        await self._bench.usage.deliver(Topic.USAGE, record.attribution.project_id, encode)

    async def _finish(self, result: CallResult) -> None:
        """The three steps of the module's docstring."""
        bench, stream, attempts = self._bench, self._stream, self._attempts
        failure = stream.interrupted or result.failure
        if failure is None:
            cost = sum(attempt.cost_pico_usd for attempt in attempts)
            stream.send_end(End(cost_pico_usd=cost, estimated=any(attempt.estimated for attempt in attempts)))
        else:
            stream.send_error(failure)
        request = finished_request(
            self._envelope,
            attempts,
            failure,
            answered=result.answered,
            taken_at_ms=self._taken_at_ms,
            now_ms=bench.clock.now_ms(),
        )
        bench.measures.results["served" if failure is None else "failed"].inc()
        await self._deliver(tuple(attempts[self._reported :]), request)
        for report in self._early_reports:
            await report
        self._reported_all = True
        stream.send_settled()
