"""`tollhouse bootstrap [FILE]`: makes what a file lists (projects, keys, budgets ...) and what never was there."""

import argparse
import asyncio
import os
import sys

import msgspec
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from admin_api.bootstrap_file import Bootstrap, InvalidBootstrap, load_bootstrap
from admin_api.bootstrap_plan import ACTOR, BootstrapPlan, plan_bootstrap
from admin_api.changer import Changer, Plan
from admin_api.config_state import ConfigState
from admin_api.drafts import Author
from admin_api.operation import Refusal
from admin_api.writer_id import new_writer_id
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.fenced_writer import FencedWriter
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from runtime.settings import InvalidSettings, load_settings, variable_name
from runtime.shared_settings import KNOWN_GROUPS, KafkaSettings
from schemas.topics import Topic

LIMIT_S = 60.0
STOP_S = 5.0


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`file`: the bootstrap file (TOML), where none is given on the command line. `plain_http_webhooks`: also take
    webhooks on other machines without TLS."""

    file: str | None = None
    plain_http_webhooks: bool = False


class BootstrapSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    bootstrap: FileSettings


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 Kafka refused or is away, 2 the settings or the file are wrong."""
    parser = argparse.ArgumentParser(
        prog="tollhouse bootstrap",
        description="Make what the file lists and what never was there. What is there, or was deleted, is left alone.",
    )
    variable = variable_name("bootstrap", "file")
    parser.add_argument("file", nargs="?", metavar="FILE", help=f"the bootstrap file (default: {variable})")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(BootstrapSettings, os.environ, KNOWN_GROUPS)
        path = options.file or settings.bootstrap.file
        if path is None:
            raise InvalidSettings([f"{variable}: is not set, and no file was given"])
        bootstrap = load_bootstrap(path)
    except (InvalidSettings, InvalidBootstrap) as error:
        return _wrong(error.problems)
    try:
        plan = asyncio.run(_apply(settings, bootstrap))
    except InvalidBootstrap as error:
        return _wrong(error.problems)
    except (KafkaError, TimeoutError, Refusal) as error:
        print(f"bootstrap: Kafka at {settings.kafka.bootstrap}: {error!r}", file=sys.stderr)
        return 1
    print("\n".join([*plan.made, *plan.left]))
    return 0


def _wrong(problems: list[str]) -> int:
    print("\n".join(f"bootstrap: {problem}" for problem in problems), file=sys.stderr)
    return 2


async def _apply(settings: BootstrapSettings, bootstrap: Bootstrap) -> BootstrapPlan:
    kafka, clock, supervisor, state = settings.kafka, SystemClock(), Supervisor(), ConfigState()
    producer = DurableProducer(lambda: make_durable_producer(kafka), kafka.topic_prefix, Metrics(CollectorRegistry()))
    table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), state.apply_bytes, clock, supervisor
    )
    writer = FencedWriter(producer, table, Topic.CONFIG, new_writer_id("bootstrap", os.urandom))
    changer = Changer(state, table, writer, os.urandom, LIMIT_S)

    def planner(now: ConfigState) -> Plan:
        author = Author(ACTOR, clock.now_ms(), os.urandom)
        plan = plan_bootstrap(now, bootstrap, author, plain_http_webhooks=settings.bootstrap.plain_http_webhooks)
        return Plan(plan.records, plan)

    deadline = Deadline(clock, LIMIT_S)
    async with asyncio.timeout(LIMIT_S):
        try:
            await producer.start()
            await table.start()
            plan = planner(state)
            if plan.records:
                plan = await changer.change(planner)
        finally:
            await table.stop(deadline)
            await producer.stop(Deadline(clock, STOP_S))
            await supervisor.cancel_all()
    done: BootstrapPlan = plan.result
    return done
