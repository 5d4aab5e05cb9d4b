"""Wires the ingress together; the only file that knows all its parts."""

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from ingress.aftermath import IngressAftermath
from ingress.budgets.account_book import AccountBook
from ingress.budgets.budget_admission import BudgetAdmission
from ingress.budgets.lease_keeper import LeaseKeeper
from ingress.budgets.lease_rules import LeaseRules
from ingress.budgets.ledger_view import LedgerView
from ingress.combined_admission import CombinedAdmission
from ingress.directory import Directory
from ingress.exchanges import Exchanges
from ingress.http_api import HttpApi
from ingress.rates.wiring import make_rates
from ingress.reply_server import ReplyServer
from ingress.request_path import RequestPath
from ingress.request_queue import RequestQueue
from ingress.settings import IngressSettings
from ingress.worst_case import WorstCases
from runtime.clock import SystemClock
from runtime.kafka.clients import (
    make_durable_producer,
    make_prompt_producer,
    make_queue_producer,
    make_reader,
    topic_name,
)
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.partitioners import StickyPartitioner
from runtime.kafka.queue_producer import QueueProducer
from runtime.kafka.table_reader import TableReader
from runtime.lifecycle import Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import Probes
from schemas.budgets import day_of
from schemas.catalogue import Catalogue
from schemas.config_record import CONFIG
from schemas.ids import new_id
from schemas.topics import Topic

# A table is asked for its end every two seconds; several misses in a row mean that Kafka is away.
TABLE_STALE_S = 15.0


def build(settings: IngressSettings, catalogue: Catalogue) -> Lifecycle:
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
    # Of this life of this process: what an earlier one held, or announced, is not ours.
    life_id = new_id("ing", clock.now_ms(), os.urandom)

    directory = Directory()

    def apply_config(_partition: int, _key: str, value: bytes | None) -> None:
        if value is not None:
            directory.apply(CONFIG.decode(value))

    config = FencedTable(lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), apply_config, clock, supervisor)
    ledgers = LedgerView()
    spend = FencedTable(lambda: make_reader(kafka), topic_name(kafka, Topic.SPEND), ledgers.apply, clock, supervisor)
    # Requests wait for what goes through it, so it does not linger as usage does.
    prompt = DurableProducer(lambda: make_prompt_producer(kafka), kafka.topic_prefix, metrics)
    longest_request_ms = int(api.request_deadline_s * 1000)
    rules = LeaseRules(ttl_s=api.lease_ttl_s)
    book = AccountBook(directory, ledgers, life_id, longest_request_ms, rules, clock.monotonic_s)
    leases = LeaseKeeper(book, prompt, clock, supervisor)
    budgets = BudgetAdmission(
        book,
        clock,
        budget_wait_s=api.budget_wait_s,
        default_cap_tokens=api.default_output_cap_tokens,
        min_cap_tokens=api.least_output_cap_tokens,
    )

    def replicas_reader(hear: Callable[[bytes], None]) -> TableReader:
        return TableReader(lambda: make_reader(kafka), topic_name(kafka, Topic.REPLICAS), hear, clock, supervisor)

    rates, announcer = make_rates(life_id, prompt, replicas_reader, clock, supervisor)
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
        directory,
        catalogue,
        WorstCases(catalogue, day_of(clock.now_ms())),
        CombinedAdmission(rates, budgets),
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
            "config": lambda: None if config.age_s() < TABLE_STALE_S else "the configuration is stale",
            "spend": lambda: None if spend.age_s() < TABLE_STALE_S else "the spend table is stale",
        },
    )
    # In the order of start; stopping goes the other way, so clients are seen off first and usage is flushed last.
    lifecycle.add("probes", probes)
    lifecycle.add("usage producer", usage)
    lifecycle.add("request producer", producer)
    lifecycle.add("prompt producer", prompt)
    lifecycle.add("configuration", config)
    lifecycle.add("ledgers", spend)
    lifecycle.add("leases", leases)
    lifecycle.add("rate limits", announcer)
    lifecycle.add("aftermath", aftermath)
    lifecycle.add("reply server", replies)
    lifecycle.add("http api", http_api)
    return lifecycle
