"""One partition under one term, step by step, with a real `spend`: what counts, what may be committed, and when."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from billing_consumer.authority.alerts import AlertCourier
from billing_consumer.authority.budget_view import BudgetView
from billing_consumer.authority.ledger_book import LedgerBook
from billing_consumer.authority.office import Office
from billing_consumer.authority.opening import OpeningDesk
from billing_consumer.authority.outbox import HOLD_BACK_S
from billing_consumer.authority.webhook_message import WebhookMessage
from runtime.kafka.fenced_table import Deposed
from runtime.kafka.fenced_writer import FencedWriter
from runtime.lifecycle import Supervisor
from runtime.metrics import Metrics
from runtime.shared_settings import KafkaSettings
from schemas.money import pico_to_usd
from schemas.spend import UsageClock
from schemas.tenancy import Webhook
from schemas.topics import Topic
from tests.billing_consumer.authority.fleet import USAGE_PARTITIONS, World, a_world
from tests.billing_consumer.authority.samples import NOW_MS, USD, a_change, a_webhook, ledger_of, reports
from tests.billing_consumer.authority.views import BUDGET, PARTITION, granted_usd, spent_usd
from tests.runtime.waiting import until

pytestmark = pytest.mark.e2e


class HandClock:
    def __init__(self) -> None:
        self.s = 1000.0

    def now_ms(self) -> int:
        return NOW_MS + int(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


class Vault:
    """ClickHouse and the receiver of alerts."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.alerts = 0

    async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        await self.open.wait()
        return [(name, pico_to_usd(USD)) for name in parameters["names"]]

    async def send(self, webhook: Webhook, message: WebhookMessage) -> None:
        self.alerts += 1


class Bench:
    def __init__(self, world: World) -> None:
        self.world, self.clock, self.vault, self.supervisor = world, HandClock(), Vault(), Supervisor()
        self._metrics = Metrics(CollectorRegistry())
        self._view = BudgetView()
        self._view.apply(a_change("budget", BUDGET))
        self._view.apply(a_change("webhook", a_webhook("wh_1", "http://receiver")))
        self._offset = 0

    async def office(self, writer_id: str) -> Office:
        writer = FencedWriter(self.world.producer, self.world.spend, Topic.SPEND, writer_id)
        term = await writer.take_over(PARTITION)
        courier = AlertCourier(self._view, self.vault, self.clock, self.supervisor, self._metrics, lambda: 1.0)
        return Office(
            term,
            self._offset,
            self.world.ledgers.states(PARTITION),
            writer,
            self.world.spend,
            LedgerBook(PARTITION, self._view, self.clock.monotonic_s(), self.clock.now_ms()),
            OpeningDesk(self.vault, self.supervisor),
            courier,
            self.clock,
            self._metrics,
        )

    def tell_clocks(self, office: Office) -> None:
        for partition in range(USAGE_PARTITIONS):
            self.apply(
                office,
                UsageClock(
                    usage_partition=partition,
                    partitions=USAGE_PARTITIONS,
                    end=0,
                    settled_through_ms=0,
                    swept_through_ms=0,
                ),
            )

    def apply(self, office: Office, command: Any) -> None:
        office.apply(self._offset, command)
        self._offset += 1

    async def step(self, office: Office, *, caught_up: bool = True) -> None:
        office.tick(caught_up=caught_up)
        await office.publish()

    async def opened(self, office: Office) -> None:
        """With a lease of 30 USD, of a limit of 100, of which one was spent before."""
        self.tell_clocks(office)
        self.apply(office, reports(BUDGET, seq=1, need_usd=30, ttl_ms=1000))
        await self.step(office)
        async with asyncio.timeout(20):
            while not granted_usd(self.world):
                await self.step(office)
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(kafka: KafkaSettings) -> AsyncIterator[Bench]:
    async with a_world(kafka) as world:
        yield Bench(world)


async def test_a_deposed_office_learns_it_from_its_first_write_and_nothing_of_that_counts(bench: Bench) -> None:
    first = await bench.office("a")
    await bench.opened(first)
    second = await bench.office("b")
    done, alerts = first.done_offset, bench.vault.alerts
    bench.apply(first, bench.world.batch(BUDGET, 60 * USD, lease_id="lease_1"))
    bench.apply(first, reports(BUDGET, seq=2, need_usd=39))
    first.tick(caught_up=True)
    with pytest.raises(Deposed):
        await first.publish()
    assert first.done_offset == done, "nothing may be committed for what does not count"
    assert bench.vault.alerts == alerts, "no alert for what does not count"
    await until(lambda: ledger_of(BUDGET) in bench.world.spend.void_keys(PARTITION), "its late state is read")
    assert (granted_usd(bench.world), spent_usd(bench.world)) == (30, 1)

    bench.clock.s += 1
    second.tick(caught_up=False)
    bench.clock.s += HOLD_BACK_S
    await second.publish()
    assert bench.world.spend.void_keys(PARTITION) == set(), "the true state has its place again"
    assert (granted_usd(bench.world), spent_usd(bench.world)) == (30, 1)


async def test_a_deposed_office_with_nothing_to_write_learns_it_too(bench: Bench) -> None:
    first = await bench.office("a")
    await bench.office("b")
    first.tick(caught_up=True)
    with pytest.raises(Deposed):
        await first.publish()


async def test_nothing_is_committed_while_its_effect_is_only_in_memory(bench: Bench) -> None:
    office = await bench.office("a")
    await bench.opened(office)
    bench.clock.s += HOLD_BACK_S
    await bench.step(office)
    before = office.done_offset
    for _ in range(3):
        bench.apply(office, bench.world.batch(BUDGET, USD, lease_id="lease_1"))
        await bench.step(office, caught_up=False)
    assert (office.done_offset, spent_usd(bench.world)) == (before, 1), "spending is held back, and so is the commit"
    bench.clock.s += HOLD_BACK_S
    await bench.step(office, caught_up=False)
    assert spent_usd(bench.world) == 4
    assert office.done_offset > before


async def test_nothing_is_committed_while_a_ledger_is_being_opened(bench: Bench) -> None:
    office = await bench.office("a")
    bench.vault.open.clear()
    bench.tell_clocks(office)
    bench.apply(office, reports(BUDGET, seq=1, need_usd=30))
    for _ in range(5):
        bench.clock.s += HOLD_BACK_S
        await bench.step(office)
        bench.tell_clocks(office)
        await asyncio.sleep(0)
    assert office.waits
    assert office.done_offset == 0, "who comes after must hear the report too"
    bench.vault.open.set()
    await until(lambda: bool(office._desk._found), "ClickHouse's answer")
    await bench.step(office)
    assert granted_usd(bench.world) == 30
    bench.tell_clocks(office)
    await bench.step(office)
    assert office.done_offset > 2


async def test_no_ledger_is_opened_while_commands_wait_to_be_read(bench: Bench) -> None:
    """A successor reads from the clock of some partition that was heard longest ago. What comes next may be a clock of
    another partition, sent before and overtaken by a settlement that will not be read again; the newer word comes
    later. Opened between the two, the ledger would take what that settlement charged for free."""
    office = await bench.office("a")
    bench.tell_clocks(office)
    bench.apply(office, reports(BUDGET, seq=1, need_usd=30))
    await bench.step(office, caught_up=False)
    assert not office.waits
    bench.apply(
        office,
        UsageClock(usage_partition=0, partitions=USAGE_PARTITIONS, end=70, settled_through_ms=0, swept_through_ms=0),
    )
    office.tick(caught_up=True)
    (opening,) = office._desk._wanted.values()
    assert opening.through[0] == 70
    office.close()


async def test_nobody_is_called_silent_while_commands_wait_to_be_read(bench: Bench) -> None:
    office = await bench.office("a")
    await bench.opened(office)

    def phase() -> str:
        (ledger,) = bench.world.ledgers.states(PARTITION).values()
        return ledger.leases[0].phase

    bench.clock.s += 60
    await bench.step(office, caught_up=False)
    assert phase() == "open"
    await bench.step(office)
    assert phase() == "dead"


async def test_an_alert_goes_out_once_its_state_counts_and_is_then_taken_out_of_it(bench: Bench) -> None:
    office = await bench.office("a")
    await bench.opened(office)
    bench.apply(office, bench.world.batch(BUDGET, 60 * USD))
    office.tick(caught_up=True)
    await asyncio.sleep(0)
    assert bench.vault.alerts == 0
    await office.publish()
    await until(lambda: bench.vault.alerts == 1, "the alert")
    await until(lambda: bool(office._courier._done), "its end")
    await bench.step(office)
    (ledger,) = bench.world.ledgers.states(PARTITION).values()
    assert (ledger.alerts_due, ledger.alerted_percent) == ((), 50)
    assert bench.vault.alerts == 1
