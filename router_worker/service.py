"""Wires the router worker together; the only file that knows all its parts."""

import os
import socket
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from router_worker.credentials import Credentials
from router_worker.failure_log import FailureLog
from router_worker.google_tokens import GoogleTokens, ServiceAccount
from router_worker.health import RouteHealth
from router_worker.intake import Intake
from router_worker.intents import Intents
from router_worker.measures import WorkerMeasures
from router_worker.project_vendors import ProjectVendors
from router_worker.reply_pool import ReplyPool
from router_worker.serve import Server
from router_worker.settings import WorkerSettings
from router_worker.vendor_caller import VendorCaller
from router_worker.vendor_setup import Secrets, reachable_vendors, usable_vendors
from router_worker.workbench import Workbench
from runtime.clock import SystemClock
from runtime.kafka.clients import (
    make_durable_producer,
    make_group_consumer,
    make_prompt_producer,
    make_reader,
    topic_name,
)
from runtime.kafka.dead_letters import DeadLetterLimit, DeadLetters
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.record_loop import RecordLoop
from runtime.lifecycle import Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import Probes
from schemas.catalogue import Catalogue
from schemas.topics import Topic

GROUP = "router_worker"

# Partitions are polled all the time, full or not, so a worker that does not poll for so long hangs.
MAX_POLL_INTERVAL_S = 60.0

# The client waits meanwhile, and Kafka takes a record in milliseconds or is away.
INTENT_TIMEOUT_S = 5.0


def build(
    settings: WorkerSettings, catalogue: Catalogue, environ: Mapping[str, str], account: ServiceAccount | None
) -> Lifecycle:
    """Raises InvalidServiceAccount, InvalidVendors."""
    clock = SystemClock()
    supervisor = Supervisor()
    metrics = Metrics(CollectorRegistry())
    kafka = settings.kafka

    google = GoogleTokens(account, clock, supervisor) if account is not None else None
    credentials = Credentials()
    config = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), credentials.apply, clock, supervisor
    )
    vendors = ProjectVendors(
        usable_vendors(settings.vendors, environ, google.token if google is not None else None),
        reachable_vendors(settings.vendors, environ),
        credentials,
        Secrets(settings.vendors.keys_dir, environ).find,
        clock,
    )
    intent_producer = DurableProducer(lambda: make_prompt_producer(kafka), kafka.topic_prefix, metrics)
    usage = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, metrics)
    pool = ReplyPool(clock, supervisor)
    caller = VendorCaller(settings.worker, clock, supervisor)
    bench = Workbench(
        worker_id=f"{socket.gethostname()}-{os.getpid()}",
        catalogue=catalogue,
        vendors=vendors,
        caller=caller,
        usage=usage,
        intents=Intents(intent_producer, supervisor, INTENT_TIMEOUT_S),
        health=RouteHealth(),
        clock=clock,
        supervisor=supervisor,
        measures=WorkerMeasures(metrics),
        failures=FailureLog(clock),
    )
    dead_letters = DeadLetters(usage, clock, metrics, DeadLetterLimit(clock))
    intake = Intake(Server(bench, pool), dead_letters, settings.worker.max_in_flight, supervisor, metrics)
    loop = RecordLoop(
        lambda: make_group_consumer(kafka, GROUP, max_poll_interval_s=MAX_POLL_INTERVAL_S),
        topic_name(kafka, Topic.REQUESTS),
        intake,
        supervisor,
        metrics,
    )

    lifecycle = Lifecycle(clock, supervisor, settings.lifecycle.drain_s)
    probes = Probes(
        settings.probe,
        metrics,
        {
            "started": lambda: None if lifecycle.started else "not started yet",
            "draining": lambda: "draining" if lifecycle.draining else None,
            "group": lambda: None if loop.joined else "has not joined its group yet",
            "vendors": lambda: None if vendors.any else "no vendor has a key here",
        },
    )
    # In the order of start; stopping goes the other way: take no more, finish what is in flight, flush usage.
    lifecycle.add("probes", probes)
    lifecycle.add("config", config)
    lifecycle.add("usage producer", usage)
    lifecycle.add("intent producer", intent_producer)
    if google is not None:
        lifecycle.add("google tokens", google)
    lifecycle.add("vendor caller", caller)
    lifecycle.add("reply pool", pool)
    lifecycle.add("intake", intake)
    lifecycle.add("record loop", loop)
    return lifecycle
