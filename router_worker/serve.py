"""Takes a request from the queue to the ingress that it came from, and settles its record whatever becomes of it."""

import asyncio
from collections.abc import Callable

from router_worker.one_request import OneRequest
from router_worker.reply_pool import IngressGone, ReplyPool
from router_worker.stream import Refused
from router_worker.workbench import Workbench
from schemas.envelope import RequestEnvelope


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
        service = OneRequest(self._bench, envelope, stream, settled, taken_at_ms)
        mistaken = True
        try:
            await service.run(body)
            mistaken = False
        except Refused:
            mistaken = False
            self._bench.measures.results["refused"].inc()
        except asyncio.CancelledError:
            # Before a claim the request is still Kafka's to give to another worker.
            mistaken = False
            raise
        finally:
            if mistaken or service.owes_a_report:
                # A mistake of ours, on its way to the supervisor's log. The client must not wait for nothing, and the
                # attempts must not be missing from the account: the ingress sees to both.
                service.abandon()
            service.settle()
            channel.close_stream(stream)
