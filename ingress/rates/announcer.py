"""The edge of rate limits: says each second on the topic `replicas` what this replica needs, and hears the others.

Without Kafka the shares stay as they are. A replica that alone is cut off keeps its own while the others divide it
after five beats; but it cannot put a request on Kafka either.
"""

import asyncio
from collections.abc import Callable

import structlog

from ingress.rates.announcements import Announcements
from ingress.rates.shares import Shares
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Component, Deadline, Supervisor, finish
from schemas.replicas import REPLICA, REPLICA_AGE, ReplicaRecord
from schemas.topics import Topic

log = structlog.get_logger(__name__)

BEAT_S = 1.0
OUT_OF_TURN_EVERY_S = 0.1

STALE_MS = 10_000
"""At the start, older records are passed over: the life of a replica, and as much again for clocks that differ."""

JOIN_WITHIN_S = 3.0
FAREWELL_WITHIN_S = 1.0

MakeReader = Callable[[Callable[[bytes], None]], Component]
"""Of something that calls back with each record's value, from the topic's beginning on, in order; its `start` returns
when it has come to the end."""


class Announcer:
    def __init__(
        self,
        announcements: Announcements,
        shares: Shares,
        producer: DurableProducer,
        make_reader: MakeReader,
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._announcements = announcements
        self._shares = shares
        self._producer = producer
        self._reader = make_reader(self._hear)
        self._clock = clock
        self._supervisor = supervisor
        self._replaying = True
        self._asked = self._greet = False
        self._short = False
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_known(self) -> bool:
        """All others know of this replica: for the readiness probe."""
        return self._shares.joined

    def be_short(self) -> None:
        """A request was refused here for want of a share."""
        self._short = True
        self._wake.set()

    async def start(self) -> None:
        """Returns when the other replicas know of this one, so that it has its part of every limit. If they do not say
        so in time, they have died a moment ago, and will soon be known to be dead."""
        await self._reader.start()
        self._replaying = False
        self._task = self._supervisor.spawn(self._talk(), "rate limits")
        try:
            async with asyncio.timeout(JOIN_WITHIN_S):
                while not self._shares.joined:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            log.warning("not all replicas have greeted this one", others=len(self._shares.fellows))

    async def stop(self, deadline: Deadline) -> None:
        """Says goodbye: the others need not wait for its silence to take over its shares."""
        await finish(self._task, 0)
        try:
            async with asyncio.timeout(min(FAREWELL_WITHIN_S, deadline.left_s() + 0.1)):
                await self._deliver(self._announcements.farewell())
        except TimeoutError:
            log.info("left without a farewell, kafka does not answer")
        await self._reader.stop(deadline)

    def _hear(self, value: bytes) -> None:
        """Raises UndecodableRecord."""
        if self._replaying and REPLICA_AGE.decode(value).at_ms < self._clock.now_ms() - STALE_MS:
            return
        record = REPLICA.decode(value)
        newcomer = record.replica_id not in self._shares.fellows
        self._announcements.hear(record)
        self._heard.set()
        if record.replica_id == self._shares.own_id:
            return
        self._asked |= record.urgent
        self._greet |= newcomer and not record.leaving
        if self._asked or self._greet or self._short:
            self._wake.set()

    async def _talk(self) -> None:
        while True:
            beat_at_s = self._clock.monotonic_s() + BEAT_S
            self._short = False
            await self._deliver(self._announcements.next_beat())
            while (left_s := beat_at_s - self._clock.monotonic_s()) > 0:
                if not await self._woken(left_s):
                    break
                record = self._announcements.out_of_turn(asked=self._asked, greet=self._greet)
                self._asked = self._greet = False
                if record is not None:
                    await self._deliver(record)
                await asyncio.sleep(OUT_OF_TURN_EVERY_S)

    async def _woken(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _deliver(self, record: ReplicaRecord) -> None:
        value = REPLICA.encode(record)
        await self._producer.deliver(Topic.REPLICAS, record.replica_id, lambda _repeat: value)
