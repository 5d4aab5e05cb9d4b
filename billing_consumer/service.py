"""The wiring of the billing consumer: what it is made of, in the order in which it starts."""

import asyncio
import contextlib
import os

from prometheus_client import CollectorRegistry

from billing_consumer.authority.wiring import add_authority
from billing_consumer.batch_loop import BatchLoop
from billing_consumer.batch_writer import BatchWriter
from billing_consumer.clickhouse_store import ClickHouseStore, StoreUnavailable
from billing_consumer.settings import BillingSettings
from billing_consumer.settlement_publisher import SettlementPublisher
from billing_consumer.sweep import IntentSweep
from billing_consumer.usage_clock import UsageClocks
from billing_consumer.usage_progress import UsageProgress
from runtime.clock import Clock
from runtime.kafka.clients import (
    make_admin,
    make_durable_producer,
    make_group_consumer,
    make_prompt_producer,
    make_reader,
    topic_name,
)
from runtime.kafka.dead_letters import DeadLetterLimit, DeadLetters
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Deadline, Lifecycle, Supervisor, finish
from runtime.metrics import Metrics
from runtime.probes import Probes, ReadyCheck
from schemas.topics import Topic

GROUP = "billing_consumer"

MAX_POLL_INTERVAL_S = 300.0
"""Far above the longest time between two polls: a full cycle, or one try at ClickHouse."""

WATCH_EVERY_S = 5.0


class StoreWatch:
    """Looks at ClickHouse now and then, so that a quiet process also knows whether it is ready. A ClickHouse that is
    away delays the work; it does not stop the process."""

    def __init__(self, store: ClickHouseStore, supervisor: Supervisor) -> None:
        self._store = store
        self._supervisor = supervisor
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = self._supervisor.spawn(self._watch(), "watch clickhouse")

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._task, 0)
        await self._store.close()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):  # the store keeps the problem, and /readyz shows it
                await self._store.check()
            await asyncio.sleep(WATCH_EVERY_S)


def build(settings: BillingSettings, clock: Clock) -> Lifecycle:
    """The whole process, ready to run."""
    metrics = Metrics(CollectorRegistry())
    supervisor = Supervisor()
    lifecycle = Lifecycle(clock, supervisor, settings.lifecycle.drain_s)
    kafka = settings.kafka

    producer = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, metrics)
    # Requests wait for grants, so they do not linger as settlements do.
    prompt = DurableProducer(lambda: make_prompt_producer(kafka), kafka.topic_prefix, metrics)
    dead_letters = DeadLetters(producer, clock, metrics, DeadLetterLimit(clock))
    store = ClickHouseStore(settings.clickhouse)
    progress = UsageProgress()
    usage = topic_name(kafka, Topic.USAGE)
    loop = BatchLoop(
        lambda: make_group_consumer(kafka, GROUP, max_poll_interval_s=MAX_POLL_INTERVAL_S),
        lambda: make_admin(kafka),
        lambda: make_reader(kafka),
        usage,
        kafka.topic_prefix + GROUP,
        BatchWriter(store, dead_letters, metrics),
        SettlementPublisher(producer),
        progress,
        settings.billing,
        clock,
        supervisor,
        metrics,
    )
    clocks = UsageClocks(
        lambda: make_reader(kafka), usage, progress, IntentSweep(store, producer, clock), producer, clock, supervisor
    )
    ready: dict[str, ReadyCheck] = {
        "draining": lambda: "the process is shutting down" if lifecycle.draining else None,
        "kafka": lambda: None if loop.joined else "not yet a member of the consumer group",
        "clickhouse": lambda: store.problem,
    }
    lifecycle.add("probes", Probes(settings.probe, metrics, ready))
    lifecycle.add("clickhouse", StoreWatch(store, supervisor))
    lifecycle.add("producer", producer)
    lifecycle.add("prompt producer", prompt)
    lifecycle.add("batch loop", loop)
    lifecycle.add("usage clocks", clocks)
    ready["budgets"] = add_authority(
        lifecycle,
        kafka,
        settings.clickhouse,
        settings.authority,
        os.environ,
        prompt,
        dead_letters,
        clock,
        supervisor,
        metrics,
        os.urandom,
    )
    return lifecycle
