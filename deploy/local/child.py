"""One process of the stack: start it, see whether it is ready, stop it."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.kafka.exit_cause import exit_cause
from deploy.local.progress import Progress
from deploy.local.stop_signals import StopSignals

LOG_ROTATION_BYTES = 20 * 1024 * 1024
READY_LIMIT_S = 60.0
_PAUSE_S = 0.02
_PROBE_LIMIT_S = 2.0
_TELL_EVERY_S = 5.0
_TAIL_BYTES = 32 * 1024
_TAIL_LINES = 6
_TAIL_LINE_CHARACTERS = 400


class StartFailed(Exception):
    """Something did not come up; the message is for a person, and says where to look."""


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """All that it takes to start the same process once more, on the same port.

    `ready_url` answers 200 once it can work. `port_file` appears once it listens: before that, an answer on the port
    would be another program's. `stop_limit_s`: from SIGTERM to SIGKILL.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log_file: Path
    port_file: Path
    ready_url: str
    stop_limit_s: float


class Child:
    """Has a session of its own, so that Ctrl-C in the terminal reaches only the keeper, which then stops in order."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        """Returns at once; `ready_problem` says when it is ready. Raises StartFailed."""
        self.spec.port_file.unlink(missing_ok=True)
        self._log_start = _rotate(self.spec.log_file)
        try:
            with self.spec.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    self.spec.command,
                    env=dict(self.spec.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise StartFailed(f"{self.name} cannot be started: {error}") from error

    def ready_problem(self) -> str | None:
        """None when it is ready, else what is missing. Raises StartFailed when it has ended."""
        if not self.running:
            raise StartFailed(f"{self.name} {self.how_it_ended()}{self.last_lines()}")
        if not self.spec.port_file.exists():
            return "does not listen yet"
        return _not_ready(self.spec.ready_url)

    def how_it_ended(self) -> str:
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "was not started"
        return f"was ended by {exit_cause(code)}" if code < 0 else f"ended with {exit_cause(code)}"

    @property
    def end_cause(self) -> str:
        """Of a process that has ended: "SIGKILL", "exit code 2"."""
        code = None if self._process is None else self._process.poll()
        return "never started" if code is None else exit_cause(code)

    def last_lines(self) -> str:
        """What this run logged last, as further lines of a message, and where the rest is."""
        lines: list[str] = []
        with suppress(OSError), self.spec.log_file.open("rb") as log:
            log.seek(max(self._log_start, self.spec.log_file.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        shown = [line[:_TAIL_LINE_CHARACTERS] for line in lines if line.strip()][-_TAIL_LINES:]
        if not shown:
            return f"; it logged nothing to {self.spec.log_file}"
        return "\n  ".join([f"; its last lines (all of them: {self.spec.log_file}):", *shown])

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait_gone(self) -> None:
        if self._process is not None:
            self._process.wait()


def wait_until_ready(children: Sequence[Child], progress: Progress, limit_s: float = READY_LIMIT_S) -> None:
    """Says so of each as it becomes ready. Raises StartFailed."""
    waiting = list(children)
    deadline_s = time.monotonic() + limit_s
    tell_at_s = time.monotonic() + _TELL_EVERY_S
    while waiting:
        problems: dict[str, str] = {}
        for child in list(waiting):
            problem = child.ready_problem()
            if problem is None:
                waiting.remove(child)
                progress.say(f"{child.name}: ready")
            else:
                problems[child.name] = problem
        if waiting and time.monotonic() > deadline_s:
            told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
            raise StartFailed(f"not ready after {limit_s:.0f} s: {told}{waiting[0].last_lines()}")
        if waiting and time.monotonic() > tell_at_s:
            progress.say("waiting for " + "; ".join(f"{name} ({problem})" for name, problem in problems.items()))
            tell_at_s = time.monotonic() + _TELL_EVERY_S
        if waiting:
            time.sleep(_PAUSE_S)


def stop_together(children: Sequence[Child], signals: StopSignals, progress: Progress) -> None:
    """SIGTERM to all of them; who has not ended within its time, or when the person hurries, gets SIGKILL."""
    running = [child for child in children if child.running]
    for child in running:
        child.signal(signal.SIGTERM)
    started_s = time.monotonic()
    tell_at_s = started_s + _TELL_EVERY_S
    while running := [child for child in running if child.running]:
        waited_s = time.monotonic() - started_s
        for child in running:
            if signals.hurry or waited_s > child.spec.stop_limit_s:
                progress.say(f"{child.name}: killed after {waited_s:.0f} s; see {child.spec.log_file}")
                child.signal(signal.SIGKILL)
                child.wait_gone()
        if time.monotonic() > tell_at_s:
            progress.say(f"waiting for {', '.join(child.name for child in running)} to finish (again Ctrl-C: at once)")
            tell_at_s = time.monotonic() + _TELL_EVERY_S
        time.sleep(_PAUSE_S)


def _not_ready(url: str) -> str | None:
    parts = urlsplit(url)
    # Not urllib: it would send loopback through a proxy that the environment names.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PROBE_LIMIT_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"
    finally:
        connection.close()
    return None if answer.status == 200 else told_as_missing(body)


def told_as_missing(body: str) -> str:
    """What our own services say in JSON (runtime/probes.py) becomes words; other servers' words stay as they are."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        reasons = json.loads(body)["not_ready"].items()
        return ", ".join(f"{name}: {reason}" for name, reason in reasons)
    return f"says it is not ready: {body[:200]}"


def _rotate(log_file: Path) -> int:
    """Puts a log that has grown large aside (one is kept); returns where this run's part will start, in bytes."""
    try:
        size = log_file.stat().st_size
    except FileNotFoundError:
        return 0
    if size < LOG_ROTATION_BYTES:
        return size
    os.replace(log_file, log_file.with_name(f"{log_file.name}.1"))
    return 0
