"""`tollhouse local down`: asks the keeper to stop its stack, and clears away what a killed keeper left behind."""

import os
import signal
from contextlib import suppress

from deploy.local.layout import Layout
from deploy.local.process_records import living_records, stop_records
from deploy.local.progress import Progress
from deploy.local.stack_file import remove_stack_file
from deploy.local.stack_lock import StackIsRunning, StackLock, wait_for_lock

KEEPER_LIMIT_S = 150.0
LEFT_OVER_LIMIT_S = 15.0
_TELL_EVERY_S = 5.0


def down(layout: Layout, progress: Progress) -> int:
    """The exit code; nothing running is no failure. Raises OSError."""
    if not layout.root.is_dir():
        progress.write(f"nothing is running in {layout.shown}")
        return 0
    try:
        lock: StackLock | None = StackLock.take(layout)
        was_kept = False
    except StackIsRunning as running:
        was_kept = True
        lock = _stop_keeper(running, layout, progress)
    if lock is None:
        progress.write(f"the stack in {layout.shown} does not stop; see {layout.log_file('keeper')}")
        return 1
    try:
        left_over = clear_left_over(layout, progress)
    finally:
        lock.release()
    if was_kept or left_over:
        progress.write(f"stopped ({progress.elapsed_s():.1f} s); the data in {layout.shown} is kept")
    else:
        progress.write(f"nothing is running in {layout.shown}")
    return 0


def clear_left_over(layout: Layout, progress: Progress) -> bool:
    """Stops what an earlier stack started, if its keeper was killed; True if there was any. The lock must be held."""
    records = living_records(layout)
    if records:
        names = ", ".join(record.name for record in records)
        progress.say(f"stopping what an earlier stack left behind: {names}")
        for record in stop_records(records, LEFT_OVER_LIMIT_S):
            progress.say(f"{record.name}: killed, as it did not stop")
    layout.processes_file.unlink(missing_ok=True)
    remove_stack_file(layout)
    return bool(records)


def _stop_keeper(running: StackIsRunning, layout: Layout, progress: Progress) -> StackLock | None:
    if running.keeper_pid is None:
        return wait_for_lock(layout, LEFT_OVER_LIMIT_S)
    progress.say("stopping")
    with suppress(ProcessLookupError):
        os.kill(running.keeper_pid, signal.SIGTERM)
    waited_s = 0.0
    while waited_s < KEEPER_LIMIT_S:
        lock = wait_for_lock(layout, _TELL_EVERY_S)
        if lock is not None:
            return lock
        waited_s += _TELL_EVERY_S
        progress.say("waiting for work in flight to end")
    return None
