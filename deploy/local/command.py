"""`tollhouse local up|down`: the whole fleet on this machine."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, get_args

from deploy.local import real_model
from deploy.local.detach import run_detached
from deploy.local.down import clear_left_over, down
from deploy.local.greeting import greeting
from deploy.local.kafka.choose import Choice
from deploy.local.keeper import Keeper
from deploy.local.layout import Layout
from deploy.local.options import DEFAULT_DIR, DEFAULT_PORT, StackOptions, problem_of
from deploy.local.progress import Progress
from deploy.local.service_environ import without_vendor_keys
from deploy.local.stack import Stack
from deploy.local.stack_lock import StackIsRunning, StackLock
from deploy.local.stop_signals import StopSignals
from runtime.settings import variable_name


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted before everything was ready."""
    given = _parser().parse_args(arguments)
    layout = Layout(given.dir)
    try:
        if given.verb == "down":
            return down(layout, Progress())
        return _up(_options(given, os.environ), layout, given.detach)
    except OSError as error:
        print(f"tollhouse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Only before the stack's own handlers are in place, and in `down`, whose keeper goes on stopping.
        return 130


def _up(options: StackOptions, layout: Layout, detach: bool) -> int:
    if options.real_model and not real_model.installed():
        print(f"tollhouse: {real_model.HOW_TO_INSTALL}", file=sys.stderr)
        return 1
    problem = problem_of(options)
    if problem is not None:
        print(f"tollhouse: {problem}", file=sys.stderr)
        return 2
    try:
        layout.make_dirs()
    except OSError as error:
        print(f"tollhouse: cannot make the folder {layout.shown} (STACK_DIR): {error.strerror}", file=sys.stderr)
        return 1
    try:
        lock = StackLock.take(layout)
    except StackIsRunning as running:
        pid = "just starting" if running.keeper_pid is None else f"pid {running.keeper_pid}"
        stop = f"'{layout.make_command('down')}' stops it"
        print(f"tollhouse: a stack is running in {layout.shown} already ({pid}); {stop}", file=sys.stderr)
        return 1
    progress = Progress()
    clear_left_over(layout, progress)

    if detach:
        how_to_stop = f"'{layout.make_command('down')}' stops it; the data is kept."

        def keep(leave: Callable[[], None]) -> int:
            def last_step() -> None:
                progress.write(how_to_stop)
                leave()

            return _keep(options, layout, lock, progress, last_step)

        return run_detached(keep, layout.log_file("keeper"))
    return _keep(options, layout, lock, progress, lambda: progress.write("Ctrl-C stops it all; the data is kept."))


def _keep(
    options: StackOptions, layout: Layout, lock: StackLock, progress: Progress, last_step: Callable[[], None]
) -> int:
    lock.sign()
    for name in options.environ.keys() - without_vendor_keys(options.environ).keys():
        # Kafka is started with this process's own environment.
        os.environ.pop(name, None)
    signals = StopSignals()
    signals.install()
    stack = Stack(options, layout, signals, progress)

    def on_ready() -> None:
        real, simulated = stack.vendors_used
        progress.say("everything is ready")
        progress.write(greeting(stack.write_stack_file(), layout, real, simulated))
        last_step()

    return Keeper(options, stack, signals, progress).run(on_ready)


def _options(given: argparse.Namespace, environ: Mapping[str, str]) -> StackOptions:
    """What the environment says of Kafka and ClickHouse counts like the options, which win."""
    return StackOptions(
        dir=given.dir,
        port=given.port,
        ingress=given.ingress,
        workers=given.workers,
        billing=given.billing,
        kafka=given.kafka,
        kafka_bootstrap=given.kafka_bootstrap or environ.get(variable_name("kafka", "bootstrap")) or None,
        clickhouse_url=given.clickhouse_url or environ.get(variable_name("clickhouse", "url")) or None,
        topic_prefix=given.prefix or environ.get(variable_name("kafka", "topic_prefix")) or "",
        real_model=given.real_model,
        restart=given.restart,
        environ=dict(environ),
    )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: who called `make up` has no use for the options that make filled in."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"tollhouse: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tollhouse local", description="The whole fleet on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="up|down")
    up = verbs.add_parser("up", help="start it and keep it running until Ctrl-C")
    stop = verbs.add_parser("down", help="stop it; the data stays")
    for verb in (up, stop):
        verb.add_argument("--dir", type=Path, default=Path(DEFAULT_DIR), help="its folder (default: %(default)s)")
    up.add_argument("--port", type=_port, default=DEFAULT_PORT, help="of the API; 0: a free one (default: %(default)s)")
    up.add_argument("--detach", action="store_true", help="return when everything is ready")
    for service in ("ingress", "workers", "billing"):
        up.add_argument(f"--{service}", type=_count, default=1, metavar="N", help="how many (default: 1)")
    up.add_argument(
        "--kafka", choices=get_args(Choice), default="auto", help="which Kafka to run (default: %(default)s)"
    )
    up.add_argument("--kafka-bootstrap", metavar="HOST:PORT", help="a Kafka that is there already")
    up.add_argument("--clickhouse-url", metavar="URL", help="a ClickHouse that is there already")
    up.add_argument("--prefix", default="", help="before every topic and group name")
    up.add_argument("--real-model", action="store_true", help="a small real language model as one more vendor")
    up.add_argument(
        "--no-restart",
        dest="restart",
        action="store_false",
        help="leave alone what ends by itself; SIGUSR1 to the keeper starts it again",
    )
    return parser


def _port(text: str) -> int:
    port = _whole_number(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is between 0 and 65535")
    return port


def _count(text: str) -> int:
    count = _whole_number(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
