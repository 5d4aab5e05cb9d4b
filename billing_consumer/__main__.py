"""`python -m billing_consumer`: runs the service. `--validate` only checks the settings."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

import uvloop

from billing_consumer.service import build
from billing_consumer.settings import BillingSettings
from runtime.clock import SystemClock
from runtime.logs import configure_logs
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS

BAD_SETTINGS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 after an orderly stop, 1 after a failure, 2 if the settings are wrong."""
    parser = argparse.ArgumentParser(prog="billing_consumer", description="Usage events from Kafka to ClickHouse")
    parser.add_argument("--validate", action="store_true", help="check the settings and exit")
    options = parser.parse_args(argv)
    try:
        settings = load_settings(BillingSettings, os.environ, KNOWN_GROUPS)
    except InvalidSettings as error:
        sys.stderr.writelines(f"{problem}\n" for problem in error.problems)
        return BAD_SETTINGS
    if options.validate:
        sys.stdout.write("ok\n")
        return 0
    configure_logs(settings.log.level, "billing_consumer")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings))


async def _run(settings: BillingSettings) -> int:
    return await build(settings, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main())
