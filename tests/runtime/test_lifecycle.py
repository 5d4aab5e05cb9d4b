"""Start, failure and drain of real processes, with real signals."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from runtime.lifecycle import Deadline, Supervisor, finish
from tests.fakes.clock import HandClock
from tests.runtime.waiting import until

ROOT = Path(__file__).parents[2]
LIMIT_S = 30
STARTED = ["first started", "second started"]
STOPPED = ["second stopping draining=True left=True", "first stopping draining=True left=True"]


def run(mode: str, *, send: int | None = None) -> tuple[int, list[str], str]:
    """Exit code, what the parts said (cancellations, which come in any order, sorted last), and everything logged.

    `send` is sent once the process has logged that it has started.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.lifecycle_script", mode], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        output = ""
        if send is not None:
            assert process.stdout is not None
            while "[info" not in output or "started" not in output.rsplit("[info", 1)[1]:
                line = process.stdout.readline()
                assert line, "it ended before it had started"
                output += line
            process.send_signal(send)
        output += process.communicate(timeout=LIMIT_S)[0]
    finally:
        process.kill()
        process.wait()
    said = [line for line in output.splitlines() if line.startswith(("first ", "second "))]
    cancelled = sorted(line for line in said if line.endswith("cancelled"))
    return process.returncode, [line for line in said if not line.endswith("cancelled")] + cancelled, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_reverse_order_and_exits_with_0(number: int) -> None:
    code, said, _ = run("healthy", send=number)
    assert said == [*STARTED, *STOPPED, "first cancelled", "second cancelled"]
    assert code == 0


def test_a_part_that_cannot_start_stops_what_had_started_and_exits_with_1() -> None:
    code, said, output = run("second-fails-to-start")
    assert said == ["first started", STOPPED[1], "first cancelled"]
    assert code == 1
    assert "cannot start" in output


def test_a_first_part_that_cannot_start_leaves_nothing_to_stop() -> None:
    code, said, _ = run("first-fails-to-start")
    assert (code, said) == (1, [])


def test_a_task_that_fails_stops_the_process_in_order_with_1() -> None:
    code, said, output = run("first-task-fails")
    assert said == [*STARTED, *STOPPED, "first cancelled", "second cancelled"]
    assert code == 1
    assert "task broke" in output
    assert "failing task" in output


def test_a_part_that_fails_to_stop_does_not_keep_the_others_from_it() -> None:
    code, said, _ = run("second-fails-to-stop", send=signal.SIGTERM)
    assert said == [*STARTED, *STOPPED, "first cancelled", "second cancelled"]
    assert code == 1


def test_a_part_that_ignores_the_deadline_does_not_keep_the_others_from_stopping() -> None:
    code, said, _ = run("second-hangs-at-stop", send=signal.SIGTERM)
    assert said[:3] == [*STARTED, "second stopping draining=True left=True"]
    assert said[3].startswith("first stopping")
    assert code == 1


def test_a_signal_during_the_start_starts_nothing_more() -> None:
    code, said, _ = run("first-is-signalled-at-start")
    assert said == ["first started", STOPPED[1], "first cancelled"]
    assert code == 0


def test_a_deadline_runs_out_and_not_below_zero() -> None:
    clock = HandClock()
    deadline = Deadline(clock, 5)
    assert deadline.left_s() == 5
    clock.move(4)
    assert deadline.left_s() == 1
    clock.move(4)
    assert deadline.left_s() == 0


async def test_a_failed_task_is_logged_once_with_its_name_and_marks_the_supervisor() -> None:
    async def fail() -> None:
        raise ValueError("broke")

    supervisor = Supervisor()
    with capture_logs() as logs:
        task = supervisor.spawn(fail(), "the task")
        await until(supervisor.failed.is_set, "the failure to be seen")
    assert [(entry["event"], entry["task"], entry["log_level"]) for entry in logs] == [
        ("task failed", "the task", "error")
    ]
    assert logs[0]["exc_info"] is task.exception()


async def test_tasks_that_end_or_are_cancelled_are_no_failure() -> None:
    async def end() -> None:
        return None

    supervisor = Supervisor()
    tasks = [supervisor.spawn(end(), "ends"), supervisor.spawn(asyncio.sleep(1000), "is cancelled")]
    await supervisor.cancel_all()
    assert all(task.done() for task in tasks)
    assert not supervisor.failed.is_set()


async def test_finish_waits_then_cancels_and_says_which() -> None:
    supervisor = Supervisor()
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    cancelled = supervisor.spawn(work(), "too slow")
    assert not await finish(cancelled, 0)
    assert cancelled.cancelled()
    finished = supervisor.spawn(work(), "in time")
    go_on.set()
    assert await finish(finished, 30)
    assert await finish(finished, 0)
    assert await finish(None, 0)
    assert not finished.cancelled()
