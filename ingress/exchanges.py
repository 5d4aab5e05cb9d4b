"""All open requests of this replica, and the rules of the claim (DESIGN §3, G1).

A worker may call a vendor only after its claim was accepted here, where the client is. So a request that Kafka delivers
twice, or that two workers hold around a rebalance, is called once.
"""

import hmac
from collections.abc import Callable
from typing import Protocol, get_args

from ingress.admission import Ticket
from ingress.exchange import Channel, Exchange
from runtime.clock import Clock
from runtime.metrics import Metrics
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.frames import (
    Claim,
    End,
    FrameType,
    Head,
    RefusalReason,
    Refuse,
    Settled,
    accept_payload,
    encode_payload,
    frame,
)


class Aftermath(Protocol):
    """What has to happen when no worker will see to it. None of these calls blocks."""

    def put_back(self, exchange: Exchange) -> None:
        """Put the request on the queue again, as its next delivery."""

    def report_lost(self, exchange: Exchange, *, finished: bool) -> None:
        """Report the attempts of the present claim as estimates; and the request too, if it is finished."""

    def report_unserved(self, exchange: Exchange) -> None:
        """Report a request that ended without any worker having it."""


class Exchanges:
    def __init__(
        self,
        aftermath: Aftermath,
        clock: Clock,
        metrics: Metrics,
        new_token: Callable[[], str],
        *,
        window_bytes: int,
        max_deliveries: int,
    ) -> None:
        self._aftermath = aftermath
        self._clock = clock
        self._new_token = new_token
        self._window_bytes = window_bytes
        self._max_deliveries = max_deliveries
        self._by_stream: dict[int, Exchange] = {}
        self._waiting_clients = 0
        # Never an id of an earlier life behind the same address: a worker may still hold a record of that one, and
        # would take a new request with the same id for its double.
        self._next_stream = clock.now_ms() << 20
        claims = metrics.counter("tollhouse_ingress_claims_total")
        self._accepted = claims.labels(answer="accepted")
        self._refused = {reason: claims.labels(answer=reason) for reason in get_args(RefusalReason)}
        self._time_to_claim = metrics.histogram("tollhouse_ingress_time_to_claim_seconds")
        self._requeues = metrics.counter("tollhouse_ingress_requeues_total")
        metrics.gauge("tollhouse_ingress_open_requests").set_function(lambda: self._waiting_clients)

    @property
    def waiting_clients(self) -> int:
        return self._waiting_clients

    @property
    def unsettled(self) -> int:
        """Requests of which a worker has still something to report, or a client to hear."""
        return len(self._by_stream)

    def next_stream_id(self) -> int:
        number = self._next_stream
        self._next_stream += 1
        return number

    # The client's side.

    def open(self, envelope: RequestEnvelope, body: bytes, ticket: Ticket) -> Exchange:
        exchange = Exchange(envelope, body, self._window_bytes, ticket)
        self._by_stream[envelope.stream_id] = exchange
        self._waiting_clients += 1
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """It never got onto the queue. Instead of `close`: nothing is reported, because a flood of refusals while Kafka
        is away must not pile up reports that also need Kafka."""
        self._waiting_clients -= 1
        exchange.client_done = True
        self._by_stream.pop(exchange.envelope.stream_id, None)
        exchange.ticket.answered()
        exchange.cost_known(0, 0)

    def close(self, exchange: Exchange, status: int, failure: Failure | None) -> None:
        """The client has its answer, or nobody waits any more. Called exactly once for each exchange."""
        self._waiting_clients -= 1
        exchange.client_done = True
        exchange.ticket.answered()
        exchange.status = status
        if failure is not None and exchange.failure is None:
            exchange.failure = failure
        exchange.data.clear()
        if exchange.channel is None:
            del self._by_stream[exchange.envelope.stream_id]
            self._aftermath.report_unserved(exchange)
            exchange.cost_known(0, 0)
        elif not exchange.worker_done:
            # A failure in the middle of a stream was told to the client as an event: its answer counts as given.
            why = failure or exchange.failure or Failure(kind=FailureKind.CLIENT_GONE)
            exchange.channel.send(frame(FrameType.CANCEL, exchange.envelope.stream_id, encode_payload(why)))

    # The worker's side: one method per frame.

    def claim(self, channel: Channel, stream_id: int, claim: Claim) -> None:
        exchange = self._by_stream.get(stream_id)
        reason = self._refusal(exchange, channel, claim)
        if reason is None and exchange is not None and not exchange.covers(claim.spent_pico_usd + claim.bound_pico_usd):
            reason = "budget"
            if exchange.channel is None:
                exchange.failure_now(exchange.ticket.shortfall())
        if reason is not None or exchange is None:
            refusal = Refuse(reason=reason or "unknown")
            self._refused[refusal.reason].inc()
            channel.send(frame(FrameType.REFUSE, stream_id, encode_payload(refusal)))
            return
        envelope = exchange.envelope
        first = exchange.channel is None
        exchange.channel = channel
        exchange.last_claim_no = claim.claim_no
        if bytes(claim.if_lost) != b"null":
            exchange.if_lost = claim.if_lost
        if first:
            self._accepted.inc()
            self._time_to_claim.observe((self._clock.now_ms() - envelope.accepted_at_ms) / 1000)
            held_body = exchange.body if envelope.body == "held" else b""
            channel.send(frame(FrameType.ACCEPT, stream_id, accept_payload(self._window_bytes, held_body)))
        else:
            # Another route of the same claim: the credit that was given still stands.
            channel.send(frame(FrameType.ACCEPT, stream_id, accept_payload(0)))

    def _refusal(self, exchange: Exchange | None, channel: Channel, claim: Claim) -> RefusalReason | None:
        if exchange is None or exchange.client_done or claim.delivery != exchange.envelope.delivery:
            return "unknown"
        # As bytes: of texts, only ASCII ones can be compared, and a worker may send anything.
        if not hmac.compare_digest(claim.token.encode(), exchange.envelope.token.encode()):
            return "token"
        if self._clock.now_ms() >= exchange.envelope.deadline_ms:
            return "late"
        if exchange.channel is None:
            return "unknown" if exchange.over else None
        # A further route is claimed by the same worker, before anything was answered. The same claim number again is
        # a second delivery of the same record.
        same_claim = exchange.channel is channel and claim.claim_no > exchange.last_claim_no
        return None if same_claim and exchange.head is None and not exchange.over else "claimed"

    def head(self, channel: Channel, stream_id: int, head: Head) -> None:
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None:
            exchange.head = head
            exchange.body = b""  # from here on the request cannot be put back

    def data(self, channel: Channel, stream_id: int, payload: bytes) -> None:
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None and not exchange.client_done:
            exchange.data.append(payload)
            exchange.wake()

    def end(self, channel: Channel, stream_id: int, end: End) -> None:
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None:
            exchange.end = end
            exchange.worker_done = True
            exchange.wake()

    def error(self, channel: Channel, stream_id: int, failure: Failure) -> None:
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None:
            exchange.worker_done = True
            exchange.failure_now(failure)

    def settled(self, channel: Channel, stream_id: int, settled: Settled) -> None:
        """All usage of the claim is in Kafka: from now on there is nothing to report if the worker dies."""
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None:
            exchange.if_lost = None
            exchange.cost_known(settled.cost_pico_usd, settled.input_tokens + settled.output_tokens)
            if exchange.client_done or exchange.worker_done:
                del self._by_stream[stream_id]

    def abandoned(self, channel: Channel, stream_id: int) -> None:
        """A mistake in the worker ended this request, and only this one: the worker itself lives on."""
        exchange = self._claimed_by(channel, stream_id)
        if exchange is not None:
            del self._by_stream[stream_id]
            exchange.worker_done = True
            exchange.failure_now(Failure(kind=FailureKind.INTERNAL))
            self._report_lost(exchange)

    def _claimed_by(self, channel: Channel, stream_id: int) -> Exchange | None:
        exchange = self._by_stream.get(stream_id)
        return exchange if exchange is not None and exchange.channel is channel else None

    def lost(self, channel: Channel) -> None:
        """The worker is gone. What it had claimed is put back, failed or reported, by how far it had come."""
        for stream_id, exchange in list(self._by_stream.items()):
            if exchange.channel is not channel:
                continue
            if exchange.over or exchange.client_done:
                # The answer was whole, or nobody waits: only its usage may be missing.
                del self._by_stream[stream_id]
                self._report_lost(exchange)
            elif exchange.head is not None or exchange.envelope.delivery + 1 >= self._max_deliveries:
                # Part of the answer is out, so another worker cannot start anew (G2); or the request itself seems to
                # kill workers.
                del self._by_stream[stream_id]
                exchange.failure_now(Failure(kind=FailureKind.WORKER_LOST))
                self._report_lost(exchange)
            else:
                self._aftermath.report_lost(exchange, finished=False)
                del self._by_stream[stream_id]
                exchange.put_back(self._new_token(), self.next_stream_id())
                self._by_stream[exchange.envelope.stream_id] = exchange
                self._requeues.inc()
                self._aftermath.put_back(exchange)

    def _report_lost(self, exchange: Exchange) -> None:
        """For the last delivery. What is booked then is the bound, so that is what the hold is settled with."""
        self._aftermath.report_lost(exchange, finished=True)
        exchange.cost_known(exchange.claimed_pico_usd, 0)
