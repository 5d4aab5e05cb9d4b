"""Serves one request: claim, plan, call with fallback, settle. Read `serve` top to bottom.

The order of the last steps is what G1 and G3 rest on:
  1. END or ERROR goes to the ingress, so the client does not wait for Kafka.
  2. The usage record is delivered to Kafka. If this process dies before that, the ingress, which still holds the
     claim, reports the attempts at their upper bound.
  3. SETTLED goes to the ingress, which then forgets the request.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec

from router_worker.call_result import CallResult
from router_worker.failure_log import FailureLog
from router_worker.health import RouteHealth
from router_worker.measures import WorkerMeasures
from router_worker.planner import Plan, no_route_failure, plan, route_key
from router_worker.reply_pool import IngressGone, ReplyPool
from router_worker.stream import Refused, Stream
from router_worker.surfaces.openai_chat import ChatRequest, plan_request, read_chat_request
from router_worker.usage_events import (
    AttemptContext,
    attempt_context,
    finished_attempt,
    finished_request,
    lost_attempt,
    usage_record,
)
from router_worker.vendor_caller import VendorCaller
from router_worker.vendors.vendor import Vendor, VendorCall
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Supervisor
from schemas.catalogue import Catalogue, Model, Price, Route
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.frames import Claim, End, Head
from schemas.ids import attempt_id
from schemas.topics import Topic
from schemas.usage import USAGE, AttemptEvent, RequestEvent

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"


class UsableVendor(msgspec.Struct, frozen=True):
    """A vendor that can be called: its wire format, where it is, and the key (None where none is needed)."""

    vendor: Vendor
    base_url: str
    api_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What serving any request takes."""

    worker_id: str
    catalogue: Catalogue
    vendors: Mapping[str, UsableVendor]
    caller: VendorCaller
    usage: DurableProducer
    health: RouteHealth
    clock: Clock
    supervisor: Supervisor
    measures: WorkerMeasures
    failures: FailureLog


class Server:
    def __init__(self, bench: Workbench, pool: ReplyPool) -> None:
        self._bench = bench
        self._pool = pool

    async def serve(self, envelope: RequestEnvelope, body: bytes, settled: Callable[[], None]) -> None:
        """`settled` is called once the claim is decided, whatever becomes of the request afterwards."""
        taken_at_ms = self._bench.clock.now_ms()
        if taken_at_ms >= envelope.deadline_ms:
            # Nobody waits any more; calling a vendor now would only cost money.
            self._bench.measures.results["late"].inc()
            settled()
            return
        try:
            channel = await self._pool.channel(envelope.reply_url)
        except IngressGone:
            self._bench.measures.results["gone"].inc()
            settled()
            return
        double = channel.stream(envelope.stream_id)
        if double is not None:
            # Kafka has delivered the record again, and this worker is at it already. Both deliveries are settled
            # together: were this one settled now, and the process killed before the claim, nobody would serve it.
            double.doubles.append(settled)
            return
        stream = channel.open_stream(envelope.stream_id)
        service = _Service(self._bench, envelope, stream, settled, taken_at_ms)
        try:
            await service.run(body)
        except Refused:
            self._bench.measures.results["refused"].inc()
        finally:
            if service.owes_a_report:
                # A mistake of ours, on its way to the supervisor's log. The client must not wait for nothing, and the
                # attempts must not be missing from the account: the ingress sees to both.
                stream.send_abandoned()
            service.settle()
            channel.close_stream(stream)


class _Service:
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

    @property
    def owes_a_report(self) -> bool:
        return self._claimed and not self._reported_all

    async def run(self, body: bytes) -> None:
        """Raises Refused if the ingress does not want the first call made."""
        if self._envelope.body == "held":
            body = await self._claim(None)
        chat = read_chat_request(body)
        model = self._bench.catalogue.find(self._envelope.model)
        if isinstance(chat, Failure):
            result = await self._without_call(chat)
        elif model is None:
            # The ingress knew the model: its catalogue is newer, or older, than ours.
            result = await self._without_call(Failure(kind=FailureKind.MODEL_NOT_FOUND, param="model"))
        else:
            today = datetime.fromtimestamp(self._taken_at_ms / 1000, UTC).date()
            request = plan_request(chat)
            bench = self._bench
            routes = plan(
                model,
                request,
                bench.vendors.keys(),
                bench.health.unhealthy_until(),
                bench.clock.monotonic_s(),
                today,
            )
            if not routes.routes:
                result = await self._without_call(no_route_failure(routes, request))
            else:
                result = await self._walk(routes, model, chat, body, today)
        await self._finish(result)

    async def _claim(self, if_lost: msgspec.Raw | None) -> bytes:
        claim = Claim(
            token=self._envelope.token,
            delivery=self._envelope.delivery,
            claim_no=self._claims,
            worker_id=self._bench.worker_id,
            if_lost=if_lost if if_lost is not None else msgspec.Raw(b"null"),
        )
        self._claims += 1
        held_body = await self._stream.claim(claim)
        # From here on the ingress knows that the request is ours: Kafka need not deliver it again.
        self._claimed = True
        self.settle()
        return held_body

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

    async def _walk(self, routes: Plan, model: Model, chat: ChatRequest, body: bytes, today: date) -> CallResult:
        """Calls one route after the other until one answers, or the failure is none that another route would mend."""
        result = CallResult(outcome="failed", failure=Failure(kind=FailureKind.NO_ROUTE_CONFIGURED))
        for attempt_no, route in enumerate(routes.routes):
            price = route.price_at(today)
            assert price is not None, "the planner skips routes without a price"
            if attempt_no:
                self._report_early()
            context = self._context(attempt_no, model, route, price, chat, body)
            try:
                await self._claim(lost_attempt(context, self._envelope))
            except Refused:
                if not self._claimed:
                    raise
                # The client has gone away while the route before was failing, or since the body was handed over. What
                # was claimed must be settled, or the ingress keeps it until our channel closes.
                if attempt_no == 0:
                    result = CallResult(outcome="failed", failure=Failure(kind=FailureKind.DEADLINE_EXCEEDED))
                break
            result = await self._call(context, chat, body)
            failure = result.failure
            if failure is None or result.answered or not failure.rule.advance or self._stream.interrupted is not None:
                break
        return result

    def _context(
        self, attempt_no: int, model: Model, route: Route, price: Price, chat: ChatRequest, body: bytes
    ) -> AttemptContext:
        return attempt_context(
            attempt_no,
            self._bench.worker_id,
            model,
            route,
            price,
            self._bench.clock.now_ms(),
            body,
            has_media=bool(chat.media_types()),
            max_output_tokens=chat.max_output_tokens,
            choices=chat.choices,
        )

    async def _call(self, context: AttemptContext, chat: ChatRequest, body: bytes) -> CallResult:
        bench, route = self._bench, context.route
        usable = bench.vendors[route.vendor]
        call = VendorCall(
            body=body,
            model_id=context.model.model_id,
            vendor_model=route.vendor_model,
            streaming=chat.streaming,
            api_key=usable.api_key,
            client_wants_usage=chat.wants_usage,
            choices=chat.choices,
            attempt_id=attempt_id(self._envelope.request_id, self._envelope.delivery, context.attempt_no),
        )
        head = Head(
            status=200,
            content_type=EVENT_STREAM if chat.streaming else JSON,
            model=context.model.model_id,
            vendor=route.vendor,
            attempts=context.attempt_no + 1,
        )
        result = await bench.caller.call(usable.vendor, usable.base_url, call, self._stream, head)
        event = finished_attempt(context, self._envelope, result, bench.clock.now_ms())
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
