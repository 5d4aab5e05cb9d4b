"""What the ingress reports and puts back when a worker will not, down to the records in Kafka."""

import asyncio

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from ingress.aftermath import IngressAftermath
from ingress.exchange import Channel, Exchange
from ingress.request_queue import RequestQueue
from runtime.clock import SystemClock
from runtime.kafka.queue_producer import QueueProducer
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.failures import Failure, FailureKind
from schemas.frames import Head
from schemas.topics import Topic
from schemas.usage import USAGE
from tests.fakes.clock import HandClock
from tests.fakes.envelopes import ATTRIBUTION, envelope, if_lost
from tests.fakes.kafka import FakeKafka, durable_producer
from tests.fakes.tickets import FakeTicket
from tests.fakes.waiting import until

HEAD = Head(status=200, content_type="application/json", model="mm", vendor="vv", attempts=1)


class Bench:
    def __init__(self, kafka: FakeKafka, supervisor: Supervisor, aftermath: IngressAftermath, clock: HandClock) -> None:
        self.kafka = kafka
        self.supervisor = supervisor
        self.aftermath = aftermath
        self.clock = clock


async def make(report_delay_s: float = 0.001) -> Bench:
    kafka, clock, supervisor = FakeKafka(), HandClock(), Supervisor()
    metrics = Metrics(CollectorRegistry())
    usage = await durable_producer(kafka)
    producer = QueueProducer(kafka.make_producer, Topic.REQUESTS.value, 3.0, clock, Supervisor(), metrics)
    await producer.start()
    aftermath = IngressAftermath(RequestQueue(producer), usage, clock, supervisor, metrics, report_delay_s)
    return Bench(kafka, supervisor, aftermath, clock)


def exchange_of(clock: HandClock, ticket: FakeTicket | None = None, **fields: object) -> Exchange:
    return Exchange(envelope(accepted_at_ms=clock.now_ms() - 250, **fields), b"body", 100, ticket or FakeTicket())


async def test_a_lost_claim_is_reported_at_its_upper_bound() -> None:
    bench = await make()
    exchange = exchange_of(bench.clock, streaming=True)
    exchange.if_lost = if_lost(0, 1)
    exchange.head = HEAD
    exchange.failure_now(Failure(kind=FailureKind.WORKER_LOST))
    bench.aftermath.report_lost(exchange, finished=True)
    await until(lambda: bench.kafka.usage())
    [record] = bench.kafka.usage()
    assert record.origin == "ingress"
    assert record.attribution == ATTRIBUTION
    assert (record.request_id, record.surface, record.streaming) == ("req_1", "openai.chat", True)
    assert [attempt.attempt_id for attempt in record.attempts] == ["req_1.0.0", "req_1.0.1"]
    assert all(a.estimated and a.outcome == "worker_lost" and a.cost_pico_usd == 50 for a in record.attempts)
    assert all(attempt.ended_at_ms == bench.clock.now_ms() for attempt in record.attempts)
    request = record.request
    assert request is not None
    assert (request.status, request.failure, request.attempts) == (200, "worker_lost", 2)
    assert (request.model, request.vendor) == ("mm", "vv")
    assert request.total_ms == 250
    assert bench.kafka.records[0].key == b"proj", "one partition tells a project's story"


async def test_before_a_new_delivery_only_the_attempts_are_reported() -> None:
    bench = await make()
    exchange = exchange_of(bench.clock)
    exchange.if_lost = if_lost()
    bench.aftermath.report_lost(exchange, finished=False)
    exchange.put_back("new", 2)  # what happens at once afterwards must not reach the report
    await until(lambda: bench.kafka.usage())
    [record] = bench.kafka.usage()
    assert record.request is None
    assert [attempt.delivery for attempt in record.attempts] == [0]


async def test_a_request_that_nobody_served_is_reported_at_once_and_free_of_charge() -> None:
    bench = await make(report_delay_s=3600)
    exchange = exchange_of(bench.clock)
    exchange.status = 504
    exchange.failure_now(Failure(kind=FailureKind.DEADLINE_EXCEEDED))
    bench.aftermath.report_unserved(exchange)
    await until(lambda: bench.kafka.usage())
    [record] = bench.kafka.usage()
    assert record.attempts == ()
    assert record.request is not None
    assert (record.request.status, record.request.failure) == (504, "deadline_exceeded")
    assert (record.request.model, record.request.vendor, record.request.queue_ms) == (None, None, 250)


async def test_estimates_wait_for_the_workers_own_word_but_not_when_stopping() -> None:
    bench = await make(report_delay_s=3600)
    exchange = exchange_of(bench.clock)
    exchange.if_lost = if_lost()
    bench.aftermath.report_lost(exchange, finished=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.kafka.usage() == []
    await bench.aftermath.stop(Deadline(SystemClock(), 5))
    assert len(bench.kafka.usage()) == 1


async def test_what_is_reported_only_at_the_end_of_the_drain_still_goes_out() -> None:
    bench = await make(report_delay_s=60)
    exchange = exchange_of(bench.clock)
    exchange.if_lost = if_lost()
    bench.aftermath.report_lost(exchange, finished=True)
    await bench.aftermath.stop(Deadline(SystemClock(), 0))
    assert len(bench.kafka.attempts()) == 1


async def test_stopping_gives_up_at_the_deadline_when_kafka_is_away() -> None:
    bench = await make(report_delay_s=3600)
    bench.kafka.confirming = False
    exchange = exchange_of(bench.clock)
    bench.aftermath.report_unserved(exchange)
    await until(lambda: bench.kafka.unconfirmed)
    async with asyncio.timeout(5):
        await bench.aftermath.stop(Deadline(SystemClock(), 0.01))
    await bench.supervisor.cancel_all()


async def test_a_claim_that_cannot_be_read_does_not_stop_the_rest() -> None:
    bench = await make()
    exchange = exchange_of(bench.clock)
    exchange.if_lost = msgspec.Raw(b'{"v":9}')
    bench.aftermath.report_lost(exchange, finished=True)
    await until(lambda: bench.kafka.usage())
    assert bench.kafka.attempts() == []
    assert len(bench.kafka.request_events()) == 1


async def test_a_hold_is_settled_only_when_the_report_is_in_kafka() -> None:
    bench = await make(report_delay_s=3600)
    ticket = FakeTicket()
    exchange = exchange_of(bench.clock, ticket)
    exchange.if_lost = if_lost()
    bench.aftermath.report_lost(exchange, finished=True)
    exchange.cost_known(50, 0)
    assert ticket.settled == []
    await bench.aftermath.stop(Deadline(SystemClock(), 5))
    assert ticket.settled == [(50, 0)]


async def test_reports_name_the_leases_and_the_day_of_acceptance() -> None:
    bench = await make()
    exchange = exchange_of(bench.clock, leases=("1|b@2026-11-01|h.1",))
    exchange.if_lost = if_lost()
    bench.aftermath.report_lost(exchange, finished=True)
    await until(lambda: bench.kafka.usage())
    [record] = bench.kafka.usage()
    assert (record.leases, record.accepted_at_ms) == (exchange.envelope.leases, exchange.envelope.accepted_at_ms)


async def test_a_call_that_was_over_before_the_worker_was_lost_keeps_its_end() -> None:
    bench = await make()
    exchange = exchange_of(bench.clock)
    record = USAGE.decode(bytes(if_lost(0, 1)))
    earlier = msgspec.structs.replace(record.attempts[0], outcome="failed", ended_at_ms=7)
    told = msgspec.structs.replace(record, attempts=(earlier, record.attempts[1]))
    exchange.if_lost = msgspec.Raw(USAGE.encode(told))
    bench.aftermath.report_lost(exchange, finished=True)
    await until(lambda: bench.kafka.usage())
    assert [attempt.ended_at_ms for attempt in bench.kafka.attempts()] == [7, bench.clock.now_ms()]


@pytest.mark.parametrize(("held", "value"), [("inline", b"body"), ("held", b"")])
async def test_what_is_put_back_is_the_whole_request(held: str, value: bytes) -> None:
    bench = await make()
    exchange = exchange_of(bench.clock, body=held)
    exchange.put_back("second-token", 2)
    bench.aftermath.put_back(exchange)
    await until(lambda: bench.kafka.requests())
    [record] = bench.kafka.requests()
    assert record.value == value
    assert record.envelope == exchange.envelope
    assert (record.envelope.delivery, record.envelope.token) == (1, "second-token")


async def test_a_request_that_cannot_be_put_back_fails() -> None:
    bench = await make()
    bench.kafka.refusal = KafkaConnectionError()
    exchange = exchange_of(bench.clock)
    bench.aftermath.put_back(exchange)
    await until(lambda: exchange.failure)
    assert exchange.failure == Failure(kind=FailureKind.QUEUE_UNAVAILABLE, retry_after_s=1)


class _Silent(Channel):
    def send(self, frame: bytes) -> None:
        return


@pytest.mark.parametrize("claimed", [False, True])
async def test_an_unconfirmed_record_fails_the_request_unless_a_claim_proves_that_it_arrived(claimed: bool) -> None:
    bench = await make()
    bench.kafka.confirming = False
    exchange = exchange_of(bench.clock)
    bench.aftermath.put_back(exchange)
    await until(lambda: bench.kafka.unconfirmed)
    if claimed:
        exchange.channel = _Silent()
    [sent] = bench.kafka.unconfirmed
    sent.set_exception(KafkaConnectionError())
    for _ in range(10):
        await asyncio.sleep(0)
    assert (exchange.failure is None) == claimed


async def test_what_becomes_of_an_earlier_delivery_does_not_fail_a_later_one() -> None:
    bench = await make()
    bench.kafka.confirming = False
    exchange = exchange_of(bench.clock)
    bench.aftermath.put_back(exchange)
    await until(lambda: bench.kafka.unconfirmed)
    # Given a delivery that was claimed and lost again before Kafka confirmed it, when Kafka gives up on it,
    exchange.put_back("another token", 2)
    [sent] = bench.kafka.unconfirmed
    sent.set_exception(KafkaConnectionError())
    for _ in range(10):
        await asyncio.sleep(0)
    # then the next delivery still stands.
    assert exchange.failure is None
