"""Writes a partition of a compacted topic as its only writer, as far as anybody who reads it is concerned."""

import asyncio
from collections.abc import Sequence

from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import Deposed, FencedTable
from schemas.fencing import MARKER_KEY, STAMP_HEADER, Stamp, encode_stamp
from schemas.topics import Topic

TRIES = 5
"""Two replicas that take a partition over in the same moment may depose one another once or twice."""


class Term:
    """One writer's time with one partition."""

    def __init__(self, partition: int, number: int, writer_id: str) -> None:
        self.partition = partition
        self.number = number
        self.writer_id = writer_id
        self._records = 0

    def stamp(self) -> Stamp:
        return Stamp(self.number, self.writer_id, self._records)

    def next_stamp(self) -> Stamp:
        self._records += 1
        return self.stamp()


class FencedWriter:
    """`writer_id`: of this life of this process, and of no other."""

    def __init__(self, producer: DurableProducer, table: FencedTable, topic: Topic, writer_id: str) -> None:
        self._producer = producer
        self._table = table
        self._topic = topic
        self._writer_id = writer_id
        self._last_term: dict[int, int] = {}

    async def take_over(self, partition: int) -> Term:
        """Returns when all that counts from before the new term has been applied to the table. Raises Deposed."""
        for _ in range(TRIES):
            number = max(self._table.next_term(partition), self._last_term.get(partition, 0) + 1)
            self._last_term[partition] = number
            term = Term(partition, number, self._writer_id)
            self._table.expect(partition, term.stamp())
            await self._deliver(term.stamp(), partition, MARKER_KEY, b"{}")
            try:
                await self._table.wait_until_read(partition, term.stamp())
            except Deposed:
                continue
            return term
        raise Deposed(f"partition {partition} was taken over by others {TRIES} times in a row")

    async def write(self, term: Term, records: Sequence[tuple[str, bytes | None]]) -> Stamp:
        """Returns when Kafka has all of the (key, value) records; a value of None deletes. They need not count: see
        `confirm`. Records of one call may have their order changed, so a key is in it once at most."""
        stamps = [term.next_stamp() for _ in records]
        await asyncio.gather(
            *(
                self._deliver(stamp, term.partition, key, value)
                for stamp, (key, value) in zip(stamps, records, strict=True)
            )
        )
        return term.stamp()

    async def confirm(self, term: Term, stamp: Stamp) -> None:
        """Returns when everything written up to the stamp has been read back as valid. Raises Deposed."""
        await self._table.wait_until_read(term.partition, stamp)

    def is_current(self, term: Term) -> bool:
        """As far as the table has been read."""
        highest = self._table.highest(term.partition)
        return highest is not None and highest.rank == term.stamp().rank

    async def _deliver(self, stamp: Stamp, partition: int, key: str, value: bytes | None) -> None:
        headers = [(STAMP_HEADER, encode_stamp(stamp))]
        await self._producer.deliver(self._topic, key, lambda _repeat: value, headers=headers, partition=partition)
