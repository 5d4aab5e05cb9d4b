"""The embedded engine on one directory, and the threads in which calls run on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from deploy.local.clickhouse.errors import EngineUnavailableError
from deploy.local.clickhouse.handle import Connection, Handle

_T = TypeVar("_T")


class Engine:
    """One process may open one directory, once; it gives any number of handles on it.

    `root` is held for the engine's life: with its last handle the engine would stop.
    """

    def __init__(self, root: Connection, connect: Callable[[], Connection], threads: int) -> None:
        self._root = root
        self._connect = connect
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="chdb")
        self._running: set[concurrent.futures.Future[Any]] = set()
        self.timezone = (root.query("SELECT timezone()", "TabSeparatedRaw").bytes() or b"").decode().strip()

    @classmethod
    def open(cls, path: Path, *, threads: int) -> Engine:
        """Open or create the database in the directory `path`; at most `threads` calls run at once.

        Blocks for about a second.

        Raises:
            EngineUnavailableError: another process has it open, or the engine cannot use it.
        """
        path = path.absolute()
        if "?" in str(path):
            raise EngineUnavailableError(f"cannot open {path}: chdb takes what follows a '?' for options")
        _refuse_if_taken(path)
        os.environ["TZ"] = "UTC"  # as ClickHouse's images run; read by the engine once, when its library is loaded
        import chdb  # here and not above: loads 555 MB of library, and must come after the line above

        def connect() -> Connection:
            return cast(Connection, chdb.connect(str(path)))  # its own annotations are incomplete

        try:
            path.mkdir(parents=True, exist_ok=True)
            return cls(connect(), connect, threads)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise EngineUnavailableError(f"cannot open {path}: {reason}") from error

    def open_handle(self) -> Handle:
        """A new handle, to be closed by the caller. Blocking, about 0.3 ms: call it within `run`."""
        return Handle(self._connect())

    async def run(self, function: Callable[[], _T]) -> _T:
        """Run `function` in one of the engine's threads; waits for a free one."""
        future = self._pool.submit(function)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def settle(self, finish_s: float, cancel_s: float) -> bool:
        """Let running statements finish for `finish_s`, then cancel the rest and wait `cancel_s` for their threads.

        Blocking. False if some thread does not end even so.
        """
        if not concurrent.futures.wait(set(self._running), finish_s).not_done:
            return True
        self._root.query("KILL QUERY WHERE query_id != queryID() ASYNC", "Null")
        return not concurrent.futures.wait(set(self._running), cancel_s).not_done

    def close(self) -> None:
        """Write out and stop. Every handle must be closed and `settle` have returned True, else this blocks."""
        self._pool.shutdown()
        self._root.close()


def _refuse_if_taken(path: Path) -> None:
    # The engine holds a lock on its `status` file and has written its pid there. It would find out itself, but
    # only after two seconds and with a message that names neither the directory's state nor the process.
    status = path / "status"
    try:
        with status.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        owner = status.read_text(errors="replace").partition("\n")[0].removeprefix("PID: ")
        raise EngineUnavailableError(f"{path} is already open in another process (pid {owner})") from None
    except OSError as error:
        raise EngineUnavailableError(f"cannot open {path}: {error.strerror}") from error
