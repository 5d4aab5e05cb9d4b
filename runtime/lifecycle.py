"""Starting, supervising and draining a process.

Components start in the order in which they are added and stop in reverse. `stop` means: take no new work, finish what
is in flight within the deadline, then let go. A supervised task that fails stops the whole process with exit code 1:
a half-dead process that still answers its probes is worse than a restart.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from runtime.clock import Clock

log = structlog.get_logger(__name__)


STOP_GRACE_S = 10.0


class Deadline:
    """A point in time until which stopping may take."""

    def __init__(self, clock: Clock, in_s: float) -> None:
        self._clock = clock
        self._at_s = clock.monotonic_s() + in_s

    def left_s(self) -> float:
        return max(0.0, self._at_s - self._clock.monotonic_s())


class Component(Protocol):
    """What a process is made of."""

    async def start(self) -> None:
        """Returns when it is ready for work. Raises if it cannot be."""

    async def stop(self, deadline: Deadline) -> None:
        """Takes no new work, waits for work in flight until the deadline, then abandons it. Called once."""


class Supervisor:
    """The only place that starts tasks. A failure is logged and stops the process; it is never only 'not retrieved'."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """For what the process cannot do without."""
        task = self.spawn_one_of_many(work, name)
        task.add_done_callback(self._stop_on_failure)
        return task

    def spawn_one_of_many(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """For one request among many: its failure is logged, and the others go on. A request that trips over a mistake
        of ours would otherwise take one worker after the other with it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", task=task.get_name(), exc_info=error)

    def _stop_on_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.failed.set()

    async def cancel_all(self) -> None:
        """Ends what is still running. For the end of the process only."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def finish(task: asyncio.Task[None] | None, timeout_s: float) -> bool:
    """Waits for a task, then cancels it; False if it had to be cancelled. Its failure is the supervisor's to report."""
    if task is None or task.done():
        return True
    done, _ = await asyncio.wait({task}, timeout=timeout_s)
    if done:
        return True
    task.cancel()
    await asyncio.wait({task})
    return False


class Lifecycle:
    """Runs a process from its start to its exit code."""

    def __init__(self, clock: Clock, supervisor: Supervisor, drain_s: float) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._drain_s = drain_s
        self._components: list[tuple[str, Component]] = []
        self._stop_asked = asyncio.Event()
        self.started = False

    def add(self, name: str, component: Component) -> None:
        self._components.append((name, component))

    @property
    def draining(self) -> bool:
        return self._stop_asked.is_set()

    async def run(self) -> int:
        """Exit code: 0 after an orderly stop, 1 if something failed to start, to run or to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked.set)
        running: list[tuple[str, Component]] = []
        healthy = await self._start(running)
        if healthy:
            self.started = True
            log.info("started")
            await self._wait_for_end()
            healthy = not self._supervisor.failed.is_set()
        self._stop_asked.set()
        log.info("stopping", drain_s=self._drain_s)
        stopped_well = await self._stop(running)
        await self._supervisor.cancel_all()
        log.info("stopped", clean=healthy and stopped_well)
        return 0 if healthy and stopped_well else 1

    async def _start(self, running: list[tuple[str, Component]]) -> bool:
        for name, component in self._components:
            if self._stop_asked.is_set():
                return True
            if not await self._guarded(name, "start", component.start):
                return False
            running.append((name, component))
        return True

    async def _stop(self, running: list[tuple[str, Component]]) -> bool:
        deadline = Deadline(self._clock, self._drain_s)
        results = []
        for name, component in reversed(running):

            async def stop(component: Component = component) -> None:
                # A component that ignores the deadline must not keep the others from being stopped.
                await asyncio.wait_for(component.stop(deadline), deadline.left_s() + STOP_GRACE_S)

            results.append(await self._guarded(name, "stop", stop))
        return all(results)

    async def _guarded(self, name: str, verb: str, action: Callable[[], Awaitable[None]]) -> bool:
        try:
            await action()
        except Exception:  # the supervisor: one component's failure must not keep the others from stopping
            log.exception("component failed", component=name, verb=verb)
            return False
        return True

    async def _wait_for_end(self) -> None:
        waits = {
            asyncio.get_running_loop().create_task(self._stop_asked.wait()),
            asyncio.get_running_loop().create_task(self._supervisor.failed.wait()),
        }
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
