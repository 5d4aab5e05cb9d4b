"""aiokafka clients. What a guarantee rests on is forced here, with its reason, and is not a setting."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from runtime.kafka.partitioners import RememberingPartitioner, StickyPartitioner
from runtime.shared_settings import KafkaSettings
from schemas.topics import TOPICS, Topic


def topic_name(settings: KafkaSettings, topic: Topic) -> str:
    """The topic's name in the cluster."""
    return settings.topic_prefix + topic.value


def make_group_consumer(settings: KafkaSettings, group: str, *, max_poll_interval_s: float) -> AIOKafkaConsumer:
    """A consumer in a group, not yet subscribed or started."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=settings.topic_prefix + group,
        # G1, G3: an offset is committed when the work behind it is settled, never because time has passed.
        enable_auto_commit=False,
        # A group without offsets must see what is already there; "latest" would lose the first records of a new fleet.
        auto_offset_reset="earliest",
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 3),
        max_poll_interval_ms=int(max_poll_interval_s * 1000),
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
    )


def make_reader(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer outside any group, for a topic that every replica reads whole."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
    )


def make_durable_producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """For records that are money. `deliver` them with runtime.kafka.durable_producer."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        # G3: with fewer acks a broker's crash loses a usage event; without idempotence a broken connection doubles it.
        acks="all",
        enable_idempotence=settings.idempotence,
        # Nobody waits for usage: the client has its answer. Fewer, larger batches halve what reporting costs.
        linger_ms=20,
        max_batch_size=256 * 1024,
        max_request_size=TOPICS[Topic.USAGE].max_message_bytes,
        partitioner=RememberingPartitioner(),
    )


def make_prompt_producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """For what somebody waits for: intents, leases asked for and granted. As durable as usage."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        # G4: the intent is all that is left of a call if its worker and its ingress die together.
        acks="all",
        enable_idempotence=settings.idempotence,
        # Each millisecond of linger would be a millisecond of every answer; under load batches form by themselves.
        linger_ms=0,
        max_batch_size=256 * 1024,
        max_request_size=TOPICS[Topic.USAGE].max_message_bytes,
        partitioner=RememberingPartitioner(),
    )


def make_queue_producer(settings: KafkaSettings, partitioner: StickyPartitioner) -> AIOKafkaProducer:
    """For requests, which somebody waits for. Doubling one is harmless: the ingress refuses the second claim (G1)."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        # G1: an accepted request must outlive a broker.
        acks="all",
        enable_idempotence=False,
        # Each millisecond of linger would be a millisecond of every answer; under load batches form by themselves.
        linger_ms=0,
        max_batch_size=256 * 1024,
        max_request_size=TOPICS[Topic.REQUESTS].max_message_bytes,
        request_timeout_ms=15_000,
        partitioner=partitioner,
    )


def make_admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    return AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)


ProducerFactory = Callable[[], AIOKafkaProducer]
