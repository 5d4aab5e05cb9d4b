"""Intents and vendor credentials on a real broker."""

import statistics
import time

import msgspec
from aiokafka.errors import MessageSizeTooLargeError, NotEnoughReplicasError
from prometheus_client import CollectorRegistry

from router_worker.credentials import Credentials
from router_worker.intents import Intents
from router_worker.usage_events import intent
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_prompt_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.fenced_writer import FencedWriter
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.config_record import CONFIG, config_key
from schemas.tenancy import VendorCredential
from schemas.topics import Topic
from schemas.usage import USAGE
from tests.fakes.configuration import config_record
from tests.fakes.envelopes import envelope, if_lost
from tests.fakes.kafka import FakeKafka, durable_producer
from tests.fakes.waiting import until
from tests.runtime.kafka_topics import create_topic, read_all

CLOCK = SystemClock()
[LOST] = USAGE.decode(bytes(if_lost())).attempts
RECORD = intent(envelope(leases=("0|b@2026-11-01|l",), deadline_ms=7, accepted_at_ms=5), LOST)


async def test_an_intent_that_is_written_can_be_read(kafka_settings: KafkaSettings) -> None:
    topic = topic_name(kafka_settings, Topic.USAGE)
    await create_topic(kafka_settings, topic, partitions=3)
    supervisor = Supervisor()
    producer = DurableProducer(
        lambda: make_prompt_producer(kafka_settings), kafka_settings.topic_prefix, Metrics(CollectorRegistry())
    )
    await producer.start()
    intents = Intents(producer, supervisor, 10.0)
    took_ms: list[float] = []
    for number in range(50):
        started_s = time.perf_counter()
        assert await intents.write(msgspec.structs.replace(RECORD, request_id=f"req_{number}"))
        took_ms.append((time.perf_counter() - started_s) * 1000)
    print(f"an intent takes {statistics.median(took_ms):.2f} ms (median of {len(took_ms)})")
    found = [(key, USAGE.decode(value or b"")) for key, value in await read_all(kafka_settings, topic)]
    assert [key for key, _ in found] == [b"proj"] * 50, "in the partition of its project, in order"
    assert [record.request_id for _, record in found] == [f"req_{number}" for number in range(50)]
    assert {(record.origin, record.deadline_ms, record.accepted_at_ms) for _, record in found} == {("intent", 7, 5)}
    assert all(record.attempts == (LOST,) and record.leases == RECORD.leases for _, record in found)
    await producer.stop(Deadline(CLOCK, 1))
    await supervisor.cancel_all()


async def test_an_intent_that_kafka_may_have_twice_says_so() -> None:
    kafka, supervisor = FakeKafka(confirming=False), Supervisor()
    intents = Intents(await durable_producer(kafka), supervisor, 10.0)
    writing = supervisor.spawn(_written(intents), "test writes")
    await until(lambda: kafka.unconfirmed)
    kafka.confirming = True
    kafka.unconfirmed.pop().set_exception(NotEnoughReplicasError())
    await writing
    assert [record.repeat for record in kafka.usage()] == [False, True]
    await supervisor.cancel_all()


async def _written(intents: Intents) -> None:
    assert await intents.write(RECORD)


async def test_credentials_come_from_the_topic_and_hold_at_once(kafka_settings: KafkaSettings) -> None:
    topic = topic_name(kafka_settings, Topic.CONFIG)
    await create_topic(kafka_settings, topic)
    supervisor, credentials, seen = Supervisor(), Credentials(), Credentials()
    producer = DurableProducer(
        lambda: make_durable_producer(kafka_settings), kafka_settings.topic_prefix, Metrics(CollectorRegistry())
    )
    await producer.start()
    table = FencedTable(lambda: make_reader(kafka_settings), topic, credentials.apply, CLOCK, supervisor)
    written = FencedTable(lambda: make_reader(kafka_settings), topic, seen.apply, CLOCK, supervisor)
    await table.start()
    await written.start()
    writer = FencedWriter(producer, written, Topic.CONFIG, "admin")
    term = await writer.take_over(0)
    entity = VendorCredential(credential_id="c", organization_id="org", vendor="v", secret_name="KEY")
    key = config_key("vendor_credential", "c")
    await writer.write(term, [(key, CONFIG.encode(config_record(entity)))])
    await until(lambda: credentials.find("org", "any"))
    await writer.write(term, [(key, CONFIG.encode(config_record(entity, 2, deleted=True)))])
    await until(lambda: not credentials.find("org", "any"))
    for part in (table, written, producer):
        await part.stop(Deadline(CLOCK, 1))
    await supervisor.cancel_all()


async def test_an_intent_that_kafka_will_never_take_is_not_written() -> None:
    kafka, supervisor = FakeKafka(refusal=MessageSizeTooLargeError()), Supervisor()
    intents = Intents(await durable_producer(kafka), supervisor, 5.0)
    assert not await intents.write(RECORD)
    await supervisor.cancel_all()
