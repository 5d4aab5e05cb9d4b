"""Reads where the group stands, with the plan that the last owner of each partition left in its commit."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from billing_consumer.batch_bounds import decode_plan


class Place(NamedTuple):
    """`next_offset`: what to read next; None if the group has never committed. `planned_end`: of a batch that was
    planned and may or may not have been written."""

    next_offset: int | None
    planned_end: int | None


class OffsetsNotRead(KafkaError):
    """The coordinator did not answer for a partition."""


async def read_places(
    make_admin: Callable[[], AIOKafkaAdminClient], group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, Place]:
    """Raises KafkaError, UnreadablePlan."""
    admin = make_admin()
    try:
        await admin.start()
        committed = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
    except (AttributeError, TimeoutError) as error:
        # AttributeError: aiokafka's older answer has no field for the error that it wants to report.
        raise OffsetsNotRead(repr(error)) from error
    finally:
        await admin.close()
    places: dict[TopicPartition, Place] = {}
    for partition in partitions:
        found = committed.get(partition)
        if found is None:
            # aiokafka drops the error of the whole answer (a coordinator that is still loading), and the partition is
            # only missing. Taken for "never committed" it would start the partition again from its beginning.
            raise OffsetsNotRead(f"no committed offset was given for {partition}")
        if found.offset < 0:
            places[partition] = Place(None, None)
        else:
            places[partition] = Place(found.offset, decode_plan(found.offset, found.metadata))
    return places


async def read_beginnings(
    make_reader: Callable[[], AIOKafkaConsumer], partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """The first offset that each partition still has. Raises KafkaError.

    By a client of its own: a connection that Kafka no longer answers on is given up by aiokafka only after the same
    timeout as this question's, so asked through the group's client it is never given up, and every try waits in vain.
    """
    reader = make_reader()
    try:
        await reader.start()
        beginnings: dict[TopicPartition, int] = await reader.beginning_offsets(list(partitions))
    finally:
        await reader.stop()
    return beginnings
