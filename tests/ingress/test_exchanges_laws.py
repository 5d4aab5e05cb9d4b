"""The laws of the claim, held over requests and workers that do anything in any order."""

from dataclasses import dataclass, field

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from runtime.metrics import Metrics
from schemas.failures import Failure, FailureKind
from schemas.frames import Claim, End, FrameReader, FrameType, Head, Settled
from schemas.usage import USAGE
from tests.fakes.clock import HandClock
from tests.fakes.envelopes import envelope, if_lost
from tests.fakes.tickets import FakeTicket

WORKERS = 3
REQUESTS = 3
MAX_DELIVERIES = 3
SELDOM = st.sampled_from([False, False, False, True])
SETTLED = Settled(cost_pico_usd=1, input_tokens=0, output_tokens=0)
HEAD = Head(status=200, content_type="text/event-stream", model="m", vendor="v", attempts=1)


class Channel:
    """One connection of a worker; a worker that is lost comes back with another one."""

    def __init__(self) -> None:
        self.alive = True
        self.accepted_now = False

    def send(self, frame: bytes) -> None:
        [(frame_type, _, _)] = FrameReader().feed(frame)
        if frame_type in (FrameType.ACCEPT, FrameType.REFUSE):
            self.accepted_now = frame_type is FrameType.ACCEPT


@dataclass
class Request:
    """What the test knows of a request. `holder`: the channel whose claim on the present delivery was accepted."""

    exchange: Exchange
    holder: Channel | None = None
    holders: dict[int, set[int]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    reported: list[str] = field(default_factory=list)
    closed: bool = False
    finished_reports: int = 0
    holder_said_settled: bool = False


class Reports:
    """The aftermath: remembers who was reported."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}

    def _of(self, exchange: Exchange) -> Request:
        return self.requests[exchange.envelope.request_id]

    def put_back(self, exchange: Exchange) -> None:
        self._of(exchange).holder = None

    def report_lost(self, exchange: Exchange, *, finished: bool) -> None:
        request = self._of(exchange)
        if exchange.if_lost is not None:
            request.reported += [attempt.attempt_id for attempt in USAGE.decode(bytes(exchange.if_lost)).attempts]
        request.finished_reports += finished

    def report_unserved(self, exchange: Exchange) -> None:
        self._of(exchange).finished_reports += 1


class AnyOrder(RuleBasedStateMachine):
    requests: Bundle[Request] = Bundle("requests")

    @initialize()
    def start(self) -> None:
        self.clock = HandClock()
        self.reports = Reports()
        self.tokens = 0
        self.exchanges = Exchanges(
            self.reports,
            self.clock,
            Metrics(CollectorRegistry()),
            self.new_token,
            window_bytes=100,
            max_deliveries=MAX_DELIVERIES,
        )
        self.channels = [Channel() for _ in range(WORKERS)]

    def new_token(self) -> str:
        self.tokens += 1
        return f"token-{self.tokens}"

    @precondition(lambda self: len(self.reports.requests) < REQUESTS)
    @rule(target=requests)
    def open(self) -> Request:
        stream_id = self.exchanges.next_stream_id()
        request_id = f"req_{stream_id}"
        exchange = self.exchanges.open(
            envelope(
                request_id=request_id,
                stream_id=stream_id,
                token=self.new_token(),
                streaming=True,
                deadline_ms=self.clock.now_ms() + 60_000,
            ),
            b"{}",
            FakeTicket(),
        )
        request = self.reports.requests[request_id] = Request(exchange)
        return request

    @rule(request=requests, worker=st.integers(0, WORKERS - 1), with_call=st.booleans())
    def claim_next(self, request: Request, worker: int, with_call: bool) -> None:
        """A first route, or a further one; or another worker that would have it."""
        self._claim(request, worker, 1, 0, with_call)

    @rule(
        request=requests,
        worker=st.integers(0, WORKERS - 1),
        ahead=st.integers(-1, 0),
        stale=st.sampled_from([0, 0, 1]),
    )
    def claim_again(self, request: Request, worker: int, ahead: int, stale: int) -> None:
        """Kafka has delivered the record twice, or the worker that has it is slow to learn of the next delivery."""
        self._claim(request, worker, ahead, stale, True)

    def _claim(self, request: Request, worker: int, ahead: int, stale: int, with_call: bool) -> None:
        claim_no = max(0, request.exchange.last_claim_no + ahead)
        sent, channel = request.exchange.envelope, self.channels[worker]
        delivery = sent.delivery - stale
        raw = self._if_lost(request, claim_no, delivery) if with_call else msgspec.Raw(b"null")
        was_free = request.holder is None
        channel.accepted_now = False
        self.exchanges.claim(
            channel,
            sent.stream_id,
            Claim(token=sent.token, delivery=delivery, claim_no=claim_no, worker_id=str(worker), if_lost=raw),
        )
        if not channel.accepted_now:
            return
        assert not stale, "a claim on an earlier delivery was accepted"
        assert not request.closed, "nobody waits for the answer"
        assert was_free or request.holder is channel, "two workers hold one delivery"
        request.holder = channel
        holders = request.holders.setdefault(delivery, set())
        holders.add(id(channel))
        assert len(holders) == 1
        if with_call:
            attempt = f"{sent.request_id}.{delivery}.{claim_no}"
            assert attempt not in request.accepted, "one vendor call was allowed twice"
            request.accepted.add(attempt)

    def _if_lost(self, request: Request, claim_no: int, delivery: int) -> msgspec.Raw:
        """A claim tells of the earlier calls of its delivery too."""
        request_id = request.exchange.envelope.request_id
        of_delivery = (accepted.split(".") for accepted in request.accepted)
        earlier = [int(number) for _, of, number in of_delivery if int(of) == delivery and int(number) != claim_no]
        return if_lost(*sorted(earlier), claim_no, delivery=delivery, request_id=request_id)

    @rule(request=requests, worker=st.integers(0, WORKERS - 1), what=st.sampled_from(["head", "data", "end", "error"]))
    def frame(self, request: Request, worker: int, what: str) -> None:
        channel, exchange, stream_id = self.channels[worker], request.exchange, request.exchange.envelope.stream_id
        before = (exchange.head, len(exchange.data), exchange.end, exchange.failure)
        if what == "head":
            self.exchanges.head(channel, stream_id, HEAD)
        elif what == "data":
            self.exchanges.data(channel, stream_id, b"x")
        elif what == "end":
            self.exchanges.end(channel, stream_id, End(cost_pico_usd=1, estimated=False))
        else:
            self.exchanges.error(channel, stream_id, Failure(kind=FailureKind.VENDOR_ERROR))
        if request.holder is not channel:
            assert before == (exchange.head, len(exchange.data), exchange.end, exchange.failure), "forged"

    @rule(request=requests, worker=st.integers(0, WORKERS - 1))
    def settle(self, request: Request, worker: int) -> None:
        """A worker settles after its last word, or after the client went."""
        channel, exchange = self.channels[worker], request.exchange
        if request.holder is channel and not (exchange.worker_done or exchange.client_done):
            return
        self.exchanges.settled(channel, exchange.envelope.stream_id, SETTLED)
        if request.holder is channel and channel.alive and not request.finished_reports:
            request.holder_said_settled = True
            request.settled |= {a for a in request.accepted if a not in request.reported}

    @rule(request=requests, worker=st.integers(0, WORKERS - 1), now=SELDOM)
    def abandon(self, request: Request, worker: int, now: bool) -> None:
        if now:
            self.exchanges.abandoned(self.channels[worker], request.exchange.envelope.stream_id)

    @rule(worker=st.integers(0, WORKERS - 1))
    def lose(self, worker: int) -> None:
        channel = self.channels[worker]
        channel.alive = False
        self.exchanges.lost(channel)
        self.channels[worker] = Channel()

    @rule(request=requests, now=SELDOM)
    def time_out(self, request: Request, now: bool) -> None:
        if now and not request.closed:
            request.exchange.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))

    @rule(request=requests, now=SELDOM)
    def close(self, request: Request, now: bool) -> None:
        """The client has its answer or its error, or has gone away. Its worker may still speak."""
        if now or request.exchange.over:
            self._close(request)

    def _close(self, request: Request) -> None:
        if request.closed:
            return
        exchange = request.exchange
        failure = None if exchange.over else Failure(kind=FailureKind.CLIENT_GONE)
        self.exchanges.close(exchange, exchange.final_status() or 499, failure)
        request.closed = True

    @rule(seconds=st.sampled_from([0, 1, 1, 1, 61]))
    def time_passes(self, seconds: int) -> None:
        self.clock.move(seconds)

    @invariant()
    def clients_are_counted(self) -> None:
        waiting = sum(not request.closed for request in self.reports.requests.values())
        assert self.exchanges.waiting_clients == waiting

    @invariant()
    def nothing_is_reported_twice(self) -> None:
        for request in self.reports.requests.values():
            assert len(request.reported) == len(set(request.reported))
            assert request.finished_reports <= 1

    def teardown(self) -> None:
        for request in self.reports.requests.values():
            self._close(request)
        for worker in range(WORKERS):
            self.lose(worker)
        assert self.exchanges.waiting_clients == 0
        assert self.exchanges.unsettled == 0, "an exchange has leaked"
        for request in self.reports.requests.values():
            assert request.settled.isdisjoint(request.reported), "settled, and yet reported"
            assert request.settled | set(request.reported) == request.accepted, "a call was lost sight of"
            assert request.finished_reports == (not request.holder_said_settled), "one request, one last word"


AnyOrder.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestAnyOrder = AnyOrder.TestCase
