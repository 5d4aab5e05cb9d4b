"""Topics for tests: made, filled, read back and asked for their offsets with plain aiokafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from runtime.shared_settings import KafkaSettings
from tests.runtime.waiting import until_async

READ_LIMIT_S = 30


@asynccontextmanager
async def admin_of(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create_topic(settings: KafkaSettings, topic: str, partitions: int = 1, **config: str) -> None:
    topic_config = {name.replace("_", "."): value for name, value in config.items()}
    async with admin_of(settings) as admin:
        answer: Any = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=topic_config)])
        assert [error[1] for error in answer.topic_errors] == [0], answer
    await until_known(settings, {topic: partitions})


async def until_known(settings: KafkaSettings, topics: dict[str, int]) -> None:
    """Kafka answers a creation before the broker that serves metadata has heard of it. `topics`: partitions of each."""

    async def known() -> bool:
        described = await admin.describe_topics(list(topics))
        return {each["topic"]: len(each["partitions"]) for each in described} == topics

    async with admin_of(settings) as admin:
        await until_async(known, f"partitions of {topics}")


async def produce(
    settings: KafkaSettings, topic: str, records: Sequence[tuple[int, bytes | None, bytes | None]]
) -> None:
    """Records are (partition, key, value)."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    await producer.start()
    try:
        for partition, key, value in records:
            await producer.send(topic, value, key=key, partition=partition)
    finally:
        await producer.stop()


async def read_all(settings: KafkaSettings, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """(key, value) of every record in the topic now, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[bytes | None, bytes | None]] = []
        async with asyncio.timeout(READ_LIMIT_S):
            for partition in partitions:
                while await consumer.position(partition) < ends[partition]:
                    for records in (await consumer.getmany(partition, timeout_ms=200)).values():
                        found += [(record.key, record.value) for record in records]
    finally:
        await consumer.stop()
    return found


async def committed(settings: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """Partition → committed offset, where there is one."""
    async with admin_of(settings) as admin:
        offsets = await admin.list_consumer_group_offsets(settings.topic_prefix + group)
    return {at.partition: meta.offset for at, meta in offsets.items() if at.topic == topic and meta.offset >= 0}
