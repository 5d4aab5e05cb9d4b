"""Intents in ClickHouse: one that nobody reported on is found, and no other, whenever its report came."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from billing_consumer.batch_bounds import Bounds
from billing_consumer.batch_writer import Batch, BatchWriter
from billing_consumer.clickhouse_store import ClickHouseStore
from billing_consumer.intents import SWEEP_GRACE_S
from billing_consumer.sweep import SLICE_MS, IntentSweep
from billing_consumer.usage_progress import CLOCK_SLACK_S, Progress, UsageProgress
from runtime.metrics import Metrics
from runtime.shared_settings import ClickHouseSettings
from schemas.topics import Topic
from schemas.usage import USAGE, Origin, UsageRecord
from tests.billing_consumer.histories import NoDeadLetters
from tests.billing_consumer.samples import START_MS, attempt_event, kafka_record, usage_record

GRACE_MS = round(SWEEP_GRACE_S * 1000)
PARTITION = 3


class HandClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return START_MS

    def monotonic_s(self) -> float:
        return self.now_s


class Outbox:
    """What was delivered to `usage`."""

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    async def deliver(
        self, topic: Topic, key: str, encode: Callable[[bool], bytes], *, partition: int | None = None
    ) -> None:
        assert (topic, partition) == (Topic.USAGE, PARTITION)
        record = USAGE.decode(encode(False))
        assert key == record.attribution.project_id
        self.records.append(record)


class World:
    """One partition of usage, worked off batch by batch."""

    def __init__(self, database: ClickHouseSettings) -> None:
        self.store = ClickHouseStore(database)
        self.clock, self.outbox = HandClock(), Outbox()
        self.sweep = self.new_sweep()
        self.end = 100

    def new_sweep(self) -> IntentSweep:
        outbox: Any = self.outbox
        return IntentSweep(self.store, outbox, self.clock)

    async def write(self, *records: UsageRecord) -> None:
        writer = BatchWriter(self.store, NoDeadLetters(), Metrics(CollectorRegistry()))
        kafka = [kafka_record(self.end + n, record) for n, record in enumerate(records)]
        bounds = Bounds("usage", PARTITION, self.end, self.end + len(records), START_MS)
        read = await writer.read(Batch(bounds, kafka, replayed=False))
        await writer.write(read, (await writer.find_unusual([read])).get(PARTITION, set()))
        self.end = bounds.end

    async def swept_ms(self, settled_through_ms: int, *, end: int | None = None) -> int:
        progress = Progress(self.end if end is None else end, settled_through_ms)
        return (await self.sweep.sweep({PARTITION: progress}))[PARTITION]

    async def cost_usd(self) -> str:
        client = await self.store._connected()
        return str((await client.query("SELECT sum(sign * cost_usd) FROM attempts")).result_rows[0][0])


def told(request: str, origin: Origin, *, deadline_ms: int = 0, cost_pico_usd: int = 9 * 10**12) -> UsageRecord:
    return usage_record(
        request,
        attempts=(attempt_event(request, cost_pico_usd=cost_pico_usd),),
        origin=origin,
        deadline_ms=deadline_ms,
        accepted_at_ms=START_MS - 5,
        leases=("1|bud@2026-09-01|l",),
    )


DEADLINE_MS = START_MS + 60_000
DUE_MS = DEADLINE_MS + GRACE_MS


async def test_a_call_that_nobody_reported_on_is_billed_once_at_its_bound(database: ClickHouseSettings) -> None:
    world = World(database)
    await world.write(told("req_a", "intent", deadline_ms=DEADLINE_MS))
    # Not due: said nothing, and the clock goes up to it.
    assert await world.swept_ms(DUE_MS) == DUE_MS
    assert world.outbox.records == []
    # Due: reported, and until that has come around the clock stands still.
    assert await world.swept_ms(DUE_MS + 1) == DUE_MS
    assert await world.swept_ms(DUE_MS + 2) == DUE_MS
    (audit,) = world.outbox.records
    assert (audit.origin, audit.request_id, audit.leases) == ("audit", "req_a", ("1|bud@2026-09-01|l",))
    assert (audit.accepted_at_ms, audit.attempts[0].outcome) == (START_MS - 5, "worker_lost")
    end_before = world.end
    await world.write(audit)
    # In ClickHouse, but its settlement is not known to be out.
    assert await world.swept_ms(DUE_MS + 3, end=end_before) == DUE_MS
    assert await world.swept_ms(DUE_MS + 3) == DUE_MS + 3
    assert await world.cost_usd() == "9.000000000000"
    # Its worker was not dead after all.
    await world.write(told("req_a", "worker", cost_pico_usd=2 * 10**12))
    await world.write(audit)
    assert await world.cost_usd() == "2.000000000000"
    assert await world.swept_ms(DUE_MS + 9) == DUE_MS + 9
    assert len(world.outbox.records) == 1
    await world.store.close()


async def test_an_audit_that_got_lost_is_sent_again(database: ClickHouseSettings) -> None:
    world = World(database)
    await world.write(told("req_a", "intent", deadline_ms=DEADLINE_MS))
    await world.swept_ms(DUE_MS + 1)
    await world.swept_ms(DUE_MS + 1)
    assert len(world.outbox.records) == 1
    world.clock.now_s = 31.0
    await world.swept_ms(DUE_MS + 1)
    assert len(world.outbox.records) == 2
    await world.store.close()


async def test_a_reported_intent_is_left_alone_whenever_the_report_came(database: ClickHouseSettings) -> None:
    world = World(database)
    intents = {name: told(name, "intent", deadline_ms=DEADLINE_MS) for name in ("req_a", "req_b", "req_c", "req_d")}
    await world.write(told("req_a", "worker"))  # before
    await world.write(intents["req_a"], intents["req_b"], told("req_b", "worker"), intents["req_c"])  # the same batch
    await world.write(told("req_c", "ingress"), intents["req_d"], intents["req_d"])  # after; and told twice
    assert await world.swept_ms(DUE_MS + 1) == DUE_MS
    assert [record.request_id for record in world.outbox.records] == ["req_d"]
    await world.store.close()


async def test_a_new_owner_finds_what_is_old_and_catches_up(database: ClickHouseSettings) -> None:
    world = World(database)
    long_ago_ms = START_MS - 30 * SLICE_MS
    old = usage_record(
        "req_old",
        attempts=(attempt_event("req_old", started_at_ms=long_ago_ms),),
        origin="intent",
        deadline_ms=long_ago_ms + 1,
    )
    await world.write(old, told("req_a", "intent", deadline_ms=DEADLINE_MS), told("req_a", "worker"))
    assert await world.swept_ms(0) == 0, "it knows of no time yet"
    assert await world.swept_ms(DUE_MS + 5) == long_ago_ms + 1 + GRACE_MS
    (audit,) = world.outbox.records
    await world.write(audit)
    swept_ms = 0
    for _ in range(3):
        swept_ms = await world.swept_ms(DUE_MS + 5)
    assert swept_ms == DUE_MS + 5
    # A partition that has no intents is swept as far as it is settled.
    found = await world.new_sweep().sweep(
        {PARTITION: Progress(world.end, DUE_MS + 5), 7: Progress(5, 77), 8: Progress(5)}
    )
    assert (found[7], found[8]) == (77, 0)
    # Lost and taken back between two sweeps: nothing is said beyond what is settled.
    assert await world.swept_ms(DUE_MS - 1) == DUE_MS - 1
    await world.store.close()


def test_times_are_said_only_when_they_are_known_and_never_go_back() -> None:
    slack_ms = round(CLOCK_SLACK_S * 1000)
    progress = UsageProgress()
    progress.take({0: 10, 1: 5})
    assert progress.now() == {0: Progress(10), 1: Progress(5)}
    assert progress.to_ask() == {0, 1}
    progress.told(1_000_000, {0: 12, 1: 5, 9: 1})
    # Partition 1 had been read to its end when it was asked for.
    assert [progress.now()[p].settled_through_ms for p in (0, 1)] == [0, 1_000_000 - slack_ms]
    progress.finished(0, 11, 0)
    assert progress.now()[0].settled_through_ms == 0, "the end is not reached yet"
    assert progress.to_ask() == {1}
    progress.finished(0, 13, 0)
    assert progress.now()[0] == Progress(13, 1_000_000 - slack_ms)
    # Kafka's own time of the last record is good too, to the millisecond before it.
    progress.finished(0, 20, 2_000_000)
    assert progress.now()[0].settled_through_ms == 1_999_999
    progress.finished(0, 21, 1_500_000)
    assert progress.now()[0] == Progress(21, 1_999_999)
    # Kept through a failure, not through another owner.
    progress.take({0: 21})
    assert progress.now() == {0: Progress(21, 1_999_999)}
    progress.let_go()
    assert progress.now() == {}
    progress.finished(0, 30, 3_000_000)
    progress.take({0: 30})
    assert progress.now() == {0: Progress(30)}
