"""`python -m tests.billing_consumer.authority.authority_process`: the budgets' authority alone, as a process that a
test may kill or freeze. Settings as of the billing consumer."""

import os
import sys

from msgspec import Struct
from prometheus_client import CollectorRegistry

from billing_consumer.authority.settings import AuthoritySettings
from billing_consumer.authority.wiring import add_authority
from runtime.clickhouse import leave_out_data_frames
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer
from runtime.kafka.dead_letters import DeadLetterLimit, DeadLetters
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import Probes
from runtime.process import main
from runtime.shared_settings import (
    ClickHouseSettings,
    KafkaSettings,
    LifecycleSettings,
    LogSettings,
    ProbeSettings,
)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    log: LogSettings
    probe: ProbeSettings
    lifecycle: LifecycleSettings


def build(settings: Settings) -> Lifecycle:
    leave_out_data_frames()
    clock, supervisor, metrics = SystemClock(), Supervisor(), Metrics(CollectorRegistry())
    lifecycle = Lifecycle(clock, supervisor, settings.lifecycle.drain_s)
    kafka = settings.kafka
    producer = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, metrics)
    lifecycle.add("producer", producer)
    dead_letters = DeadLetters(producer, clock, metrics, DeadLetterLimit(clock))
    secrets = AuthoritySettings(secrets_dir=os.environ.get("SECRETS_DIR"))
    ready = add_authority(
        lifecycle,
        kafka,
        settings.clickhouse,
        secrets,
        os.environ,
        producer,
        dead_letters,
        clock,
        supervisor,
        metrics,
        os.urandom,
    )
    lifecycle.add("probes", Probes(settings.probe, metrics, {"authority": ready}))
    return lifecycle


if __name__ == "__main__":
    sys.exit(main("authority", Settings, build, sys.argv[1:]))
