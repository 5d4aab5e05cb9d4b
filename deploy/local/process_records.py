"""Which processes a stack started, on disk: so that what a killed keeper left behind can be found and stopped.

A pid alone may be another program's by now; with the time at which its process started it is only ever ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from deploy.local.layout import Layout
from deploy.local.written_files import write_whole

_PS_LIMIT_S = 5.0
_PAUSE_S = 0.05
# After the process name in parentheses, which may hold spaces; proc(5) counts it as field 22.
_START_FIELD_AFTER_NAME = 19


class ProcessRecord(msgspec.Struct, frozen=True):
    """`started`: opaque, compared only."""

    name: str
    pid: int
    started: str


def record_of(name: str, pid: int) -> ProcessRecord | None:
    """None when there is no such process any more."""
    started = _started(pid)
    return None if started is None else ProcessRecord(name, pid, started)


def write_records(layout: Layout, records: Sequence[ProcessRecord]) -> None:
    write_whole(layout.processes_file, msgspec.json.encode(records).decode() + "\n")


def living_records(layout: Layout) -> list[ProcessRecord]:
    """Those of the last stack that still run, in the order in which they were started."""
    try:
        records = msgspec.json.decode(layout.processes_file.read_bytes(), type=list[ProcessRecord])
    except (OSError, msgspec.DecodeError):
        return []
    return [record for record in records if _lives(record)]


def stop_records(records: Sequence[ProcessRecord], limit_s: float) -> list[ProcessRecord]:
    """Last started first, as their users come after them. Returns those that had to be killed."""
    killed = []
    for record in reversed(records):
        _send(record, signal.SIGTERM)
        if not _wait_gone(record, limit_s):
            _send(record, signal.SIGKILL)
            _wait_gone(record, limit_s)
            killed.append(record)
    return killed


def _wait_gone(record: ProcessRecord, limit_s: float) -> bool:
    deadline_s = time.monotonic() + limit_s
    while _lives(record):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_PAUSE_S)
    return True


def _send(record: ProcessRecord, number: int) -> None:
    if _lives(record):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(record.pid, number)


def _lives(record: ProcessRecord) -> bool:
    return _started(record.pid) == record.started


def _started(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        # A zombie has ended; it only waits for a parent to look at it.
        return None if fields[0] in "ZX" else fields[_START_FIELD_AFTER_NAME]
    try:
        said = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=_PS_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None
