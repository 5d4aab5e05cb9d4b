"""One request as the ingress sees it: who claimed it, what has come back, who waits for it, and what it holds. Pure
state, no I/O.
"""

import asyncio
from collections import deque
from typing import Protocol

import msgspec

from ingress.admission import Ticket
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure
from schemas.frames import End, FrameType, Head, credit_payload, frame


class Channel(Protocol):
    """The way back to one worker."""

    def send(self, frame: bytes) -> None:
        """Never blocks; silently does nothing once the worker is gone."""


class Exchange:
    """Lives from the queue until both sides are through: the client has its answer, the worker has said SETTLED."""

    __slots__ = (
        "_consumed",
        "_cost",
        "_settled",
        "_unreported",
        "_waiter",
        "_window_bytes",
        "body",
        "carried_pico_usd",
        "channel",
        "claimed_pico_usd",
        "client_done",
        "data",
        "end",
        "envelope",
        "failure",
        "head",
        "if_lost",
        "last_claim_no",
        "status",
        "ticket",
        "worker_done",
    )

    def __init__(self, envelope: RequestEnvelope, body: bytes, window_bytes: int, ticket: Ticket) -> None:
        self.envelope = envelope
        self.body = body
        self.ticket = ticket
        self.channel: Channel | None = None
        self.last_claim_no = -1
        self.if_lost: msgspec.Raw | None = None
        """What to report of the vendor calls of the present delivery, should its worker be lost before SETTLED."""
        self.claimed_pico_usd = 0
        """What the calls of the present delivery have cost, or can still cost, at most."""
        self.carried_pico_usd = 0
        """The same of earlier deliveries, whose workers were lost."""
        self.head: Head | None = None
        self.data: deque[bytes] = deque()
        self.end: End | None = None
        self.failure: Failure | None = None
        self.client_done = False
        self.worker_done = False
        """The worker has said its last word on the answer (END or ERROR)."""
        self.status = 0
        """HTTP status that the client got; 0 while it has none."""
        self._window_bytes = window_bytes
        self._consumed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._unreported = 0
        self._cost: tuple[int, int] | None = None
        self._settled = False

    # The money's side. A hold may be settled only when all usage of the request is in Kafka: a lease is closed with the
    # word that it is (`LeaseReport.closing`).

    def covers(self, claimed_pico_usd: int) -> bool:
        """Whether the present delivery may come to cost this much; remembers it if so."""
        if not self.ticket.covers(self.carried_pico_usd + claimed_pico_usd):
            return False
        self.claimed_pico_usd = claimed_pico_usd
        return True

    def report_begun(self) -> None:
        self._unreported += 1

    def report_delivered(self) -> None:
        self._unreported -= 1
        self._settle()

    def cost_known(self, cost_pico_usd: int, tokens: int) -> None:
        """Of the present delivery; there is no other after it."""
        if self._cost is None:
            self._cost = (self.carried_pico_usd + cost_pico_usd, tokens)
            self._settle()

    def _settle(self) -> None:
        if self._cost is not None and not self._unreported and not self._settled:
            self._settled = True
            self.ticket.settle(*self._cost)

    # The client's side.

    async def wait(self, timeout_s: float) -> None:
        """Returns when something has arrived, or after the timeout; the caller looks which."""
        if self.data or self.end is not None or self.failure is not None:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(timeout_s, self.wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def consumed(self, size_bytes: int) -> None:
        """The client has taken that much: the worker may send as much again.

        Credit is given back in halves of the window, so that a stream of small chunks does not cost a frame for each.
        """
        self._consumed += size_bytes
        if self.channel is not None and self._consumed * 2 >= self._window_bytes:
            self.channel.send(frame(FrameType.CREDIT, self.envelope.stream_id, credit_payload(self._consumed)))
            self._consumed = 0

    def failure_now(self, failure: Failure) -> None:
        """There will be no answer, or no more of it. The first failure is the one that is told."""
        if self.failure is None and self.end is None:
            self.failure = failure
            self.wake()

    # The worker's side.

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def over(self) -> bool:
        """There will be no more of an answer, by the worker's word or by ours."""
        return self.end is not None or self.failure is not None

    def final_status(self) -> int:
        """The HTTP status that the client got or is about to get."""
        if self.status:
            return self.status
        if self.head is not None and (self.envelope.streaming or self.failure is None):
            return self.head.status
        return self.failure.http_status if self.failure is not None else 0

    def put_back(self, token: str, stream_id: int) -> None:
        """Its worker was lost before the first byte: it becomes a new delivery, with nothing left of the old claim.

        The stream is new too: Kafka may bring both deliveries to one worker at once, which must not take the second for
        the first come twice.
        """
        self.envelope = msgspec.structs.replace(
            self.envelope, token=token, stream_id=stream_id, delivery=self.envelope.delivery + 1
        )
        self.channel = None
        self.last_claim_no = -1
        self.if_lost = None
        self.carried_pico_usd += self.claimed_pico_usd
        self.claimed_pico_usd = 0
