"""What budgets cost the ingress: time for each request, and Kafka records for leases.

    python -m bench.admission [--requests 50000] [--seconds 60]

Time: 10,000 keys, every request in five scopes, all five with hard budgets; admit and settle, in the event loop.
Records: three ingresses and the real authority in simulated time, 500 requests a second that each last a second and
cost a tenth of what they hold. Target: 20 µs (of CPU time), and less than 1 record for leases per 100 requests.
"""

import argparse
import asyncio
import gc
import time
from bisect import bisect
from collections import deque
from collections.abc import Callable
from datetime import date
from itertools import accumulate
from random import Random

import uvloop

from billing_consumer.authority.ledger_book import LedgerBook
from ingress.budgets.account_book import AccountBook
from ingress.budgets.budget_admission import BudgetAdmission
from ingress.budgets.budget_ticket import BudgetTicket
from ingress.budgets.lease_hold import LeaseHold, Waiter
from ingress.budgets.lease_keeper import TICK_S
from ingress.budgets.ledger_view import LedgerView
from ingress.directory import Directory
from ingress.worst_case import WorstCases
from runtime.catalogue.loader import load_catalogue
from schemas.budgets import Budget, ScopeKind
from schemas.spend import LEDGER, UsageClock
from tests.ingress.budgets.world import LONGEST_MS, NOON_MS, RULES, BudgetList, HandClock, World, ask, budget, tell

LIMIT = 10**18
HOLD = 10**9
KINDS: tuple[tuple[ScopeKind, int], ...] = (("customer", 500), ("tag", 20), ("project", 20), ("organization", 1))


def scopes_of(key: int) -> tuple[str, ...]:
    return tuple(b.scope for b in budgets_of(key))


def budgets_of(key: int) -> tuple[Budget, ...]:
    wider = (budget(LIMIT, kind, f"{kind}{key % many}") for kind, many in KINDS)
    return (budget(LIMIT, "api_key", f"key{key}"), *wider)


class RealSeconds(HandClock):
    def monotonic_s(self) -> float:
        return time.monotonic()


async def time_of_a_request(keys: int, requests: int) -> None:
    budgets = {b.budget_id: b for key in range(keys) for b in budgets_of(key)}
    clock = RealSeconds()
    clock.s = time.monotonic()
    world = World(*budgets.values(), clock=clock)
    admission = BudgetAdmission(world.book, clock)
    all_scopes = [scopes_of(key) for key in range(keys)]
    waiter = Waiter(lambda: None)
    for scopes in all_scopes:
        for charge in world.book.hard_charges(scopes, NOON_MS):
            charge.account.wait(waiter, 100 * HOLD, clock.monotonic_s())
    clock.s = time.monotonic()
    world.pump()
    for scopes in all_scopes:
        for charge in world.book.hard_charges(scopes, NOON_MS):
            charge.account.leave(waiter, clock.monotonic_s())
    random = Random(1)
    asks = [ask(HOLD, *all_scopes[random.randrange(keys)]) for _ in range(requests)]
    gc.collect()
    gc.freeze()
    began = time.process_time()
    for each in asks:
        ticket = await admission.admit(each)
        assert isinstance(ticket, BudgetTicket)
        ticket.settle(HOLD // 10**6, 100)
    took_s = time.process_time() - began
    print(f"admit and settle: {took_s / requests * 1e6:.1f} µs per request, {keys} keys, 5 hard budgets for each")
    ticket = await admission.admit(asks[0])
    assert isinstance(ticket, BudgetTicket)
    print_time("headers of an answer", lambda: ticket.headers)
    print_time("leases for the envelope", lambda: ticket.leases)
    catalogue = load_catalogue([])
    cases = WorstCases(catalogue, date(2026, 11, 22))
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"' + b"word " * 300 + b'"}]}'
    print_time("worst case of a request", lambda: cases.worst_case(("gpt-4o",), body, 100, 1, "openai.chat"))


def print_time(what: str, do: Callable[[], object], times: int = 20_000) -> None:
    began = time.process_time()
    for _ in range(times):
        do()
    print(f"{what}: {(time.process_time() - began) / times * 1e6:.1f} µs")


class Replica:
    def __init__(self, name: str, budgets: dict[str, Budget], clock: HandClock) -> None:
        self.directory, self.view = Directory(), LedgerView()
        for each in budgets.values():
            tell(self.directory, each)
        self.book = AccountBook(self.directory, self.view, name, LONGEST_MS, RULES, clock.monotonic_s)
        self.quiet_until_s = [0.0] * self.book.partitions
        self.held: deque[tuple[float, list[tuple[str, LeaseHold]]]] = deque()
        self.waiting: list[tuple[tuple[str, ...], Waiter]] = []
        self.waits = 0


class Fleet:
    """In simulated time. The authority writes what has changed every 50 ms."""

    def __init__(self, keys: int, replicas: int) -> None:
        self.clock = HandClock()
        self.budgets = {b.budget_id: b for key in range(keys) for b in budgets_of(key)}
        self.scopes = [scopes_of(key) for key in range(keys)]
        listed = BudgetList()
        listed.budgets = self.budgets
        self.replicas = [Replica(f"i{n}", self.budgets, self.clock) for n in range(replicas)]
        self.authorities = [
            LedgerBook(n, listed, self.clock.s, self.clock.now_ms()) for n in range(self.replicas[0].book.partitions)
        ]
        self.command_records = 0
        self.spend_records = 0

    def request(self, replica: Replica, scopes: tuple[str, ...], waiter: Waiter | None = None) -> None:
        """Holds on all, or waits for the first that has no room."""
        now_s = self.clock.s
        held: list[tuple[str, LeaseHold]] = []
        for charge in replica.book.hard_charges(scopes, NOON_MS):
            hold = charge.account.hold(HOLD, now_s, waiter)
            if hold is None:
                self.settle(replica, held, 0)
                if waiter is None:
                    replica.waits += 1
                    waiter = Waiter(lambda: None)
                charge.account.wait(waiter, HOLD, now_s)
                replica.waiting.append((scopes, waiter))
                return
            held.append((charge.budget.scope, hold))
        if waiter is not None:
            for charge in replica.book.hard_charges(scopes, NOON_MS):
                charge.account.leave(waiter, now_s)
        replica.held.append((now_s + 1.0, held))

    def settle(self, replica: Replica, held: list[tuple[str, LeaseHold]], cost: int) -> None:
        for scope, hold in held:
            for charge in replica.book.hard_charges((scope,), NOON_MS):
                charge.account.settle(hold, cost, self.clock.s)

    def try_again(self) -> None:
        for replica in self.replicas:
            waiting, replica.waiting = replica.waiting, []
            for scopes, waiter in waiting:
                self.request(replica, scopes, waiter)

    def settle_due(self) -> None:
        for replica in self.replicas:
            while replica.held and replica.held[0][0] <= self.clock.s:
                _, held = replica.held.popleft()
                self.settle(replica, held, HOLD // 10)

    def carry(self) -> None:
        for replica in self.replicas:
            for partition, authority in enumerate(self.authorities):
                if self.clock.s < replica.quiet_until_s[partition]:
                    continue
                record = replica.book.collect(partition, self.clock.s)
                if record is not None:
                    self.command_records += 1
                    replica.quiet_until_s[partition] = self.clock.s + TICK_S
                    authority.apply(record.command, self.clock.s, self.clock.now_ms())

    def answer(self) -> None:
        for partition, authority in enumerate(self.authorities):
            for opening in authority.openings():
                authority.opened(opening.ledger_id, 0, self.clock.s, self.clock.now_ms())
            for key, state in authority.dirty():
                self.spend_records += 1
                value = None if state is None else LEDGER.encode(state)
                for replica in self.replicas:
                    replica.view.apply(partition, key, value)

    def say_clocks(self) -> None:
        now_ms = self.clock.now_ms()
        said = UsageClock(usage_partition=0, partitions=1, end=0, settled_through_ms=now_ms, swept_through_ms=now_ms)
        for authority in self.authorities:
            authority.apply(said, self.clock.s, now_ms)
            authority.tick(self.clock.s, now_ms)


def records_for_leases(keys: int, per_s: int, seconds: int, *, skewed: bool) -> None:
    fleet = Fleet(keys, 3)
    random = Random(2)
    heights = list(accumulate(1 / (rank + 1) if skewed else 1.0 for rank in range(keys)))
    fleet.say_clocks()
    warm_s, step_s, requests = 20, 0.01, 0
    for step in range(int((warm_s + seconds) / step_s)):
        fleet.clock.s += step_s
        if step == int(warm_s / step_s):
            fleet.command_records = fleet.spend_records = requests = 0
            for replica in fleet.replicas:
                replica.waits = 0
        for _ in range(int(per_s * step_s)):
            key = min(keys - 1, bisect(heights, random.random() * heights[-1]))
            fleet.request(random.choice(fleet.replicas), fleet.scopes[key])
            requests += 1
        fleet.settle_due()
        if step % 2 == 0:
            fleet.carry()
        if step % 5 == 0:
            fleet.answer()
            fleet.try_again()
        if step % 200 == 0:
            fleet.say_clocks()
    waits = sum(replica.waits for replica in fleet.replicas)
    print(
        f"leases, {keys} keys{' (skewed)' if skewed else ''}, {per_s} requests/s: "
        f"{fleet.command_records * 100 / requests:.2f} records per 100 requests, "
        f"{waits * 100 / requests:.2f} waits per 100 requests; "
        f"{fleet.spend_records * 100 / requests:.2f} ledger states per 100 requests"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(time_of_a_request(10_000, options.requests))
    gc.unfreeze()
    records_for_leases(1, 500, options.seconds, skewed=False)
    records_for_leases(20, 500, options.seconds, skewed=False)
    records_for_leases(200, 500, options.seconds, skewed=False)
    records_for_leases(10_000, 500, options.seconds, skewed=True)


if __name__ == "__main__":
    main()
