"""Starts a stack, keeps it running until it is asked to stop, and stops it in order.

A gateway process that ends by itself is started again, as Kubernetes would. Without Kafka, ClickHouse or the vendors
the stack is of no use: when one of those ends, all is stopped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.child import Child, StartFailed
from deploy.local.kafka.errors import KafkaStartFailed, KafkaUnavailable
from deploy.local.layout import Layout
from deploy.local.options import StackOptions
from deploy.local.progress import Progress
from deploy.local.stack import Stack
from deploy.local.stop_signals import StopAsked, StopSignals

EXIT_INTERRUPTED = 130
_LOOK_EVERY_S = 0.1
_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 10.0
_LONG_LIVED_S = 30.0


@dataclass
class _Fall:
    """`at_s`: when it is started again; None until its end has been noticed."""

    backoff_s: float = _FIRST_BACKOFF_S
    started_s: float = 0.0
    at_s: float | None = None
    told: bool = False


class Keeper:
    def __init__(self, options: StackOptions, stack: Stack, signals: StopSignals, progress: Progress) -> None:
        self._options = options
        self._stack = stack
        self._signals = signals
        self._progress = progress
        self._falls: dict[str, _Fall] = {}
        self._servers_told: set[str] = set()

    def run(self, on_ready: Callable[[], None]) -> int:
        """The exit code: 0 stopped when asked, 1 something failed, 130 interrupted before everything was ready."""
        try:
            with self._signals.interrupting():
                self._stack.start()
            on_ready()
        except StopAsked:
            self._progress.say("interrupted: stopping what was started")
            self._stack.stop()
            return EXIT_INTERRUPTED
        except (StartFailed, KafkaUnavailable, KafkaStartFailed, OSError) as error:
            self._progress.fail(f"tollhouse: {error}")
            self._stack.stop()
            return 1
        kept = self._keep()
        self._progress.restart()
        self._progress.say("stopping (again Ctrl-C: at once)")
        self._stack.stop()
        self._progress.say("stopped; the data is kept")
        return 0 if kept else 1

    def _keep(self) -> bool:
        """False when the stack cannot go on."""
        now_s = time.monotonic()
        for child in self._stack.service_children:
            self._falls[child.name] = _Fall(started_s=now_s)
        while not self._signals.asked:
            time.sleep(_LOOK_EVERY_S)
            if self._signals.revive_asked:
                self._signals.revive_asked = False
                self._revive()
            if self._server_has_ended():
                return False
            self._look_after_services()
        return True

    def _server_has_ended(self) -> bool:
        ended = {
            server.name: self._told_end(server.name, server.end_cause) + server.last_lines()
            for server in self._stack.servers
            if not server.running
        }
        kafka = self._stack.kafka
        if kafka is not None and not kafka.running:
            lines = kafka.errors_since_start()
            told = self._told_end("kafka", kafka.end_cause)
            ended["kafka"] = "\n  ".join([f"{told}; its last error lines:", *lines]) if lines else told
        news = ended.keys() - self._servers_told
        self._servers_told = set(ended)
        for name in sorted(news):
            self._progress.say(ended[name])
        if news:
            self._stack.write_stack_file()
        return bool(ended) and self._options.restart

    def _told_end(self, name: str, cause: str) -> str:
        if not self._options.restart:
            return f"{name} ended ({cause})"
        # Tansu's records are gone with it; ClickHouse's are not.
        without = " but for Kafka's" if self._stack.kafka is not None and self._stack.kafka.kind == "tansu" else ""
        again = f"'{Layout(self._options.dir).make_command('up')}' starts again with the data{without}"
        return f"{name} ended ({cause}); the stack cannot go on without it: stopping everything. {again}"

    def _look_after_services(self) -> None:
        now_s = time.monotonic()
        for child in self._stack.service_children:
            fall = self._falls[child.name]
            if child.running:
                continue
            if not fall.told:
                self._tell_end(child, fall, now_s)
            if fall.at_s is not None and now_s >= fall.at_s and not self._signals.asked:
                self._start_again(child, fall)

    def _tell_end(self, child: Child, fall: _Fall, now_s: float) -> None:
        fall.told = True
        if not self._options.restart:
            self._progress.say(f"{child.name} {child.how_it_ended()}")
        else:
            if now_s - fall.started_s > _LONG_LIVED_S:
                fall.backoff_s = _FIRST_BACKOFF_S
            fall.at_s = now_s + fall.backoff_s
            again = f"starting it again in {fall.backoff_s:.1f} s ({child.spec.log_file})"
            self._progress.say(f"{child.name} {child.how_it_ended()}; {again}")
            fall.backoff_s = min(_LONGEST_BACKOFF_S, 2 * fall.backoff_s)
        self._stack.write_stack_file()

    def _start_again(self, child: Child, fall: _Fall) -> None:
        fall.at_s = None
        fall.told = False
        fall.started_s = time.monotonic()
        try:
            child.start()
        except StartFailed as error:
            self._progress.say(str(error))
        else:
            self._progress.say(f"{child.name} was started again (pid {child.pid})")
        self._stack.write_stack_file()

    def _revive(self) -> None:
        """Starts whatever has ended, with the same ports and data; Kafka first, as it is waited for."""
        try:
            if self._stack.kafka is not None and not self._stack.kafka.running:
                self._stack.kafka.start()
            for server in self._stack.servers:
                if not server.running:
                    server.start()
        except (StartFailed, KafkaStartFailed) as error:
            self._progress.say(str(error))
        for child in self._stack.service_children:
            if not child.running:
                self._start_again(child, self._falls[child.name])
        self._servers_told.clear()
        self._stack.write_stack_file()
