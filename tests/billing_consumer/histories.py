"""Histories of one partition: what two processes may report about a few requests, in any order and number, cut into
batches anywhere, each batch written again at any later time, with ClickHouse failing in between.

Shared by the test on a store in memory and the one on ClickHouse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

from billing_consumer.batch_bounds import Bounds
from billing_consumer.batch_writer import Batch, BatchWriter, UsageStore, Written
from billing_consumer.clickhouse_store import StoreUnavailable
from billing_consumer.resolve import is_unusual
from runtime.metrics import Metrics
from schemas.usage import Origin
from tests.billing_consumer.samples import START_MS, attempt_event, kafka_record, request_event, usage_record

KeyT = TypeVar("KeyT")

ORIGINS: tuple[Origin, ...] = ("audit", "ingress", "worker", "correction")
"""From the least to the best informed."""


@dataclass(frozen=True)
class Told:
    """One record: which request, by whom, on which delivery, and about what."""

    request_no: int
    delivery: int
    origin: Origin
    repeat: bool
    of_attempt: bool
    of_request: bool

    @property
    def rank(self) -> tuple[int, int]:
        return (self.delivery, ORIGINS.index(self.origin))

    @property
    def cost_pico_usd(self) -> int:
        """Different for each rank, and not round: a wrong winner shows in the sum."""
        return 1_000_003 + 10_007 * self.request_no + 1_009 * self.delivery + 101 * self.rank[1]

    @property
    def status(self) -> int:
        return 200 + len(ORIGINS) * self.delivery + self.rank[1]


@dataclass(frozen=True)
class History:
    """`cuts`: where a new batch begins. `again`: after each batch, which earlier ones are written again."""

    told: tuple[Told, ...]
    cuts: tuple[int, ...]
    again: tuple[tuple[int, ...], ...]

    def attempts(self) -> dict[tuple[int, int], Told]:
        """What must stand in the end, by request and delivery."""
        return _winners([((t.request_no, t.delivery), t) for t in self.told if t.of_attempt])

    def requests(self) -> dict[int, Told]:
        return _winners([(t.request_no, t) for t in self.told if t.of_request])


def _winners(told: Sequence[tuple[KeyT, Told]]) -> dict[KeyT, Told]:
    best: dict[KeyT, Told] = {}
    for key, one in told:
        if key not in best or one.rank > best[key].rank:
            best[key] = one
    return best


@st.composite
def histories(draw: st.DrawFn) -> History:
    drawn = draw(
        st.lists(
            st.builds(
                Told,
                request_no=st.integers(0, 2),
                delivery=st.sampled_from((0, 0, 1, 2)),
                origin=st.sampled_from(("worker", "worker", "ingress", "audit", "correction")),
                repeat=st.booleans(),
                of_attempt=st.booleans(),
                of_request=st.booleans(),
            ),
            min_size=1,
            max_size=14,
        )
    )
    told: list[Told] = []
    ordinary: set[tuple[int, str]] = set()
    for one in drawn:
        about = {(one.request_no, kind) for kind, on in (("a", one.of_attempt), ("r", one.of_request)) if on}
        if not is_unusual(one.delivery, one.origin, one.repeat):
            if about & ordinary:
                # The contract of UsageRecord.repeat: only the first telling may leave it out.
                one = Told(one.request_no, one.delivery, one.origin, True, one.of_attempt, one.of_request)
            else:
                ordinary |= about
        told.append(one)
    cuts = tuple(sorted(draw(st.sets(st.integers(1, max(1, len(told) - 1)), max_size=5))))
    again = tuple(tuple(draw(st.lists(st.integers(0, batch_no), max_size=2))) for batch_no in range(len(cuts) + 1))
    return History(tuple(told), cuts, again)


def request_id(world: str, request_no: int) -> str:
    return f"req_{world}_{request_no}"


def batches_of(history: History, world: str, partition: int) -> list[Batch]:
    """`world` keeps histories in one database apart. Offsets have gaps, as in a compacted or transactional topic."""
    records = [
        kafka_record(
            100 + 3 * n,
            usage_record(
                request_id(world, one.request_no),
                attempts=(
                    attempt_event(
                        request_id(world, one.request_no),
                        delivery=one.delivery,
                        cost_pico_usd=one.cost_pico_usd,
                        started_at_ms=START_MS + 3_600_000 * one.rank[0],
                    ),
                )
                if one.of_attempt
                else (),
                request=request_event(delivery=one.delivery, status=one.status) if one.of_request else None,
                origin=one.origin,
                repeat=one.repeat,
                project_id=f"prj_{world}",
                api_key_id=f"key_{world}",
                accepted_at_ms=START_MS + 43_200_000 * one.request_no,
                leases=(f"2|bud_{world}@2026-09-01|lease_{one.request_no}", "no lease"),
            ),
        )
        for n, one in enumerate(history.told)
    ]
    edges = [0, *(cut for cut in history.cuts if cut < len(records)), len(records)]
    batches = []
    first = 90
    for start, stop in pairwise(edges):
        chosen = records[start:stop]
        end = chosen[-1].offset + 1
        batches.append(Batch(Bounds(world, partition, first, end, chosen[0].timestamp), chosen, replayed=False))
        first = end
    return batches


class NoDeadLetters:
    async def put(self, topic: str, partition: int, offset: int, reason: str, value: bytes = b"") -> None:
        raise AssertionError(f"unreadable: {reason}")


async def write_history(
    history: History, world: str, partition: int, store: UsageStore, metrics: Metrics
) -> list[Written]:
    """As the loop does it, with every batch tried until the store says yes, and some written again later. Gives what
    each writing said, in order."""
    writer = BatchWriter(store, NoDeadLetters(), metrics)
    batches = batches_of(history, world, partition)
    written: list[Written] = []
    for batch_no, batch in enumerate(batches):
        written.append(await _insist(writer, batch))
        written += [await _insist(writer, batches[min(earlier, batch_no)]) for earlier in history.again[batch_no]]
    return written


async def _insist(writer: BatchWriter, batch: Batch) -> Written:
    while True:
        try:
            read = await writer.read(batch)
            unusual = await writer.find_unusual([read])
            return await writer.write(read, unusual.get(batch.bounds.partition, set()))
        except StoreUnavailable:
            continue
