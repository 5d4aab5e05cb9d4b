"""Two replicas in this process over a real Kafka: they meet, share one limit, and take over from one another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from ingress.admission import Refusal
from ingress.rates.announcer import Announcer
from ingress.rates.rate_limits import RateLimits
from ingress.rates.wiring import make_rates
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.table_reader import TableReader
from runtime.lifecycle import Component, Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.replicas import REPLICA, LimitUse, ReplicaRecord
from schemas.tenancy import Limits
from schemas.topics import Topic
from tests.ingress.rates.fleet import ask_of
from tests.runtime.kafka_topics import create_topic, produce
from tests.runtime.waiting import until

RPM_100 = Limits(requests_per_minute=100)
ONE_AT_A_TIME = Limits(concurrent_requests=1)


class Running:
    def __init__(self, settings: KafkaSettings, replica_id: str) -> None:
        clock = SystemClock()
        self.supervisor = Supervisor()
        self.producer = DurableProducer(
            lambda: make_durable_producer(settings), settings.topic_prefix, Metrics(CollectorRegistry())
        )

        def reader(apply: Callable[[bytes], None]) -> Component:
            topic = topic_name(settings, Topic.REPLICAS)
            return TableReader(lambda: make_reader(settings), topic, apply, clock, self.supervisor)

        self.rates: RateLimits
        self.announcer: Announcer
        self.rates, self.announcer = make_rates(replica_id, self.producer, reader, clock, self.supervisor)

    def let_through(self, limits: Limits, times: int, key: str = "k") -> int:
        ask = ask_of(limits, api_key_id=key)
        return sum(not isinstance(self.rates.admit(ask), Refusal) for _ in range(times))


@asynccontextmanager
async def replica(settings: KafkaSettings, replica_id: str) -> AsyncIterator[Running]:
    running = Running(settings, replica_id)
    await running.producer.start()
    await running.announcer.start()
    try:
        yield running
    finally:
        deadline = Deadline(SystemClock(), 2)
        await running.announcer.stop(deadline)
        await running.producer.stop(deadline)
        await running.supervisor.cancel_all()
        assert not running.supervisor.failed.is_set()


async def topic_for(settings: KafkaSettings) -> str:
    topic = topic_name(settings, Topic.REPLICAS)
    await create_topic(settings, topic)
    return topic


async def test_replicas_share_a_limit_and_the_one_that_stays_has_it_all(kafka_settings: KafkaSettings) -> None:
    await topic_for(kafka_settings)
    async with replica(kafka_settings, "a-stays") as stays:
        assert stays.let_through(RPM_100, 10) == 10
        async with replica(kafka_settings, "b-leaves") as leaves:
            let_through = [10, 0]

            def asked_until(total: int) -> bool:
                let_through[0] += stays.let_through(RPM_100, 1)
                let_through[1] += leaves.let_through(RPM_100, 3)
                return sum(let_through) >= total

            # All of it can be used but what is kept in hand for a sudden change, and never more.
            await until(lambda: asked_until(99), "the whole limit is used")
            for _ in range(20):
                asked_until(200)
                await asyncio.sleep(0)
            assert sum(let_through) <= 100
            assert min(let_through) > 10

            # The single unit comes to the one that asks, although the other is before it.
            await until(lambda: leaves.let_through(ONE_AT_A_TIME, 1, "one") == 1, "the unit has come")
            assert stays.let_through(ONE_AT_A_TIME, 5, "one") == 0
        await until(lambda: stays.let_through(ONE_AT_A_TIME, 1, "one") == 1, "what the leaver had is taken over")


async def test_old_records_are_passed_over_and_garbage_does_no_harm(kafka_settings: KafkaSettings) -> None:
    topic = await topic_for(kafka_settings)
    greedy = ReplicaRecord(
        replica_id="of-yesterday",
        seq=9,
        beat=9,
        at_ms=SystemClock().now_ms() - 60_000,
        known=(),
        limits=(LimitUse("key/k/requests", 100, 100, 1000),),
    )
    await produce(kafka_settings, topic, [(0, b"of-yesterday", REPLICA.encode(greedy)), (0, b"x", b"{")])
    async with replica(kafka_settings, "today") as today:
        assert today.let_through(RPM_100, 101) == 100
        await produce(kafka_settings, topic, [(0, b"x", b"\xff"), (0, b"y", b'{"v":2}')])
        async with replica(kafka_settings, "later") as later:
            await until(lambda: later.announcer.is_known, "the later one is known")
            assert later.let_through(RPM_100, 5) == 0
