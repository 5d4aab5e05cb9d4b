"""Wires the admin API together; the only file that knows all its parts."""

import os

from prometheus_client import CollectorRegistry

from admin_api.changer import Changer
from admin_api.config_state import ConfigState
from admin_api.configuration import Configuration
from admin_api.http_api import HttpApi
from admin_api.mender import Mender
from admin_api.operations import OPERATIONS
from admin_api.settings import AdminApiSettings
from admin_api.spend_table import SpendTable
from admin_api.usage.clickhouse import ClickHouseQueries
from admin_api.writer_id import new_writer_id
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.fenced_writer import FencedWriter
from runtime.lifecycle import Deadline, Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import Probes
from schemas.topics import Topic


class _Closing:
    """ClickHouse is connected to at the first question; only the end needs a place in the lifecycle."""

    def __init__(self, queries: ClickHouseQueries) -> None:
        self._queries = queries

    async def start(self) -> None:
        return

    async def stop(self, deadline: Deadline) -> None:
        await self._queries.close()


def build(settings: AdminApiSettings) -> Lifecycle:
    clock = SystemClock()
    supervisor = Supervisor()
    metrics = Metrics(CollectorRegistry())
    kafka, admin = settings.kafka, settings.admin

    state = ConfigState()
    spend = SpendTable()
    config_table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), state.apply_bytes, clock, supervisor
    )
    spend_table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.SPEND), spend.apply_bytes, clock, supervisor
    )
    producer = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, metrics)
    writer = FencedWriter(producer, config_table, Topic.CONFIG, new_writer_id("admin", os.urandom))
    changer = Changer(state, config_table, writer, os.urandom, admin.change_timeout_s)
    configuration = Configuration(
        changer=changer,
        ledger=spend.get,
        random_bytes=os.urandom,
        plain_http_webhooks=admin.plain_http_webhooks,
    )
    queries = ClickHouseQueries(settings.clickhouse)
    http_api = HttpApi(admin, OPERATIONS, configuration, queries, clock, os.urandom)

    lifecycle = Lifecycle(clock, supervisor, settings.lifecycle.drain_s)
    probes = Probes(
        settings.probe,
        metrics,
        {
            "started": lambda: None if lifecycle.started else "not started yet",
            "draining": lambda: "draining" if lifecycle.draining else None,
            "config": lambda: None if config_table.age_s() < admin.stale_after_s else "the configuration is stale",
        },
    )
    # In the order of start; stopping goes the other way, so that callers get their answers before Kafka is let go.
    lifecycle.add("probes", probes)
    lifecycle.add("producer", producer)
    lifecycle.add("config table", config_table)
    lifecycle.add("spend table", spend_table)
    lifecycle.add("clickhouse", _Closing(queries))
    lifecycle.add("mender", Mender(changer, supervisor))
    lifecycle.add("http api", http_api)
    return lifecycle
