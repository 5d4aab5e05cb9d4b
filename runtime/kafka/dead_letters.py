"""Records that cannot be read are put aside; a flood of them stops the consumer instead.

One bad record must not stop a partition (G8). But if most records are unreadable, then it is this process that is
wrong, a bad deploy, and putting a day's traffic aside would lose it.
"""

from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.metrics import Metrics
from schemas.dead_letter import DEAD_LETTER, DeadLetter
from schemas.topics import Topic

MAX_IN_WINDOW = 100
WINDOW_S = 60.0

MAX_VALUE_BYTES = 256 * 1024
"""What is kept of a value. In base64 a record of full size would be too large a record itself, and never be taken."""


class DeadLetterFlood(Exception):
    """Too many unreadable records in a short time; the process must stop and be looked at."""


class DeadLetterLimit:
    """At most `MAX_IN_WINDOW` in `WINDOW_S`."""

    def __init__(self, clock: Clock, max_in_window: int = MAX_IN_WINDOW, window_s: float = WINDOW_S) -> None:
        self._clock = clock
        self._max = max_in_window
        self._window_s = window_s
        self._times: list[float] = []

    def count(self) -> None:
        """Raises DeadLetterFlood."""
        now = self._clock.monotonic_s()
        self._times = [at for at in self._times if now - at < self._window_s] + [now]
        if len(self._times) > self._max:
            raise DeadLetterFlood(f"{len(self._times)} unreadable records within {self._window_s:g} s")


class DeadLetters:
    def __init__(self, producer: DurableProducer, clock: Clock, metrics: Metrics, limit: DeadLetterLimit) -> None:
        self._producer = producer
        self._clock = clock
        self._counter = metrics.counter("tollhouse_kafka_dead_letters_total")
        self._limit = limit

    async def put(self, topic: str, partition: int, offset: int, reason: str, value: bytes = b"") -> None:
        """Returns when the dead letter is safe. Give `value` only where the topic carries no prompts.

        Raises DeadLetterFlood before anything is put aside.
        """
        self._limit.count()
        letter = DeadLetter(
            source_topic=topic,
            source_partition=partition,
            source_offset=offset,
            reason=reason,
            at_ms=self._clock.now_ms(),
            value=value[:MAX_VALUE_BYTES],
        )
        await self._producer.deliver(Topic.DEAD_LETTER, topic, lambda _repeat: DEAD_LETTER.encode(letter))
        self._counter.labels(topic=topic).inc()
