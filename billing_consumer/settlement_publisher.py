"""Sends what a cycle's batches cost to the budgets' authorities, each by its partition of `spend.commands`."""

import asyncio
from collections.abc import Iterable, Sequence

from billing_consumer.batch_writer import Written
from billing_consumer.settlement import command_records, settlements_of
from runtime.kafka.durable_producer import DurableProducer
from schemas.topics import Topic


class SettlementPublisher:
    def __init__(self, producer: DurableProducer) -> None:
        self._producer = producer

    async def publish(self, written: Iterable[Written]) -> None:
        """Returns when Kafka has all of it, however long that takes."""
        records = command_records([settlements_of(batch.bounds, batch.attempts) for batch in written])
        await asyncio.gather(*(self._send(partition, values) for partition, values in records.items()))

    async def _send(self, partition: int, values: Sequence[bytes]) -> None:
        # One after the other: a ledger that saw the later piece of a batch would take the earlier one for a repetition.
        for value in values:
            await send_command(self._producer, partition, value)


async def send_command(producer: DurableProducer, partition: int, value: bytes) -> None:
    """Returns when Kafka has it."""
    await producer.deliver(Topic.SPEND_COMMANDS, "", lambda _repeat: value, partition=partition)
