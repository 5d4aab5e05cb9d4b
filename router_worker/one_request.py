"""One request: claim, plan, call with fallback, settle. Read `OneRequest` top to bottom.

The order of the last steps is what G1 and G3 rest on:
  1. END or ERROR goes to the ingress, so the client does not wait for Kafka.
  2. The usage record is delivered to Kafka. If this process dies before that, the ingress, which still holds the
     claim, reports the attempts at their upper bound.
  3. SETTLED goes to the ingress, which then forgets the request.

Each call is claimed with what it can cost at most; what else G4 asks is in `leased_calls`.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, date, datetime

import msgspec

from router_worker.attempt_book import AttemptBook
from router_worker.call_result import CallResult
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.leased_calls import LeasedCalls
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
    uncalled_attempt,
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
from schemas.usage import USAGE, AttemptEvent

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"

# A vendor refused the key, or the account behind it: that says nothing of the other accounts there.
_ABOUT_THE_ACCOUNT = frozenset(
    {FailureKind.VENDOR_REFUSED_KEY, FailureKind.VENDOR_PAYMENT_REQUIRED, FailureKind.VENDOR_RATE_LIMITED}
)


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
        self._book = AttemptBook(envelope, bench.usage, bench.supervisor)
        self._leased = LeasedCalls(bench, envelope, stream)
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
        vendors = bench.vendors.of(envelope.attribution)
        offers = {name: vendor.ways.keys() for name, vendor in vendors.items()}
        routes = plan(models, request, offers, bench.health.unhealthy_until(), bench.clock.monotonic_s(), today)
        if not routes.routes:
            return await self._without_call(no_route_failure(routes, request))
        return await self._walk(routes, vendors, reading, body, today)

    async def _claim(self, lost: AttemptEvent | None) -> bytes:
        held_body = await self._stream.claim(self._next_claim(lost))
        # From here on the ingress knows that the request is ours: Kafka need not deliver it again.
        self._claimed = True
        self.settle()
        return held_body

    def _next_claim(self, lost: AttemptEvent | None) -> Claim:
        """`lost`: the call that follows, at its upper bound."""
        if_lost = msgspec.Raw(b"null")
        if lost is not None:
            if_lost = msgspec.Raw(USAGE.encode(usage_record(self._envelope, (*self._book.attempts, lost), None)))
        claim = Claim(
            token=self._envelope.token,
            delivery=self._envelope.delivery,
            claim_no=self._claims,
            worker_id=self._bench.worker_id,
            if_lost=if_lost,
            bound_pico_usd=lost.cost_pico_usd if lost is not None else 0,
            spent_pico_usd=self._book.cost_pico_usd,
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

    async def _walk(
        self, routes: Plan, vendors: Mapping[str, UsableVendor], reading: Reading, body: bytes, today: date
    ) -> CallResult:
        """Calls one route after the other until one answers, or the failure is none that another route would mend.

        A route whose vendor's format cannot say what is asked is passed over; if there is no other, that is the answer.
        """
        result: CallResult | None = None
        unsaid: Failure | None = None
        canonical: ChatRequest | EmbeddingsRequest | Failure | None = None
        attempt_no = 0
        for model, route in routes.routes:
            usable = vendors[route.vendor]
            way = usable.ways[self._envelope.surface]
            if way.translated and canonical is None:
                canonical = reading.canonical()
            call = self._vendor_call(attempt_no, model, route, usable, reading, body, canonical)
            request = way.vendor.build_request(call)
            if isinstance(request, Failure):
                unsaid = unsaid or request
                continue
            if attempt_no:
                self._book.report_early()
            # Of the two bodies the longer: what a translation adds is read, and charged, like what the client wrote.
            longest = max(body, request.body, key=len)
            context = self._context(attempt_no, model, route, today, reading, longest, call.max_output_tokens)
            lost = lost_attempt(context, self._envelope)
            try:
                await self._claim(lost)
            except Refused as refused:
                if not self._claimed:
                    raise
                # The client has gone away while the route before was failing, or since the body was handed over; or the
                # budget does not cover this route too. What was claimed must be settled, or the ingress keeps it until
                # our channel closes.
                kind = FailureKind.BUDGET_BUSY if refused.reason == "budget" else FailureKind.DEADLINE_EXCEEDED
                return result or CallResult(outcome="failed", failure=Failure(kind=kind))
            leased = self._leased.pay_for(lost)
            obstacle = await self._leased.obstacle(lost) if leased else None
            if obstacle is not None:
                self._book.attempts.append(uncalled_attempt(context, self._envelope, self._bench.clock.now_ms()))
                return CallResult(outcome="failed", failure=obstacle)
            with self._leased.until_deadline() if leased else nullcontext():
                result = await self._call(context, way.vendor, usable, call, request)
            attempt_no += 1
            failure = result.failure
            if failure is None or result.answered or not failure.rule.advance or self._stream.interrupted is not None:
                break
        if result is None:
            assert unsaid is not None, "a plan without routes is not walked"
            return await self._without_call(unsaid)
        return result

    def _context(
        self,
        attempt_no: int,
        model: Model,
        route: Route,
        today: date,
        reading: Reading,
        body: bytes,
        told_cap: int | None,
    ) -> AttemptContext:
        price = route.price_at(today)
        cap = reading.max_output_tokens if told_cap is None else told_cap
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
            max_output_tokens=cap if reading.generates else 0,
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
            max_output_tokens=self._leased.cap(reading, route, body),
            choices=reading.choices,
            attempt_id=attempt_id(envelope.request_id, envelope.delivery, attempt_no),
            answer_id=envelope.request_id.removeprefix("req_"),
            route_max_output_tokens=route.max_output_tokens,
            now_ms=self._bench.clock.now_ms(),
        )

    async def _call(
        self, context: AttemptContext, vendor: Vendor, usable: UsableVendor, call: VendorCall, request: VendorRequest
    ) -> CallResult:
        bench, route, book = self._bench, context.route, self._book
        called_at_ms = bench.clock.now_ms()
        # The wait for the claim and the intent is not the vendor's.
        context = msgspec.structs.replace(context, started_at_ms=called_at_ms)
        told: AttemptEvent | None = None

        def heading(so_far: CallResult) -> Head:
            nonlocal told
            now_ms = bench.clock.now_ms()
            cost: int | None = None
            estimated = False
            if not call.streaming:
                told = finished_attempt(context, self._envelope, so_far, now_ms)
                cost = told.cost_pico_usd + book.cost_pico_usd
                estimated = told.estimated or book.estimated
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
                capped_tokens=call.max_output_tokens,
            )

        result = await bench.caller.call(
            vendor, usable.base_url + request.url_path, call, request, self._stream, heading
        )
        ended_at_ms = bench.clock.now_ms()
        self._vendor_ms += ended_at_ms - called_at_ms
        if told is not None and result.failure is None:
            # A plain answer's tokens were all known when its headers were: rating them again would say the same.
            event = msgspec.structs.replace(told, ended_at_ms=ended_at_ms)
        else:
            event = finished_attempt(context, self._envelope, result, ended_at_ms)
        book.attempts.append(event)
        self._note(route, result, event, is_own=usable.is_own)
        return result

    def _note(self, route: Route, result: CallResult, event: AttemptEvent, *, is_own: bool) -> None:
        """`is_own`: the call went by an account that is not the gateway's."""
        self._bench.measures.attempt(event)
        if result.failure is None:
            if not is_own:
                self._bench.health.succeeded(route_key(route))
        elif result.outcome != "cancelled":
            if not (is_own and result.failure.kind in _ABOUT_THE_ACCOUNT):
                self._bench.health.failed(route_key(route), result.failure, self._bench.clock.monotonic_s())
            self._bench.failures.note(
                route.vendor, result.failure, attempt_id=event.attempt_id, model=event.model, status=event.status
            )

    async def _finish(self, result: CallResult) -> None:
        """The three steps of the module's docstring."""
        bench, stream, book = self._bench, self._stream, self._book
        failure = stream.interrupted or result.failure
        if failure is None:
            stream.send_end(End(cost_pico_usd=book.cost_pico_usd, estimated=book.estimated))
        else:
            stream.send_error(failure)
        request = finished_request(
            self._envelope,
            book.attempts,
            failure,
            answered=result.answered,
            taken_at_ms=self._taken_at_ms,
            now_ms=bench.clock.now_ms(),
        )
        bench.measures.results["served" if failure is None else "failed"].inc()
        await book.report_rest(request)
        self._reported_all = True
        stream.send_settled(book.settled())
