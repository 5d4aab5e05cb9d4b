"""Consumes `spend.commands` and is the authority on the budgets of the partitions that the group gives it (G4).

The group is only a hint about who the authority is; the log on `spend` decides (schemas.fencing). So every assignment
begins with a take-over, and only then are commands read, from the offset that the last owner committed: it was
committed after the states that came of the commands before it had been read back. Everything since comes again, and
changes nothing where it had its effect.

Whatever goes wrong ends in the same way: forget the partition, take it over anew, go on from the committed offset.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from billing_consumer.authority.office import Office, OfficeMaker
from billing_consumer.committed_plans import read_beginnings, read_places
from runtime.clock import Clock
from runtime.kafka.dead_letters import DeadLetters
from runtime.kafka.fenced_table import Deposed
from runtime.kafka.fenced_writer import FencedWriter, Term
from runtime.lifecycle import Deadline, Supervisor, finish
from runtime.metrics import Metrics
from schemas.codec import UndecodableRecord
from schemas.spend import SPEND_COMMAND

log = structlog.get_logger(__name__)

POLL_S = 0.2
POLL_SOON_S = 0.02
MAX_RECORDS = 2000
COMMIT_EVERY_S = 0.5
BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0
LEAVE_WITHIN_S = 3.0


class AuthorityLoop(ConsumerRebalanceListener):
    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        make_admin: Callable[[], AIOKafkaAdminClient],
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        group: str,
        writer: FencedWriter,
        make_office: OfficeMaker,
        dead_letters: DeadLetters,
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
        self._make_office = make_office
        self._dead_letters = dead_letters
        self._clock = clock
        self._supervisor = supervisor
        self._assigned_gauge = metrics.gauge("tollhouse_kafka_assigned_partitions").labels(topic=topic)
        self._commands = metrics.counter("tollhouse_billing_spend_commands_total")
        self._take_overs = metrics.counter("tollhouse_billing_take_overs_total")
        self._cycle_seconds = metrics.histogram("tollhouse_billing_authority_seconds")
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._joined = False
        self._owned: set[TopicPartition] = set()
        self._offices: dict[TopicPartition, Office] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._deposed: dict[TopicPartition, int] = {}
        self._committed_at_s = 0.0
        # Held during a cycle; revocation waits for it. The leash is how it makes the cycle end at once.
        self._working = asyncio.Lock()
        self._leash: asyncio.Timeout | None = None

    def problem(self) -> str | None:
        """Why it is not ready; None if it is. Having no partition is no problem: there may be more processes."""
        if not self._joined:
            return "not yet a member of the consumer group"
        missing = sorted(p.partition for p in self._owned - self._offices.keys())
        return f"budgets of the partitions {missing} are not taken over yet" if missing else None

    async def start(self) -> None:
        self._consumer = self._make_consumer()
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()
        self._task = self._supervisor.spawn(self._run(), f"consume {self._topic}")

    async def stop(self, deadline: Deadline) -> None:
        """Leaves the group. What was not read back is decided again by the next authority, from the same commands."""
        self._stopping.set()
        self._cut_off()
        await finish(self._task, min(1.0, deadline.left_s()))
        self._forget_all()
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await self._consumer.stop()
        except TimeoutError:
            log.warning("left the group without a word, kafka does not answer", topic=self._topic)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._owned = set(assigned)
        self._assigned_gauge.set(len(assigned))
        self._joined = True
        log.info("partitions assigned", topic=self._topic, partitions=sorted(p.partition for p in assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # The cycle must be over before we rejoin: aiokafka would repeat a commit of it under the new generation, and
        # Kafka does not ask whether that generation's member still owns the partition.
        self._owned = set()
        self._cut_off()
        async with self._working:
            self._forget_all()
            self._deposed = {}
        self._assigned_gauge.set(0)

    def _cut_off(self) -> None:
        if self._leash is not None and not self._leash.expired():
            self._leash.reschedule(asyncio.get_running_loop().time())

    def _forget_all(self) -> None:
        for partition in list(self._offices):
            self._forget(partition)

    def _forget(self, partition: TopicPartition) -> None:
        self._offices.pop(partition).close()
        self._committed.pop(partition, None)

    async def _run(self) -> None:
        backoff_s = BACKOFF_S
        while not self._stopping.is_set():
            try:
                await self._guarded_cycle()
                backoff_s = BACKOFF_S
            except KafkaError as error:
                # A write that was given up may have reached the log or not: only a new term can tell.
                log.warning("budget authority starts anew, kafka failed", error=repr(error))
                self._forget_all()
                await self._pause(backoff_s)
                backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)

    async def _guarded_cycle(self) -> None:
        async with self._working:
            try:
                async with asyncio.timeout(None) as self._leash:
                    await self._cycle()
            except TimeoutError:
                if self._leash is None or not self._leash.expired():
                    raise
                self._forget_all()
            finally:
                self._leash = None

    async def _cycle(self) -> None:
        if not self._owned:
            # Lets the group do its work. What this fetches comes again, for a take-over seeks.
            await self._consumer.getmany(timeout_ms=int(POLL_S * 1000))
            return
        await self._take_over_missing()

        # 1. Read what has been asked and reported, and decide, in memory. Dying here: nothing has happened.
        soon = any(office.waits for office in self._offices.values())
        poll_s = POLL_SOON_S if soon else POLL_S
        fetched = await self._consumer.getmany(timeout_ms=int(poll_s * 1000), max_records=MAX_RECORDS)
        started_s = self._clock.monotonic_s()
        for partition, records in fetched.items():
            await self._apply(self._offices[partition], records)
        for partition, office in self._offices.items():
            office.tick(caught_up=self._is_caught_up(partition, office))

        # 2. Write the states, and read them back. Dying after the write: the next authority reads them too, and the
        #    commands, which come to it again, change nothing.
        await self._publish()

        # 3. Commit how far we have come. Only from time to time: what is not committed costs a restart some reading.
        if started_s - self._committed_at_s >= COMMIT_EVERY_S:
            self._committed_at_s = started_s
            await self._commit()
        if fetched:
            self._cycle_seconds.observe(self._clock.monotonic_s() - started_s)

    async def _take_over_missing(self) -> None:
        missing = list(self._owned - self._offices.keys())
        if not missing:
            return
        if self._deposed:
            # Who was frozen for long still thinks that the partition is his. A commit from an old generation fails, and
            # keeps him from taking it back.
            await self._consumer.commit({p: offset for p, offset in self._deposed.items() if p in missing})
        terms = await self._take_over(missing)
        # Asked after the take-over: what an earlier owner commits until then is known.
        places = await read_places(self._make_admin, self._group, missing)
        fresh = [partition for partition in missing if places[partition].next_offset is None]
        beginnings = await read_beginnings(self._make_reader, fresh) if fresh else {}
        for partition, term in zip(missing, terms, strict=True):
            next_offset = places[partition].next_offset
            offset = beginnings[partition] if next_offset is None else next_offset
            self._consumer.seek(partition, offset)
            self._offices[partition] = self._make_office(term, offset)
            self._committed[partition] = offset
            self._take_overs.inc()
            self._deposed.pop(partition, None)
            log.info("budgets taken over", partition=partition.partition, term=term.number, offset=offset)

    async def _take_over(self, partitions: Collection[TopicPartition]) -> list[Term]:
        results = await asyncio.gather(
            *(self._writer.take_over(partition.partition) for partition in partitions), return_exceptions=True
        )
        # All are waited for, also when one fails: one that goes on alone would depose our next try.
        terms = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            terms.append(result)
        return terms

    async def _apply(self, office: Office, records: list[Any]) -> None:
        for number, record in enumerate(records):
            if number % 100 == 99:
                # Deciding is pure computation: heartbeats must come in between.
                await asyncio.sleep(0)
            try:
                command = SPEND_COMMAND.decode(record.value or b"").command
            except UndecodableRecord as error:
                log.error("unreadable spend command", offset=record.offset, reason=error.reason)
                await self._dead_letters.put(
                    self._topic, record.partition, record.offset, error.reason, record.value or b""
                )
                office.pass_over(record.offset)
                continue
            self._commands.inc()
            office.apply(record.offset, command)

    def _is_caught_up(self, partition: TopicPartition, office: Office) -> bool:
        end: int | None = self._consumer.highwater(partition)
        return end is not None and office.next_offset >= end

    async def _publish(self) -> None:
        partitions = list(self._offices)
        results = await asyncio.gather(
            *(self._offices[partition].publish() for partition in partitions), return_exceptions=True
        )
        for partition, result in zip(partitions, results, strict=True):
            if isinstance(result, Deposed):
                log.warning("deposed as the authority", partition=partition.partition, reason=str(result))
                self._deposed[partition] = self._committed[partition]
                self._forget(partition)
            elif isinstance(result, BaseException):
                raise result

    async def _commit(self) -> None:
        done = {
            partition: office.done_offset
            for partition, office in self._offices.items()
            if office.done_offset > self._committed[partition]
        }
        if done:
            await self._consumer.commit(done)
            self._committed |= done

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return
