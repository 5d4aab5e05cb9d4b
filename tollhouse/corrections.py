"""`tollhouse corrections FILE.csv`: what a vendor's bill said of single calls replaces what was counted for them."""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry

from billing_consumer.resolve import Standing, rank_of, standing_of
from billing_consumer.tables import ATTEMPTS, Row
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from runtime.clickhouse import CLICKHOUSE_ERRORS, connect
from runtime.clock import SystemClock
from runtime.kafka.clients import make_durable_producer, make_reader, topic_name
from runtime.kafka.durable_producer import DurableProducer
from runtime.kafka.log_reader import TopicMissing
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS, CatalogueSettings, ClickHouseSettings, KafkaSettings
from schemas.catalogue import Catalogue
from schemas.topics import Topic
from schemas.usage import USAGE
from tollhouse.correction_file import CorrectionLine, InvalidCorrections, read_corrections
from tollhouse.correction_plan import Correction, account, plan_corrections

LIMIT_S = 60.0
STOP_S = 5.0
IDS_PER_QUERY = 1000
SENT_AT_ONCE = 500


class CorrectionsSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    catalogue: CatalogueSettings = CatalogueSettings()


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 ClickHouse or Kafka refused or is away, 2 the settings or the file are wrong."""
    options = _parser().parse_args(arguments)
    problems: list[str] = []
    lines = _lines(options.file, problems)
    settings = catalogue = None
    try:
        settings = load_settings(CorrectionsSettings, os.environ, KNOWN_GROUPS)
        catalogue = load_catalogue(settings.catalogue.files)
    except (InvalidSettings, InvalidCatalogue) as error:
        problems += error.problems
    if problems or settings is None or catalogue is None:
        return _refuse(problems, 2)
    try:
        # What is logged meanwhile must not stand between the lines of the account.
        with contextlib.redirect_stdout(sys.stderr):
            planned = asyncio.run(_correct(settings, lines, catalogue, dry_run=options.dry_run))
    except InvalidCorrections as error:
        return _refuse([f"{options.file}: {problem}" for problem in error.problems], 2)
    except TimeoutError:
        again = "how much of the file arrived is not known; give the same file again later"
        return _refuse([f"ClickHouse or Kafka did not answer in time: {again}"], 1)
    except KafkaError as error:
        return _refuse([f"Kafka at {settings.kafka.bootstrap}: {error}"], 1)
    except CLICKHOUSE_ERRORS as error:
        return _refuse([f"ClickHouse at {settings.clickhouse.url}: {str(error).partition(chr(10))[0]}"], 1)
    print(account(planned), end="")
    if options.dry_run:
        print("Nothing was sent.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tollhouse corrections",
        description="Replaces what was counted for single calls by what their vendor says. Nothing is sent if any line "
        "is wrong. Exit code: 0 done, 1 ClickHouse or Kafka refused or is away, 2 the settings or the file are wrong.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="columns: see docs/reconcile.md")
    parser.add_argument("--dry-run", action="store_true", help="check and print, but send nothing")
    return parser


def _lines(path: Path, problems: list[str]) -> list[CorrectionLine]:
    found: list[str] = []
    lines: list[CorrectionLine] = []
    try:
        # Spreadsheets begin their CSV with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = read_corrections(text, found)
    except OSError as error:
        found.append(str(error.strerror))
    except UnicodeDecodeError:
        found.append("is not UTF-8 text")
    problems += [f"{path}: {problem}" for problem in found]
    return lines


def _refuse(problems: list[str], code: int) -> int:
    print("\n".join(f"corrections: {problem}" for problem in problems), file=sys.stderr)
    return code


async def _correct(
    settings: CorrectionsSettings, lines: Sequence[CorrectionLine], catalogue: Catalogue, *, dry_run: bool
) -> list[Correction]:
    async with asyncio.timeout(LIMIT_S):
        planned = plan_corrections(lines, await _standing(settings.clickhouse, lines), catalogue)
        changes = [correction for correction in planned if correction.changes]
        _refuse_unknown_places(changes, await _ends(settings.kafka))
        if changes and not dry_run:
            await _send(settings.kafka, changes)
    return planned


async def _standing(settings: ClickHouseSettings, lines: Sequence[CorrectionLine]) -> dict[str, Row]:
    """By attempt id, the row that stands, in the form in which it was inserted.

    Asked of the table: the view `attempts_final` would look through every cancellation that there ever was.
    """
    columns = (
        f"toUnixTimestamp64Milli({name})" if kind.startswith("DateTime64") else name for name, kind in ATTEMPTS.columns
    )
    query = f"SELECT {', '.join(columns)} FROM attempts WHERE sign = 1 AND attempt_id IN %(ids)s"
    id_at, delivery_at, origin_at = (ATTEMPTS.index(name) for name in ("attempt_id", "delivery", "origin"))
    written: list[tuple[str, Standing]] = []
    client = await connect(settings)
    try:
        for start in range(0, len(lines), IDS_PER_QUERY):
            ids = [line.attempt_id for line in lines[start : start + IDS_PER_QUERY]]
            rows: Sequence[Sequence[Any]] = (await client.query(query, parameters={"ids": ids})).result_rows
            written += [(row[id_at], Standing(rank_of(row[delivery_at], row[origin_at]), tuple(row))) for row in rows]
    finally:
        await client.close()
    return {attempt_id: standing.row for attempt_id, standing in standing_of(written).items()}


async def _ends(settings: KafkaSettings) -> Mapping[int, int]:
    """By partition of `usage`, the offset that the next record will have."""
    reader = make_reader(settings)
    topic = topic_name(settings, Topic.USAGE)
    try:
        await reader.start()
        # Asked for by name, because a reader without a subscription does not learn of topics by itself.
        await reader._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()]
        if not partitions:
            raise TopicMissing(f"the topic {topic} does not exist: run 'tollhouse topics'")
        ends: Mapping[TopicPartition, int] = await reader.end_offsets(partitions)
    finally:
        await reader.stop()
    return {partition.partition: end for partition, end in ends.items()}


def _refuse_unknown_places(changes: Sequence[Correction], ends: Mapping[int, int]) -> None:
    """A batch looks for what it may supersede below its own offsets. In a topic that was made anew it would not find
    it, and the attempt would count twice."""
    problems = [
        f"line {one.number}: {one.attempt_id}: was reported in a topic 'usage' that was made anew since, and cannot be"
        " corrected until the new one has grown as long"
        for one in changes
        if one.offset >= ends.get(one.partition, 0)
    ]
    if problems:
        raise InvalidCorrections(problems)


async def _send(settings: KafkaSettings, changes: Sequence[Correction]) -> None:
    producer = DurableProducer(
        lambda: make_durable_producer(settings), settings.topic_prefix, Metrics(CollectorRegistry())
    )
    try:
        await producer.start()
        for start in range(0, len(changes), SENT_AT_ONCE):
            await asyncio.gather(*(_deliver(producer, one) for one in changes[start : start + SENT_AT_ONCE]))
    finally:
        await producer.stop(Deadline(SystemClock(), STOP_S))


async def _deliver(producer: DurableProducer, one: Correction) -> None:
    # Into the partition of what it corrects, whatever the key says now: only there do reports on one attempt meet.
    await producer.deliver(
        Topic.USAGE,
        one.record.attribution.project_id,
        lambda repeat: USAGE.encode(msgspec.structs.replace(one.record, repeat=repeat)),
        partition=one.partition,
    )
