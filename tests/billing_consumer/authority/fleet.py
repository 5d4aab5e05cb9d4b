"""Authorities as processes, and everybody whom they talk to: ingresses, other billing consumers, the admin API."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from billing_consumer.authority.ledger_table import LedgerTable
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.fenced_writer import FencedWriter, Term
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from schemas.budgets import Budget
from schemas.config_record import CONFIG, ConfigRecord, config_key
from schemas.fencing import STAMP_HEADER, Stamp, encode_stamp
from schemas.spend import (
    LEDGER,
    SPEND_COMMAND,
    LeaseDelta,
    LedgerState,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommand,
    SpendCommandRecord,
    UsageClock,
    spend_partition,
)
from schemas.topics import TOPICS, Topic
from tests.billing_consumer.authority.samples import ledger_of
from tests.billing_consumer.clickhouse_server import REPOSITORY

DEADLINE_S = 60.0
USAGE_PARTITIONS = 2


class AuthorityProcess:
    """May be killed or frozen at any moment."""

    def __init__(
        self,
        kafka: KafkaSettings,
        clickhouse: ClickHouseSettings,
        log_path: Path,
        environ: dict[str, str] | None = None,
    ) -> None:
        self._environ = (
            os.environ
            | {
                "TOLLHOUSE_KAFKA_BOOTSTRAP": kafka.bootstrap,
                "TOLLHOUSE_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
                "TOLLHOUSE_KAFKA_SESSION_TIMEOUT_S": str(kafka.session_timeout_s),
                "TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS": str(kafka.fetch_max_wait_ms),
                "TOLLHOUSE_CLICKHOUSE_URL": clickhouse.url,
                "TOLLHOUSE_CLICKHOUSE_DATABASE": clickhouse.database,
            }
            | (environ or {})
        )
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.billing_consumer.authority.authority_process"],
                cwd=REPOSITORY,
                env=self._environ,
                stdout=log,
                stderr=log,
            )

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def terminate(self) -> int:
        """The exit code of an orderly stop."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, DEADLINE_S)

    def poll(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def log(self) -> str:
        return self._log_path.read_text()


class Authorities:
    def __init__(self, kafka: KafkaSettings, database: ClickHouseSettings, path: Path) -> None:
        self._of = (kafka, database)
        self._path = path
        self.all: list[AuthorityProcess] = []

    def start(self, environ: dict[str, str] | None = None) -> AuthorityProcess:
        authority = AuthorityProcess(*self._of, self._path / f"authority{len(self.all)}.log", environ)
        authority.start()
        self.all.append(authority)
        return authority


class World:
    """The other side of the authority: sends commands and configuration, reads `spend` as an ingress does."""

    def __init__(self, kafka: KafkaSettings, producer: DurableProducer) -> None:
        self._kafka = kafka
        self._clock = SystemClock()
        self._supervisor = Supervisor()
        self.producer = producer
        self.ledgers = LedgerTable()
        self.spend = self._table(Topic.SPEND, self.ledgers.apply)
        config = self._table(Topic.CONFIG, lambda *_: None)
        self._config_writer = FencedWriter(producer, config, Topic.CONFIG, "admin")
        self._tables = (self.spend, config)
        self._config_term: Term
        self._ends = dict.fromkeys(range(USAGE_PARTITIONS), 0)

    def _table(self, topic: Topic, apply: Callable[[int, str, bytes | None], None]) -> FencedTable:
        name = topic_name(self._kafka, topic)
        return FencedTable(lambda: make_reader(self._kafka), name, apply, self._clock, self._supervisor)

    async def start(self) -> None:
        for table in self._tables:
            await table.start()
        self._config_term = await self._config_writer.take_over(0)

    async def stop(self) -> None:
        for table in self._tables:
            await table.stop(Deadline(self._clock, 1))

    async def configure(self, *changes: ConfigRecord) -> None:
        for change in changes:
            key = config_key(change.kind, change.entity_id)
            stamp = await self._config_writer.write(self._config_term, [(key, CONFIG.encode(change))])
            await self._config_writer.confirm(self._config_term, stamp)

    async def say(self, partition: int, command: SpendCommand) -> None:
        value = SPEND_COMMAND.encode(SpendCommandRecord(command=command))
        await self.producer.deliver(Topic.SPEND_COMMANDS, "", lambda _repeat: value, partition=partition)

    async def say_nonsense(self, partition: int) -> None:
        await self.producer.deliver(Topic.SPEND_COMMANDS, "", lambda _repeat: b"{nonsense", partition=partition)

    async def tell_clocks(self, *, swept_through_ms: int = 0) -> None:
        """As the billing consumers do every other second: to every partition."""
        for partition in range(TOPICS[Topic.SPEND].partitions):
            for usage_partition, end in self._ends.items():
                clock = UsageClock(
                    usage_partition=usage_partition,
                    partitions=USAGE_PARTITIONS,
                    end=end,
                    settled_through_ms=swept_through_ms,
                    swept_through_ms=swept_through_ms,
                )
                await self.say(partition, clock)

    def batch(self, budget: Budget, cost_pico_usd: int, *, usage_partition: int = 0, lease_id: str = "") -> Settlements:
        """The next batch of a partition of usage: one record, of this cost."""
        first = self._ends[usage_partition]
        self._ends[usage_partition] = first + 1
        leases = (LeaseDelta(ledger_id=ledger_of(budget), lease_id=lease_id, delta_pico_usd=cost_pico_usd),)
        settlement = Settlement(
            usage_partition=usage_partition,
            first=first,
            end=first + 1,
            scopes=(ScopeDelta(scope=budget.scope, day="2026-11-23", delta_pico_usd=cost_pico_usd),),
            leases=leases if lease_id else (),
        )
        return Settlements(batches=(settlement,))

    def state(self, budget: Budget) -> LedgerState | None:
        return self.ledgers.states(spend_partition(budget.scope)).get(ledger_of(budget))

    def term(self, partition: int) -> int:
        highest = self.spend.highest(partition)
        return 0 if highest is None else highest.term

    async def until(self, condition: Callable[[], bool], what: str, *authorities: AuthorityProcess) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            logs = "\n".join(authority.log()[-3000:] for authority in authorities)
            assert time.monotonic() < until_s, f"not in time: {what}\n{logs}"
            await asyncio.sleep(0.01)

    async def write_as(self, stamp: Stamp, state: LedgerState) -> None:
        """What a writer that has been deposed still manages to append."""
        producer: AIOKafkaProducer = make_durable_producer(self._kafka)
        await producer.start()
        await producer.send_and_wait(
            topic_name(self._kafka, Topic.SPEND),
            LEDGER.encode(state),
            state.ledger_id.encode(),
            partition=spend_partition(state.scope),
            headers=[(STAMP_HEADER, encode_stamp(stamp))],
        )
        await producer.stop()


@asynccontextmanager
async def a_world(kafka: KafkaSettings) -> AsyncIterator[World]:
    producer = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, Metrics(CollectorRegistry()))
    await producer.start()
    world = World(kafka, producer)
    try:
        await world.start()
        yield world
    finally:
        await world.stop()
        await producer.stop(Deadline(SystemClock(), 1))
