"""Wires the ingress together; the only file that knows all its parts."""

import os

from prometheus_client import CollectorRegistry

from ingress.admission import SpendAdmission
from ingress.aftermath import IngressAftermath
from ingress.exchanges import Exchanges
from ingress.http_api import HttpApi
from ingress.reply_server import ReplyServer
from ingress.request_path import RequestPath
from ingress.request_queue import RequestQueue
from ingress.settings import IngressSettings
from ingress.spend_view import SpendView
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_queue_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.partitioners import StickyPartitioner
from runtime.kafka.queue_producer import QueueProducer
from runtime.kafka.table_reader import TableReader
from runtime.lifecycle import Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import Probes
from schemas.catalogue import Catalogue
from schemas.tenancy import Tenants
from schemas.topics import Topic

# The `spend` table is asked for its end every two seconds; several misses in a row mean that Kafka is away.
SPEND_STALE_S = 15.0


def build(settings: IngressSettings, catalogue: Catalogue, tenants: Tenants) -> Lifecycle:
    clock = SystemClock()
    supervisor = Supervisor()
    metrics = Metrics(CollectorRegistry())
    kafka = settings.kafka
    api = settings.ingress

    usage = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, metrics)
    producer = QueueProducer(
        lambda: make_queue_producer(kafka, StickyPartitioner(clock, os.getpid())),
        topic_name(kafka, Topic.REQUESTS),
        api.confirm_within_s,
        clock,
        supervisor,
        metrics,
    )
    queue = RequestQueue(producer)
    spend = SpendView()
    spend_reader = TableReader(
        lambda: make_reader(kafka), topic_name(kafka, Topic.SPEND), spend.apply, clock, supervisor
    )
    aftermath = IngressAftermath(queue, usage, clock, supervisor, metrics, api.lost_report_delay_s)
    exchanges = Exchanges(
        aftermath,
        clock,
        metrics,
        lambda: os.urandom(16).hex(),
        window_bytes=api.window_bytes,
        max_deliveries=api.max_deliveries,
    )
    replies = ReplyServer(settings.reply, exchanges, supervisor, metrics)
    path = RequestPath(
        api,
        tenants,
        catalogue,
        SpendAdmission(spend),
        queue,
        exchanges,
        lambda: replies.url,
        clock,
        os.urandom,
    )
    http_api = HttpApi(api, path, catalogue, exchanges, clock, os.urandom, metrics)

    lifecycle = Lifecycle(clock, supervisor, settings.lifecycle.drain_s)
    probes = Probes(
        settings.probe,
        metrics,
        {
            "started": lambda: None if lifecycle.started else "not started yet",
            "draining": lambda: "draining" if lifecycle.draining else None,
            "kafka": lambda: None if queue.available else "Kafka does not confirm requests",
            "spend": lambda: None if spend_reader.age_s() < SPEND_STALE_S else "the spend table is stale",
        },
    )
    # In the order of start; stopping goes the other way, so clients are seen off first and usage is flushed last.
    lifecycle.add("probes", probes)
    lifecycle.add("usage producer", usage)
    lifecycle.add("request producer", producer)
    lifecycle.add("spend reader", spend_reader)
    lifecycle.add("aftermath", aftermath)
    lifecycle.add("reply server", replies)
    lifecycle.add("http api", http_api)
    return lifecycle
