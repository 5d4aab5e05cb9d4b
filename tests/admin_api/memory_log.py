"""The topic `config` as a list, with the writers' rule of the real one (schemas.fencing), and replicas that read it."""

import asyncio
import random
from collections.abc import Sequence
from typing import NamedTuple

from admin_api.config_state import ConfigState
from runtime.kafka.fenced_table import Deposed
from schemas.fencing import MARKER_KEY, Fence, Stamp


class Entry(NamedTuple):
    stamp: Stamp
    key: str
    value: bytes | None


class MemoryLog:
    def __init__(self) -> None:
        self.entries: list[Entry] = []


class Term(NamedTuple):
    number: int
    writer_id: str


class MemoryReplica:
    """Table and writer of one replica. `rng`: writing and reading then take some turns of the event loop, so that
    replicas get into each other's way."""

    def __init__(self, log: MemoryLog, writer_id: str, rng: random.Random | None = None) -> None:
        self.state = ConfigState()
        self.stale_s = 0.0
        self.hangs = False
        self._log = log
        self._writer_id = writer_id
        self._rng = rng
        self._fence = Fence()
        self._read_to = 0
        self._void: set[str] = set()
        self._last_term = 0
        self._numbers = 0

    def read(self) -> None:
        for entry in self._log.entries[self._read_to :]:
            self._read_to += 1
            if not self._fence.admits(entry.stamp):
                self._void.add(entry.key)
            elif entry.key != MARKER_KEY:
                self._void.discard(entry.key)
                self.state.apply_bytes(0, entry.key, entry.value)

    async def take_over(self, partition: int) -> Term:
        await self._turns()
        self.read()
        self._last_term = max(self._fence.next_term(), self._last_term + 1)
        term = Term(self._last_term, self._writer_id)
        await self._append(term, MARKER_KEY, b"{}")
        await self.confirm(term, Stamp(*term, self._numbers))
        return term

    async def write(self, term: Term, records: Sequence[tuple[str, bytes | None]]) -> Stamp:
        for key, value in records:
            await self._append(term, key, value)
        return Stamp(*term, self._numbers)

    async def confirm(self, term: Term, stamp: Stamp) -> None:
        await self._turns()
        self.read()
        assert self._fence.highest is not None
        if self._fence.highest.rank > stamp.rank:
            raise Deposed("another one has taken over")

    def is_current(self, term: Term) -> bool:
        return self._fence.highest is not None and self._fence.highest.rank == (term.number, term.writer_id)

    def void_keys(self, partition: int) -> set[str]:
        return {key for key in self._void if key != MARKER_KEY}

    def age_s(self) -> float:
        return self.stale_s

    async def _append(self, term: Term, key: str, value: bytes | None) -> None:
        await self._turns()
        if self.hangs:
            await asyncio.Event().wait()
        self._numbers += 1
        self._log.entries.append(Entry(Stamp(*term, self._numbers), key, value))

    async def _turns(self) -> None:
        for _ in range(self._rng.randrange(4) if self._rng else 0):
            await asyncio.sleep(0)
