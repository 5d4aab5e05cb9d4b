"""`python -m billing_consumer [--validate]`."""

import sys

from billing_consumer.service import build
from billing_consumer.settings import BillingSettings
from runtime.clickhouse import leave_out_data_frames
from runtime.clock import SystemClock
from runtime.lifecycle import Lifecycle
from runtime.process import main


def prepare(settings: BillingSettings) -> Lifecycle:
    leave_out_data_frames()
    return build(settings, SystemClock())


def run(arguments: list[str]) -> int:
    return main("billing-consumer", BillingSettings, prepare, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
