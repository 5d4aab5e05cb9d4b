"""`tollhouse reconcile`: does the account add up?"""

import argparse
import asyncio
import contextlib
import os
import sys
from datetime import date
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError

from reconciliation.clickhouse import Tables
from reconciliation.compare import Checked
from reconciliation.ledgers import read_ledgers
from reconciliation.page import page
from reconciliation.reconcile import Range, Reconciliation, VendorStatement
from reconciliation.statement import InvalidStatement, read_statement
from runtime.clickhouse import CLICKHOUSE_ERRORS, connect
from runtime.clock import SystemClock
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS, ClickHouseSettings, KafkaSettings
from schemas.money import usd_to_pico

SETTLE_S = 900.0
"""Longer than a request takes, and its report after it."""

PAUSE_S = 3.0
"""Between two looks at what differs: longer than a batch takes from one table to the next, and to its ledgers."""


class ReconcileSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings


def run(arguments: list[str]) -> int:
    """Exit code: 0 no difference, 1 there is one, 2 wrong input, or something cannot be read."""
    options = _parser().parse_args(arguments)
    problems: list[str] = []
    statement = None
    if options.to <= options.start:
        problems.append("--to must be after --from: it is the first day that is not compared")
    if options.vendor_statement is not None:
        statement = _statement(options.vendor_statement, options.tolerance_usd, problems)
    try:
        settings = load_settings(ReconcileSettings, os.environ, KNOWN_GROUPS)
    except InvalidSettings as error:
        return _refuse([*problems, *error.problems])
    if problems:
        return _refuse(problems)
    try:
        # What is logged meanwhile must not stand between the lines of the account.
        with contextlib.redirect_stdout(sys.stderr):
            checks = asyncio.run(_reconcile(settings, Range(options.start, options.to, options.settle_s), statement))
    except CLICKHOUSE_ERRORS as error:
        return _refuse([f"ClickHouse at {settings.clickhouse.url}: {str(error).partition(chr(10))[0]}"])
    except KafkaError as error:
        return _refuse([f"Kafka at {settings.kafka.bootstrap}: {error}"])
    print(page(checks), end="")
    return 1 if any(checked.differences for checked in checks) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tollhouse reconcile",
        description="Compares requests, attempts, rollups, ledgers and a vendor's own bill, to the last pico-dollar. "
        "Prints every difference. Exit code: 0 none, 1 some, 2 wrong input or something cannot be read.",
    )
    parser.add_argument("--from", dest="start", type=_day, required=True, metavar="DATE", help="first day (UTC)")
    parser.add_argument(
        "--to", type=_day, required=True, metavar="DATE", help="first day that is not compared any more"
    )
    parser.add_argument("--vendor-statement", type=Path, metavar="FILE.csv", help="columns: see docs/reconcile.md")
    parser.add_argument(
        "--tolerance-usd", type=_usd, default=0, metavar="USD", help="passed over, per line of the statement (0)"
    )
    parser.add_argument(
        "--settle-s",
        type=_seconds,
        default=SETTLE_S,
        metavar="N",
        help=f"requests of the last N seconds may still be on their way ({SETTLE_S:g})",
    )
    return parser


async def _reconcile(settings: ReconcileSettings, asked: Range, statement: VendorStatement | None) -> list[Checked]:
    clock = SystemClock()
    client = await connect(settings.clickhouse)
    try:
        return await Reconciliation(
            Tables(client),
            lambda: read_ledgers(settings.kafka, clock),
            clock,
            lambda: asyncio.sleep(PAUSE_S),
            asked,
            statement,
        ).run()
    finally:
        await client.close()


def _statement(path: Path, tolerance_pico_usd: int, problems: list[str]) -> VendorStatement | None:
    try:
        # Spreadsheets begin their CSV with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return VendorStatement(read_statement(lines), tolerance_pico_usd)
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8 text")
    except InvalidStatement as error:
        problems += [f"{path}: {problem}" for problem in error.problems]
    return None


def _refuse(problems: list[str]) -> int:
    print("\n".join(f"reconcile: {problem}" for problem in problems), file=sys.stderr)
    return 2


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': expected a date like 2026-11-30") from error


def _usd(text: str) -> int:
    try:
        amount = usd_to_pico(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if amount < 0:
        raise argparse.ArgumentTypeError(f"'{text}': expected no less than 0")
    return amount


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': expected a number of seconds") from error
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}': expected no less than 0")
    return seconds
