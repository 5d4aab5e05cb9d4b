"""A process made of two components, for test_lifecycle: `python -m tests.runtime.lifecycle_script <mode>`.

Says on stdout what happens to it, one word after the other.
"""

import asyncio
import os
import signal
import sys

import runtime.lifecycle as lifecycle_module
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Lifecycle, Supervisor


def say(text: str) -> None:
    print(text, flush=True)


class Part:
    def __init__(self, name: str, mode: str, supervisor: Supervisor, lifecycle: Lifecycle) -> None:
        self._name = name
        self._mode = mode
        self._supervisor = supervisor
        self._lifecycle = lifecycle

    async def start(self) -> None:
        if self._mode == f"{self._name}-fails-to-start":
            raise RuntimeError("cannot start")
        if self._mode == f"{self._name}-is-signalled-at-start":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            while not self._lifecycle.draining:  # noqa: ASYNC110 - a lifecycle has no event to wait for
                await asyncio.sleep(0)
        if self._mode == f"{self._name}-task-fails":
            self._supervisor.spawn(self._fail(), "failing task")
        self._supervisor.spawn(self._work(), f"work of {self._name}")
        await asyncio.sleep(0)  # the tasks run: cancelling one that never ran would say nothing
        say(f"{self._name} started")

    async def stop(self, deadline: Deadline) -> None:
        say(f"{self._name} stopping draining={self._lifecycle.draining} left={deadline.left_s() > 0}")
        if self._mode == f"{self._name}-fails-to-stop":
            raise RuntimeError("cannot stop")
        if self._mode == f"{self._name}-hangs-at-stop":
            await asyncio.Event().wait()

    async def _fail(self) -> None:
        while not self._lifecycle.started:  # noqa: ASYNC110 - a lifecycle has no event to wait for
            await asyncio.sleep(0)
        raise RuntimeError("task broke")

    async def _work(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            say(f"{self._name} cancelled")


async def main(mode: str) -> int:
    if mode.endswith("hangs-at-stop"):
        lifecycle_module.STOP_GRACE_S = 0.1
    supervisor = Supervisor()
    lifecycle = Lifecycle(SystemClock(), supervisor, drain_s=0.1 if mode.endswith("hangs-at-stop") else 20)
    for name in ("first", "second"):
        lifecycle.add(name, Part(name, mode, supervisor, lifecycle))
    return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
