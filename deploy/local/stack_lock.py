"""One stack per folder: its keeper holds a lock on a file, with its pid in it, for as long as it lives.

The kernel lets go of the lock however the keeper dies. So a held lock proves that the pid in the file is the keeper's.
"""

import fcntl
import os
import time

from deploy.local.layout import Layout

_PAUSE_S = 0.05


class StackIsRunning(Exception):
    """`keeper_pid` is None for the moment in which it has the lock and has not yet written its pid."""

    def __init__(self, keeper_pid: int | None) -> None:
        super().__init__(f"keeper {keeper_pid}")
        self.keeper_pid = keeper_pid


class StackLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, layout: Layout) -> "StackLock":
        """Raises StackIsRunning, OSError. A child by fork has it too; processes that are started do not inherit it."""
        descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise StackIsRunning(int(written) if written.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        return cls(descriptor)

    def sign(self) -> None:
        """Writes this process down as the keeper."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def wait_for_lock(layout: Layout, limit_s: float) -> StackLock | None:
    """Takes it as soon as its holder is gone; None after `limit_s`."""
    deadline_s = time.monotonic() + limit_s
    while True:
        try:
            return StackLock.take(layout)
        except StackIsRunning:
            if time.monotonic() > deadline_s:
                return None
            time.sleep(_PAUSE_S)
