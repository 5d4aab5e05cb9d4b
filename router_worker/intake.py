"""Takes request records from the consumer loop and starts a task for each."""

import asyncio
from collections.abc import Sequence

import structlog

from router_worker.serve import Server
from runtime.kafka.dead_letters import DeadLetters
from runtime.kafka.record_loop import RecordPosition, Settled
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.codec import UndecodableRecord
from schemas.envelope import ENVELOPE
from schemas.topics import ENVELOPE_HEADER

log = structlog.get_logger(__name__)


class Intake:
    """A RecordHandler: `room` is what the in-flight limit leaves."""

    def __init__(
        self, server: Server, dead_letters: DeadLetters, max_in_flight: int, supervisor: Supervisor, metrics: Metrics
    ) -> None:
        self._server = server
        self._dead_letters = dead_letters
        self._max_in_flight = max_in_flight
        self._supervisor = supervisor
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        metrics.gauge("tollhouse_worker_requests_in_flight").set_function(lambda: len(self._tasks))

    async def start(self) -> None:
        return

    async def stop(self, deadline: Deadline) -> None:
        """The consumer loop has stopped by now. What is unfinished at the deadline is handed back to the ingress by the
        closing of its channel."""
        if self._tasks:
            log.info("waiting for requests in flight", requests=len(self._tasks))
            _, left = await asyncio.wait(self._tasks, timeout=deadline.left_s())
            if left:
                log.warning("requests unfinished at the end of the drain", requests=len(left))

    def room(self) -> int:
        return self._max_in_flight - len(self._tasks)

    async def wait_for_room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def take(
        self, position: RecordPosition, value: bytes, headers: Sequence[tuple[str, bytes]], settled: Settled
    ) -> None:
        try:
            envelope = ENVELOPE.decode(_envelope_bytes(headers))
        except UndecodableRecord as error:
            # Supervised as a whole, because a flood of these must stop the process.
            self._keep(self._supervisor.spawn(self._put_aside(position, error.reason, settled), "dead letter"))
            return
        serving = self._server.serve(envelope, value, settled)
        self._keep(self._supervisor.spawn_one_of_many(serving, envelope.request_id))

    async def _put_aside(self, position: RecordPosition, reason: str, settled: Settled) -> None:
        # Without the value: it is somebody's prompt, and dead letters are kept for days.
        await self._dead_letters.put(position.topic, position.partition, position.offset, reason)
        settled()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.set()


def _envelope_bytes(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Raises UndecodableRecord."""
    for name, value in headers:
        if name == ENVELOPE_HEADER:
            return value
    raise UndecodableRecord(f"the record has no header '{ENVELOPE_HEADER}'")
