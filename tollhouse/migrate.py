"""`tollhouse migrate`: brings the ClickHouse schema up to date."""

import argparse
import asyncio
import os
import sys

import msgspec

from billing_consumer.migrate import MigrationRefused, migrate
from runtime.clickhouse import CLICKHOUSE_ERRORS
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS, ClickHouseSettings


class MigrateSettings(msgspec.Struct, frozen=True, kw_only=True):
    clickhouse: ClickHouseSettings


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 ClickHouse refused or is away, 2 the settings are wrong."""
    parser = argparse.ArgumentParser(prog="tollhouse migrate", description="Apply the migrations that are missing.")
    parser.parse_args(arguments)
    try:
        settings = load_settings(MigrateSettings, os.environ, KNOWN_GROUPS)
    except InvalidSettings as error:
        print("\n".join(f"migrate: {problem}" for problem in error.problems), file=sys.stderr)
        return 2
    try:
        asyncio.run(migrate(settings.clickhouse, print))
    except MigrationRefused as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    except CLICKHOUSE_ERRORS as error:
        print(f"migrate: ClickHouse at {settings.clickhouse.url}: {error}", file=sys.stderr)
        return 1
    return 0
