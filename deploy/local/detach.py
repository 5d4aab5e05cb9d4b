"""A keeper in the background: `up --detach` returns when everything is ready, and its output is complete by then."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

_READY = b"r"


class CallerIsGone(OSError):
    """Whoever ran `up --detach` was killed while it waited: nobody knows of the stack, so it must not stay."""


def run_detached(run: Callable[[Callable[[], None]], int], log_file: Path) -> int:
    """`run(on_ready)` goes on in a process of its own; returns 0 once it has called `on_ready`, else its exit code.

    To be called before any thread is started: the process is forked.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listen)
        os.setsid()
        code = run(lambda: _leave_terminal(tell, log_file))
        sys.stdout.flush()
        # Not sys.exit: what the caller's process has registered for its own exit is not this one's to run.
        os._exit(code)
    os.close(tell)

    def forward(_number: int, _frame: FrameType | None) -> None:
        os.kill(child, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    if os.read(listen, 1) == _READY:
        return 0
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _leave_terminal(tell: int, log_file: Path) -> None:
    """From here on output goes to the keeper's log: the caller's terminal, or its pipe, is let go of."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    try:
        os.write(tell, _READY)
    except BrokenPipeError as error:
        raise CallerIsGone("whoever started this stack is gone") from error
    os.close(tell)
