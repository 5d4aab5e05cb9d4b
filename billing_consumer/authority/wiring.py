"""The wiring of the budgets' authority and the audit log: what they are made of, in the order in which it starts."""

import random
from collections.abc import Mapping

from billing_consumer.audit_log import AuditLog
from billing_consumer.authority.alerts import AlertCourier
from billing_consumer.authority.budget_view import BudgetView
from billing_consumer.authority.ledger_book import LedgerBook
from billing_consumer.authority.ledger_table import LedgerTable
from billing_consumer.authority.loop import AuthorityLoop
from billing_consumer.authority.office import Office
from billing_consumer.authority.opening import OpeningDesk
from billing_consumer.authority.settings import AuthoritySettings
from billing_consumer.authority.webhook_sender import WebhookSecrets, WebhookSender
from billing_consumer.clickhouse_session import ClickHouseSession
from runtime.clock import Clock
from runtime.kafka.clients import make_admin, make_group_consumer, make_reader, topic_name
from runtime.kafka.dead_letters import DeadLetters
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.fenced_writer import FencedWriter, Term
from runtime.lifecycle import Lifecycle, Supervisor
from runtime.metrics import Metrics
from runtime.probes import ReadyCheck
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.config_record import CONFIG
from schemas.ids import RandomBytes, new_id
from schemas.topics import Topic

GROUP = "spend_authority"

MAX_POLL_INTERVAL_S = 300.0
"""Far above the longest time between two polls: a write that waits for Kafka."""

STALE_AFTER_S = 15.0
"""A table is checked every two seconds. One that is much older has lost its Kafka."""


def add_authority(
    lifecycle: Lifecycle,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    settings: AuthoritySettings,
    environ: Mapping[str, str],
    producer: DurableProducer,
    dead_letters: DeadLetters,
    clock: Clock,
    supervisor: Supervisor,
    metrics: Metrics,
    random_bytes: RandomBytes,
) -> ReadyCheck:
    """To be called after the producer has been added to `lifecycle`. Returns why the authority is not ready, as a check
    for the probes. `environ`: where webhooks' secrets are looked up that are not in `settings.secrets_dir`."""
    view = BudgetView()
    database = ClickHouseSession(clickhouse)
    audit = AuditLog(database, supervisor, metrics)
    ledgers = LedgerTable()

    def apply_config(_partition: int, _key: str, value: bytes | None) -> None:
        if value is not None:
            record = CONFIG.decode(value)
            audit.apply(record)
            view.apply(record)

    config_table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), apply_config, clock, supervisor
    )
    spend_table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.SPEND), ledgers.apply, clock, supervisor
    )
    writer_id = new_id("bil", clock.now_ms(), random_bytes)
    writer = FencedWriter(producer, spend_table, Topic.SPEND, writer_id)
    sender = WebhookSender(WebhookSecrets(settings.secrets_dir, environ), settings.webhook_timeout_s, clock)
    dice = random.Random(random_bytes(16))
    courier = AlertCourier(view, sender, clock, supervisor, metrics, lambda: dice.uniform(0.5, 1.5))

    def make_office(term: Term, next_offset: int) -> Office:
        return Office(
            term,
            next_offset,
            ledgers.states(term.partition),
            writer,
            spend_table,
            LedgerBook(term.partition, view, clock.monotonic_s(), clock.now_ms()),
            OpeningDesk(database, supervisor),
            courier,
            clock,
            metrics,
        )

    loop = AuthorityLoop(
        lambda: make_group_consumer(kafka, GROUP, max_poll_interval_s=MAX_POLL_INTERVAL_S),
        lambda: make_admin(kafka),
        lambda: make_reader(kafka),
        topic_name(kafka, Topic.SPEND_COMMANDS),
        kafka.topic_prefix + GROUP,
        writer,
        make_office,
        dead_letters,
        clock,
        supervisor,
        metrics,
    )

    def problem() -> str | None:
        for name, table in (("spend", spend_table), ("config", config_table)):
            if table.age_s() > STALE_AFTER_S:
                return f"the topic {name} has not been read for {STALE_AFTER_S:g} s"
        return loop.problem()

    lifecycle.add("clickhouse of the budgets", database)
    lifecycle.add("configuration", config_table)
    lifecycle.add("audit log", audit)
    lifecycle.add("ledgers", spend_table)
    lifecycle.add("webhooks", sender)
    lifecycle.add("budget authority", loop)
    return problem
