"""One broker process on this machine: start it, wait until it answers, stop it, take it away, bring it back."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local.kafka.errors import KafkaStartFailed
from deploy.local.kafka.exit_cause import exit_cause
from deploy.local.kafka.ports import require_free
from deploy.local.kafka.probe import why_not_ready

Kind = Literal["apache", "tansu"]

START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0

_PROBE_LIMIT_S = 5.0
_PROBE_PAUSE_S = 0.05
_TAIL_BYTES = 64 * 1024
_TAIL_LINES = 5
_ERROR_WORDS = ("ERROR", "FATAL", "Error", "Exception", "Caused by", "panicked")
# Reasons for an end: Kafka's and Tansu's log levels, and what the JVM and Rust say in their last words.
_FATAL = re.compile(r"\b(?:ERROR|FATAL)\b|OutOfMemoryError|fatal error|panicked")


@dataclass(frozen=True)
class Launch:
    """All that it takes to start the same broker once more: same ports, same data."""

    kind: Kind
    command: tuple[str, ...]
    environ: Mapping[str, str]
    data_dir: Path
    prepare: Callable[[], None]
    """Readies `data_dir`; called before each start, when no other broker can be using it."""
    host: str
    port: int
    other_ports: tuple[int, ...]
    output_path: Path
    """Takes stdout and stderr."""
    log_path: Path | None
    """Where the broker itself logs, if it does so apart from its output."""


class KafkaHandle:
    """A broker, running after `start()`; `start()` again after `stop()` or `kill()` brings it back.

    Not for several threads at once. The broker outlives this object and this process: it has a session of its
    own, so that Ctrl-C in the terminal does not take it away before the services that need it.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._process: subprocess.Popen[bytes] | None = None
        self._log_bytes_at_start: dict[Path, int] = {}

    @property
    def kind(self) -> Kind:
        return self._launch.kind

    @property
    def bootstrap(self) -> str:
        """`host:port`, as Kafka clients take it. The same through restarts."""
        return f"{self._launch.host}:{self._launch.port}"

    @property
    def pid(self) -> int:
        """Of the last start, also when that process has ended."""
        if self._process is None:
            raise RuntimeError("this broker was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, limit_s: float = START_LIMIT_S) -> None:
        """Return once clients can produce and join groups.

        Raises `PortInUse`, or `KafkaStartFailed` when the data is in use by another broker or, with the last
        error lines, when it dies or stays silent for `limit_s`. Nothing of ours runs then.
        """
        if self.running:
            raise RuntimeError(f"this broker is running already, as process {self.pid}")
        for port in (self._launch.port, *self._launch.other_ports):
            require_free(self._launch.host, port)
        with _data_lock(self._launch.data_dir) as lock:
            self._launch.prepare()
            self._put_old_logs_aside()
            with self._launch.output_path.open("wb") as output:
                self._process = subprocess.Popen(
                    self._launch.command,
                    env=dict(self._launch.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        try:
            self._wait_until_ready(self._process, limit_s)
        except BaseException:
            self.kill()
            raise
        self._log_bytes_at_start = {path: path.stat().st_size for path in self._log_paths() if path.exists()}

    def stop(self, timeout_s: float = STOP_LIMIT_S) -> None:
        """Ask it to end (SIGTERM); after `timeout_s` end it (SIGKILL). Harmless when it has ended already."""
        if self._process is None:
            return
        if self.running:
            self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL: it can flush nothing and tells no client. Returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self, limit_s: float = START_LIMIT_S) -> None:
        """Stop it if it runs, and start it with the same ports and data."""
        self.stop()
        self.start(limit_s)

    def last_error_lines(self) -> list[str]:
        """The last lines of this run that look like errors, else simply the last lines; oldest first."""
        said = self._last_said({})
        errors = [line for line in said if any(word in line for word in _ERROR_WORDS)]
        return (errors or said)[-_TAIL_LINES:]

    @property
    def end_cause(self) -> str:
        """Of a broker that has ended: "SIGKILL", "exit code 1"."""
        code = None if self._process is None else self._process.poll()
        return "never started" if code is None else exit_cause(code)

    def errors_since_start(self) -> list[str]:
        """The last lines, logged since it was ready, that can tell why it ended; oldest first. None: killed, say."""
        said = self._last_said(self._log_bytes_at_start)
        return [line for line in said if _FATAL.search(line)][-_TAIL_LINES:]

    def _last_said(self, from_bytes: Mapping[Path, int]) -> list[str]:
        lines: list[str] = []
        for path in self._log_paths():
            with suppress(FileNotFoundError), path.open("rb") as log:
                size = path.stat().st_size
                start = from_bytes.get(path, 0)
                # Smaller than it was: the log was rolled over, and all of it is new.
                log.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
                lines += log.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("\tat ")]

    def _wait_until_ready(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while True:
            missing = why_not_ready(self._launch.host, self._launch.port, _PROBE_LIMIT_S)
            # Asked after the probe: had ours died, the answer came from another program on its port.
            if process.poll() is not None:
                raise KafkaStartFailed(self._with_errors(f"Kafka ended at once ({process.returncode})"))
            if missing is None:
                return
            if time.monotonic() > deadline:
                raise KafkaStartFailed(self._with_errors(f"Kafka is not ready after {limit_s:.0f} s: {missing}"))
            time.sleep(_PROBE_PAUSE_S)

    def _with_errors(self, what: str) -> str:
        lines = self.last_error_lines()
        return "\n  ".join([f"{what}; its last error lines:", *lines]) if lines else f"{what}; it logged nothing"

    def _put_old_logs_aside(self) -> None:
        """Else a start that fails early would be explained with the errors of the run before."""
        for path in self._log_paths():
            if path.exists():
                os.replace(path, path.with_name(f"{path.name}.previous"))

    def _log_paths(self) -> list[Path]:
        output, log = self._launch.output_path, self._launch.log_path
        return [output] if log is None else [output, log]


@contextmanager
def _data_lock(data_dir: Path) -> Iterator[int]:
    """Refuse a data directory that a living broker uses.

    The broker inherits the descriptor, and the kernel keeps the lock until the last holder is gone, however it
    dies. Kafka's own lock comes too late: a second Kafka appends to the first one's metadata log before it looks.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KafkaStartFailed(f"the data in {data_dir} is in use by a Kafka that is still running") from None
        yield descriptor
    finally:
        os.close(descriptor)
