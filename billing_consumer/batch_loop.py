"""The exactly-once loop (G3): usage from Kafka to ClickHouse, through kill -9 at any moment.

One cycle handles one batch of each partition that has records. Its six steps are in `_cycle`, in the order that makes
it right, each with what happens when the process dies, or the step fails, there.

Everything rests on one rule: *a batch's bounds are in Kafka before its first row is in ClickHouse*. Then whoever owns
the partition next writes exactly the same batch with the same token, and ClickHouse counts it once.

A zombie is a consumer that has lost its partition and does not know it. It cannot plan or finish a batch (Kafka refuses
a commit from an old generation). But it may still be inserting one that it had planned. The new owner inserts that same
batch, from the plan, so the zombie's rows carry the same token and are dropped. That holds as long as the token is
remembered: migrate.DEDUPLICATION_WINDOW blocks. A zombie cannot go on for so long, because no try at ClickHouse starts
later than PROOF_HOLDS_S after a commit, and none takes longer than `clickhouse.timeout_s`.

On revocation the cycle is cut off wherever it is. Nothing is lost: a batch that was not planned comes again, one that
was is replayed. The same path serves every other failure: forget the places, read them anew, go on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from billing_consumer.batch_bounds import encode_plan
from billing_consumer.batch_reader import BatchReader
from billing_consumer.batch_writer import Batch, BatchWriter, ReadBatch, Written
from billing_consumer.clickhouse_store import StoreUnavailable
from billing_consumer.committed_plans import Place, read_beginnings, read_places
from billing_consumer.settings import BatchSettings
from billing_consumer.settlement_publisher import SettlementPublisher
from billing_consumer.usage_progress import UsageProgress
from runtime.clock import Clock
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")

PARALLEL_INSERTS = 4
LOG_APPEND_TIME = 1
"""Kafka's number for a timestamp that the broker gave."""
PROOF_HOLDS_S = 10.0
LEAVE_WITHIN_S = 3.0


class _Stopping(Exception):
    """ClickHouse is away and the process is to end: the planned batch is left to the next owner."""


class BatchLoop(ConsumerRebalanceListener):
    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        make_admin: Callable[[], AIOKafkaAdminClient],
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        group: str,
        writer: BatchWriter,
        settlements: SettlementPublisher,
        progress: UsageProgress,
        settings: BatchSettings,
        clock: Clock,
        supervisor: Supervisor,
        metrics: Metrics,
    ) -> None:
        self._make_consumer = make_consumer
        self._make_admin = make_admin
        self._make_reader = make_reader
        self._topic = topic
        self._group = group
        self._writer = writer
        self._settlements = settlements
        self._progress = progress
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        self._assigned_gauge = metrics.gauge("tollhouse_kafka_assigned_partitions").labels(topic=topic)
        self._batches = metrics.counter("tollhouse_billing_batches_total")
        self._batch_seconds = metrics.histogram("tollhouse_billing_batch_seconds")
        self._consumer: Any = None
        self._reader: BatchReader
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._owned: set[TopicPartition] = set()
        self._places: dict[TopicPartition, Place] = {}
        # Held during a cycle; revocation waits for it. The leash is how it makes the cycle end at once.
        self._working = asyncio.Lock()
        self._leash: asyncio.Timeout | None = None
        self._in_batch = False
        self._proven_at_s = 0.0
        self.joined = False

    async def start(self) -> None:
        self._consumer = self._make_consumer()
        self._reader = BatchReader(self._consumer, self._clock, self._stopping.is_set)
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()
        self._task = self._supervisor.spawn(self._run(), f"consume {self._topic}")

    async def stop(self, deadline: Deadline) -> None:
        """Finishes the batch at hand if the deadline allows, then leaves the group."""
        self._stopping.set()
        if not self._in_batch:
            self._cut_off()
        await finish(self._task, deadline.left_s())
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await self._consumer.stop()
        except TimeoutError:
            # Without Kafka the leaving would go on long after the deadline. The group notices our silence instead.
            log.warning("left the group without a word, kafka does not answer", topic=self._topic)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._owned = set(assigned)
        self._assigned_gauge.set(len(assigned))
        self.joined = True
        log.info("partitions assigned", topic=self._topic, partitions=sorted(p.partition for p in assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # The cycle must be over before we rejoin: aiokafka would repeat a commit of it under the new generation, and
        # Kafka does not ask whether that generation's member still owns the partition.
        self._owned = set()
        self._progress.let_go()
        self._cut_off()
        async with self._working:
            self._places = {}
        self._assigned_gauge.set(0)

    def _cut_off(self) -> None:
        if self._leash is not None and not self._leash.expired():
            self._leash.reschedule(asyncio.get_running_loop().time())

    async def _run(self) -> None:
        backoff_s = self._settings.backoff_s
        while not self._stopping.is_set():
            try:
                await self._guarded_cycle()
                backoff_s = self._settings.backoff_s
            except _Stopping:
                return
            except KafkaError as error:
                # Whatever was in hand is either unplanned, and comes again, or planned, and is replayed.
                log.warning("cycle given up, kafka failed", error=repr(error))
                self._places = {}
                await self._pause(backoff_s)
                backoff_s = min(2 * backoff_s, self._settings.max_backoff_s)

    async def _guarded_cycle(self) -> None:
        async with self._working:
            try:
                async with asyncio.timeout(None) as self._leash:
                    await self._cycle()
            except TimeoutError:
                if self._leash is None or not self._leash.expired():
                    raise
                self._places = {}
            finally:
                self._leash = None
                self._in_batch = False

    async def _cycle(self) -> None:
        # 1. Read a batch of each partition: what is planned already, else what has come. Dying here: nothing has
        #    happened, the next owner reads the same offsets in batches of its own.
        batches = await self._read()
        if not batches:
            return
        self._in_batch = True
        started_s = self._clock.monotonic_s()

        # 2. Plan: commit each batch's first offset, with its end in the metadata. Dying before: as in 1. Dying after,
        #    up to 6: the next owner replays precisely these batches. A consumer that was fenced fails here, and has
        #    written nothing.
        await self._commit_plans(batches)

        # 3. Build the rows: read the records, put aside what is unreadable, look up earlier reports. It depends only on
        #    the records and on what was written before the batch, so that a replay builds the same rows. Dying here:
        #    replayed; dead letters may then be there twice.
        read = []
        for batch in batches:
            read.append(await self._writer.read(batch))
            # Reading is pure computation, up to half a second in all: heartbeats must come in between.
            await asyncio.sleep(0)
        unusual = await self._insist(batches, lambda: self._writer.find_unusual(read))

        # 4. Insert. Dying here: some of the tables have the batch, others do not; the replay inserts all of it again,
        #    and the tokens drop what was there. ClickHouse away: tried again without end, with the bounds unchanged.
        written = await self._insist(batches, lambda: self._write_all(read, unusual))

        # 5. Settle: tell the budgets' authorities what the batches cost. After 4, or what they call spent might never
        #    come to be; before 6, or dying in between would leave it out for good. Dying before: the replay writes, and
        #    so settles, the same, under the same bounds, by which an authority knows what it has counted.
        await self._settlements.publish(written)

        # 6. Finish: commit the ends, without a plan. Dying before: replayed, and counted once by its tokens.
        await self._commit({_key(batch): (batch.bounds.end, "") for batch in batches})

        for batch in batches:
            self._places[_key(batch)] = Place(batch.bounds.end, None)
            self._progress.finished(batch.bounds.partition, batch.bounds.end, _kafka_time_ms(batch))
            self._batches.labels(replayed=str(batch.replayed).lower()).inc()
        self._batch_seconds.observe(self._clock.monotonic_s() - started_s)

    async def _read(self) -> list[Batch]:
        if not self._owned:
            await self._reader.wait()
            return []
        if self._owned != self._places.keys():
            await self._find_places()
        planned = {p: place for p, place in self._places.items() if place.planned_end is not None}
        if planned:
            log.info("replaying planned batches", partitions=sorted(p.partition for p in planned))
            replays = [
                await self._reader.replay(partition, place.next_offset or 0, place.planned_end or 0)
                for partition, place in planned.items()
            ]
            return [batch for batch in replays if batch is not None]
        next_offsets = {partition: place.next_offset or 0 for partition, place in self._places.items()}
        return await self._reader.collect(next_offsets, self._settings.max_batch_records, self._settings.batch_wait_s)

    async def _find_places(self) -> None:
        """Where to go on, asked from Kafka after the assignment: from then on no earlier owner can commit."""
        owned = set(self._owned)
        places = await read_places(self._make_admin, self._group, owned)
        fresh = [partition for partition in owned if places[partition].next_offset is None]
        if fresh:
            beginnings = await read_beginnings(self._make_reader, fresh)
            places |= {partition: Place(beginnings[partition], None) for partition in fresh}
        for partition, place in places.items():
            self._consumer.seek(partition, place.next_offset)
        self._places = places
        self._progress.take({partition.partition: place.next_offset or 0 for partition, place in places.items()})

    async def _write_all(self, batches: Sequence[ReadBatch], unusual: dict[int, set[str]]) -> list[Written]:
        slots = asyncio.Semaphore(PARALLEL_INSERTS)

        async def write(batch: ReadBatch) -> Written:
            async with slots:
                return await self._writer.write(batch, unusual.get(batch.bounds.partition, set()))

        # All are waited for, also when one fails: a try must not overlap with the next.
        written: list[Written] = []
        for result in await asyncio.gather(*(write(batch) for batch in batches), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            written.append(result)
        return written

    async def _insist(self, batches: Sequence[Batch], work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Tries until ClickHouse answers, and makes sure that the batches are still ours."""
        backoff_s = self._settings.backoff_s
        while True:
            if self._clock.monotonic_s() - self._proven_at_s > PROOF_HOLDS_S:
                await self._commit_plans(batches)
            try:
                return await work()
            except StoreUnavailable as error:
                log.warning("clickhouse failed, trying again", reason=error.reason, backoff_s=backoff_s)
            if await self._pause(backoff_s):
                raise _Stopping
            backoff_s = min(2 * backoff_s, self._settings.max_backoff_s)
            await self._reader.stay_member(self._owned)

    async def _commit_plans(self, batches: Sequence[Batch]) -> None:
        proven_at_s = self._clock.monotonic_s()
        await self._commit({_key(batch): (batch.bounds.first, encode_plan(batch.bounds.end)) for batch in batches})
        self._proven_at_s = proven_at_s

    async def _commit(self, positions: dict[TopicPartition, tuple[int, str]]) -> None:
        await self._consumer.commit(positions)

    async def _pause(self, pause_s: float) -> bool:
        """True if the process is to stop."""
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _key(batch: Batch) -> TopicPartition:
    return TopicPartition(batch.bounds.topic, batch.bounds.partition)


def _kafka_time_ms(batch: Batch) -> int:
    """Kafka's own time of the last record; 0 if it was stamped by who sent it, which says nothing of other records."""
    if not batch.records or batch.records[-1].timestamp_type != LOG_APPEND_TIME:
        return 0
    return batch.records[-1].timestamp
