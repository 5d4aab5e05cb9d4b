"""What G4 asks of a vendor call that leases of hard budgets pay for.

The vendor is told the cap that the claimed bound was computed with; an intent is in Kafka before the call; and the call
is over at the request's deadline, because soon after it the money that is not accounted for is taken for free again.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from router_worker.estimate import cap_to_tell, input_tokens_bound
from router_worker.stream import Interrupted, Stream
from router_worker.surfaces.surface import Reading
from router_worker.usage_events import intent
from router_worker.workbench import Workbench
from schemas.catalogue import Route
from schemas.envelope import RequestEnvelope
from schemas.failures import Failure, FailureKind
from schemas.usage import AttemptEvent


class LeasedCalls:
    """Those of one request."""

    def __init__(self, bench: Workbench, envelope: RequestEnvelope, stream: Stream) -> None:
        self._bench = bench
        self._envelope = envelope
        self._stream = stream

    def cap(self, reading: Reading, route: Route, body: bytes) -> int | None:
        """What the vendor is told; None leaves the body as the client wrote it, with its own cap or none."""
        envelope = self._envelope
        if not reading.generates or not (envelope.leases or envelope.gateway_cap_tokens):
            return None
        input_bound = input_tokens_bound(body, route, has_media=reading.has_media)
        client_cap = reading.max_output_tokens
        cap = cap_to_tell(client_cap, envelope.gateway_cap_tokens, route, input_bound)
        return cap if client_cap is None or cap < client_cap else None

    def pay_for(self, lost: AttemptEvent) -> bool:
        """`lost`: the call at its upper bound, which is nothing where vendors charge nothing."""
        return bool(self._envelope.leases) and lost.cost_pico_usd > 0

    async def obstacle(self, lost: AttemptEvent) -> Failure | None:
        """Writes the intent of the call. Why it must not be made after all, if so."""
        try:
            with self._stream.interruptible():
                if not await self._bench.intents.write(intent(self._envelope, lost)):
                    return Failure(kind=FailureKind.QUEUE_UNAVAILABLE)
        except Interrupted as interrupted:
            return interrupted.failure
        if self._bench.clock.now_ms() >= self._envelope.deadline_ms:
            # From here on the intent may be taken for a call that nobody can report any more.
            return Failure(kind=FailureKind.DEADLINE_EXCEEDED)
        return None

    @contextmanager
    def until_deadline(self) -> Iterator[None]:
        """The ingress cancels at the deadline, but it may hang."""
        left_s = (self._envelope.deadline_ms - self._bench.clock.now_ms()) / 1000
        late = Failure(kind=FailureKind.DEADLINE_EXCEEDED)
        timer = asyncio.get_running_loop().call_later(left_s, self._stream.interrupt, late)
        try:
            yield
        finally:
            timer.cancel()
