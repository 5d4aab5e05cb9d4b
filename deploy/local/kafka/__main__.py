"""Run one Kafka in the foreground: `python -m deploy.local.kafka --data-dir DIR`. Ctrl-C stops it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import get_args

from deploy.local.kafka import choose
from deploy.local.kafka.errors import KafkaStartFailed, KafkaUnavailable

_LOOK_EVERY_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka", description="Run one local Kafka.")
    parser.add_argument("--data-dir", type=Path, required=True, help="keeps topics and records (and the log)")
    parser.add_argument("--kind", choices=get_args(choose.Choice), default="auto")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9092, help="0: a free one (default: %(default)s)")
    options = parser.parse_args(arguments)

    ending = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    try:
        kafka = choose.start(options.kind, options.data_dir, _tell, options.host, options.port or None)
    except (KafkaUnavailable, KafkaStartFailed) as error:
        print(error, file=sys.stderr)
        return 1
    # Only now: until Kafka is ready, Ctrl-C shall interrupt the wait itself.
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    print(f"kafka ready on {kafka.bootstrap}", flush=True)
    while not ending.wait(_LOOK_EVERY_S):
        if not kafka.running:
            print("\n  ".join(["kafka has ended by itself:", *kafka.last_error_lines()]), file=sys.stderr)
            return 1
    kafka.stop()
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
