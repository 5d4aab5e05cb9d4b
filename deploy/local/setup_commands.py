"""The steps between the servers and the services: Kafka's topics, ClickHouse's tables, then the first keys. All are
safe to repeat."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.child import StartFailed
from deploy.local.stop_signals import StopSignals
from runtime.settings import variable_name

LIMIT_S = 60.0
_TOLD_LINES = 6


def set_up(environ: Mapping[str, str], bootstrap_file: Path, signals: StopSignals) -> None:
    """Raises StartFailed."""
    _run(("topics", "migrate"), environ, signals)
    _run(("bootstrap",), {**environ, variable_name("bootstrap", "file"): str(bootstrap_file)}, signals)


def _run(commands: Sequence[str], environ: Mapping[str, str], signals: StopSignals) -> None:
    """Side by side: each spends its time waiting for a server."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in commands:
            with signals.held():
                running[name] = subprocess.Popen(
                    (sys.executable, "-m", "tollhouse", name),
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        deadline_s = time.monotonic() + LIMIT_S
        for name, process in running.items():
            _finish(name, process, deadline_s)
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _finish(name: str, process: subprocess.Popen[bytes], deadline_s: float) -> None:
    try:
        said, _ = process.communicate(timeout=max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise StartFailed(f"'tollhouse {name}' did not end within {LIMIT_S:.0f} s") from None
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        told = "\n  ".join(lines[-_TOLD_LINES:])
        raise StartFailed(f"'tollhouse {name}' failed with exit code {process.returncode}:\n  {told}")
