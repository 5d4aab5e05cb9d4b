"""Makes changes of the configuration, one at a time, as the topic's one writer: read, decide, write, read back.

Several replicas may do this at once: by the log's order one of them is the writer (`schemas.fencing`). One that was
deposed meanwhile has changed nothing; it takes over again and decides anew, on what the other has made of the state.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

from admin_api.config_state import ConfigState
from admin_api.operation import Refusal
from runtime.kafka.fenced_table import Deposed
from schemas.config_record import CONFIG, ConfigRecord, config_key
from schemas.ids import RandomBytes

log = structlog.get_logger(__name__)

PARTITION = 0
"""`config` has one, so that all changes have one order."""

TRIES = 6
BACKOFF_S = 0.02


class Writer(Protocol):
    """runtime.kafka.fenced_writer.FencedWriter, as far as it is used."""

    async def take_over(self, partition: int) -> Any: ...
    async def write(self, term: Any, records: Sequence[tuple[str, bytes | None]]) -> Any: ...
    async def confirm(self, term: Any, stamp: Any) -> None: ...
    def is_current(self, term: Any) -> bool: ...


class Table(Protocol):
    """runtime.kafka.fenced_table.FencedTable, as far as it is used."""

    def void_keys(self, partition: int) -> set[str]: ...
    def age_s(self) -> float: ...


class Plan(NamedTuple):
    """What a change writes, and whatever its maker wants to know afterwards."""

    records: tuple[ConfigRecord, ...]
    result: Any = None


Planner = Callable[[ConfigState], Plan]
"""Decides on the state of the moment, perhaps more than once. Raises Refusal."""


class Changer:
    """`limit_s`: how long one change may take, its waiting for others included."""

    def __init__(
        self, state: ConfigState, table: Table, writer: Writer, random_bytes: RandomBytes, limit_s: float
    ) -> None:
        self.state = state
        self._table = table
        self._writer = writer
        self._random_bytes = random_bytes
        self._limit_s = limit_s
        self._lock = asyncio.Lock()
        self._term: Any = None

    def age_s(self) -> float:
        """How old the state may be at most."""
        return self._table.age_s()

    async def change(self, planner: Planner) -> Plan:
        """Returns once the change holds: written, and read back as valid. Raises Refusal; then nothing was changed,
        except that after a 503 of "outcome_unknown" it may still come to hold."""
        try:
            async with asyncio.timeout(self._limit_s), self._lock:
                return await self._until_done(planner)
        except TimeoutError:
            text = "Kafka did not confirm the change in time. Look whether it was made before you repeat it."
            raise Refusal(503, "outcome_unknown", text) from None

    async def mend(self) -> None:
        """Says once more what a deposed writer has written over: compaction might keep only its void record."""
        if self._wanting():
            await self.change(lambda _state: Plan(()))

    async def _until_done(self, planner: Planner) -> Plan:
        written: list[Plan] = []
        for number in range(TRIES):
            if number:
                # Replicas that depose one another in step would never come to an end.
                await asyncio.sleep(BACKOFF_S * 2**number * (0.5 + self._random_bytes(1)[0] / 256))
            try:
                return await self._once(planner, written)
            except Deposed:
                log.info("another admin replica was faster", try_number=number + 1)
        if written:
            text = "Other replicas are making changes. Look whether yours was made before you repeat it."
            raise Refusal(503, "outcome_unknown", text)
        raise Refusal(503, "busy", "Other replicas are making changes. Nothing was changed; try again.")

    async def _once(self, planner: Planner, written: list[Plan]) -> Plan:
        """`written`: what earlier tries have written, and may count: its writer was deposed only after it."""
        if self._term is None or not self._writer.is_current(self._term):
            self._term = None
            self._term = await self._writer.take_over(PARTITION)
        for earlier in written:
            if all(self.state.has_seen(record.change.change_id) for record in earlier.records):
                return earlier
        plan = planner(self.state)
        # A key twice in one write could end up in either order.
        planned = {config_key(record.kind, record.entity_id): record for record in plan.records}
        repeated = {key: record for key, record in self._wanting().items() if key not in planned}
        records = [(key, CONFIG.encode(record)) for key, record in (planned | repeated).items()]
        if not records:
            return plan
        written.append(plan)
        term, self._term = self._term, None
        # Forgotten while the outcome is open: what was given up in between must not come to count after what follows,
        # and a new term makes sure of that.
        stamp = await self._writer.write(term, records)
        await self._writer.confirm(term, stamp)
        self._term = term
        return plan

    def _wanting(self) -> dict[str, ConfigRecord]:
        found = {key: self.state.record_of_key(key) for key in self._table.void_keys(PARTITION)}
        return {key: record for key, record in found.items() if record is not None}
