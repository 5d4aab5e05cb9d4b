"""Exchanges with everything around them written down instead of done."""

from dataclasses import dataclass, field

import msgspec
from prometheus_client import CollectorRegistry

from ingress.exchange import Exchange
from ingress.exchanges import Exchanges
from runtime.metrics import Metrics
from schemas.frames import REFUSE_DECODER, Claim, FrameReader, FrameType, Settled
from tests.fakes.clock import HandClock
from tests.fakes.envelopes import envelope, if_lost
from tests.fakes.tickets import FakeTicket

WINDOW_BYTES = 100


class FakeChannel:
    def __init__(self) -> None:
        self.sent: list[tuple[FrameType, int, bytes]] = []

    def send(self, frame: bytes) -> None:
        self.sent += FrameReader().feed(frame)

    def last(self) -> tuple[FrameType, bytes]:
        frame_type, _, payload = self.sent[-1]
        return frame_type, payload


@dataclass
class FakeAftermath:
    put_back_deliveries: list[int] = field(default_factory=list)
    lost: list[tuple[msgspec.Raw | None, bool]] = field(default_factory=list)
    unserved: list[Exchange] = field(default_factory=list)

    def put_back(self, exchange: Exchange) -> None:
        self.put_back_deliveries.append(exchange.envelope.delivery)

    def report_lost(self, exchange: Exchange, *, finished: bool) -> None:
        self.lost.append((exchange.if_lost, finished))

    def report_unserved(self, exchange: Exchange) -> None:
        self.unserved.append(exchange)


@dataclass
class Bench:
    exchanges: Exchanges
    aftermath: FakeAftermath
    clock: HandClock
    worker: FakeChannel
    other: FakeChannel
    ticket: FakeTicket = field(default_factory=FakeTicket)

    def open(self, body: bytes = b"{}", **fields: object) -> Exchange:
        sent = envelope(deadline_ms=self.clock.now_ms() + 1000, **fields)
        return self.exchanges.open(sent, body, self.ticket)

    def settled(self, channel: FakeChannel | None = None, stream_id: int = 1, cost_pico_usd: int = 0) -> None:
        word = Settled(cost_pico_usd=cost_pico_usd, input_tokens=3, output_tokens=4)
        self.exchanges.settled(channel or self.worker, stream_id, word)

    def claim(
        self,
        claim_no: int = 0,
        *,
        channel: FakeChannel | None = None,
        token: str = "secret",
        delivery: int = 0,
        stream_id: int = 1,
        loss: msgspec.Raw | None = None,
        bound_pico_usd: int = 0,
        spent_pico_usd: int = 0,
    ) -> str:
        """ "accepted", or the reason of the refusal."""
        claim = Claim(
            token=token,
            delivery=delivery,
            claim_no=claim_no,
            worker_id="w",
            if_lost=loss or if_lost(),
            bound_pico_usd=bound_pico_usd,
            spent_pico_usd=spent_pico_usd,
        )
        channel = channel or self.worker
        self.exchanges.claim(channel, stream_id, claim)
        frame_type, payload = channel.last()
        if frame_type is FrameType.ACCEPT:
            return "accepted"
        assert frame_type is FrameType.REFUSE
        return REFUSE_DECODER.decode(payload).reason


def make_bench(clock: HandClock | None = None) -> Bench:
    aftermath, clock = FakeAftermath(), clock or HandClock()
    exchanges = Exchanges(
        aftermath,
        clock,
        Metrics(CollectorRegistry()),
        lambda: "new-token",
        window_bytes=WINDOW_BYTES,
        max_deliveries=3,
    )
    return Bench(exchanges, aftermath, clock, FakeChannel(), FakeChannel())
