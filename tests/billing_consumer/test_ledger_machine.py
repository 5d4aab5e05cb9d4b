"""Whatever happens, in whatever order: nothing is spent beyond a limit, and no pico-dollar is lost.

The laws, after every step: what was really spent fits the highest limit there was; a grant fits the limit in force; a
ledger's `spent` is exactly what ClickHouse has below its offsets. When all is quiet no lease is left, `spent` is what
was really spent, and a newcomer can spend all but 5 % of what remains.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.budgets import Raise
from schemas.fencing import MARKER_KEY
from schemas.spend import LeaseReports
from tests.billing_consumer.ledger_world import (
    LIMIT,
    LONGEST_S,
    USAGE_PARTITIONS,
    Config,
    Ingress,
    Lease,
    Request,
    World,
    budget,
    ledgers_of,
)

INGRESSES = 3
amounts = st.integers(1, LIMIT // 3)
which = st.integers(0, 10_000)


class Budgets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        self.world = World(Config(budget("day"), budget("all", 2 * LIMIT, period="total")))
        self.world.ingresses = [Ingress(f"ingress-{n}", clock_error_s=2.0 * (n - 1)) for n in range(INGRESSES)]

    @initialize(early=st.booleans())
    def begin(self, early: bool) -> None:
        """Mostly with leases; sometimes the first of them are still to be asked for."""
        if not early:
            for n in range(INGRESSES):
                self.ask(n, LIMIT // 10, LIMIT // 4, True)
            self.all_goes_well(0)

    # Ingresses.

    def awake(self, n: int) -> Ingress | None:
        ingress = self.world.ingresses[n % INGRESSES]
        return None if ingress.frozen else ingress

    def ledgers(self, ingress: Ingress) -> list[str]:
        return self.world.ledgers_for(self.accepted_ms(ingress))

    def accepted_ms(self, ingress: Ingress) -> int:
        return self.world.true_ms() + int(ingress.clock_error_s * 1000)

    @rule(n=which, amount=amounts, ahead=st.integers(0, LIMIT), send=st.booleans())
    def ask(self, n: int, amount: int, ahead: int, send: bool) -> None:
        if (ingress := self.awake(n)) is None:
            return
        for name in self.ledgers(ingress):
            lease = ingress.current(name)
            if lease is None:
                ingress.made += 1
                lease = Lease(name, f"{ingress.name}.{ingress.made}")
                ingress.leases.append(lease)
            self.world.say(ingress, lease, lease.used + amount, lease.used + amount + ahead)
        if send:
            self.send(ingress)

    def send(self, ingress: Ingress) -> None:
        self.world.commands += ingress.unsent
        ingress.unsent = []

    @rule(n=which)
    def send_late(self, n: int) -> None:
        """Also of one that has crashed, or is frozen: Kafka may have had it all the time."""
        self.send(self.world.ingresses[n % INGRESSES])

    @rule(n=which, give_back=st.booleans())
    def renew(self, n: int, give_back: bool) -> None:
        if (ingress := self.awake(n)) is None:
            return
        for lease in ingress.leases:
            want = lease.used if give_back else max(lease.used, lease.effective)
            self.world.say(ingress, lease, lease.used, want)
        self.send(ingress)

    @rule(n=which)
    def rotate(self, n: int) -> None:
        if (ingress := self.awake(n)) is not None:
            for lease in ingress.leases:
                lease.draining = True

    @rule(n=which)
    def close_drained(self, n: int) -> None:
        if (ingress := self.awake(n)) is not None:
            self.close(ingress)

    def close(self, ingress: Ingress) -> None:
        for lease in [lease for lease in ingress.leases if lease.draining and lease.held == 0]:
            self.world.say(ingress, lease, lease.used, lease.used, closing=True)
            ingress.leases.remove(lease)
        self.send(ingress)

    @rule(n=which, count=st.integers(1, 100))
    def read(self, n: int, count: int) -> None:
        if (ingress := self.awake(n)) is not None:
            self.read_spend(ingress, count)

    def read_spend(self, ingress: Ingress, count: int) -> None:
        for stamp, key, state in self.world.spend[ingress.read : ingress.read + count]:
            ingress.read += 1
            if ingress.fence.admits(stamp) and state is not None:
                for lease in ingress.leases:
                    if lease.ledger_id == key:
                        lease.answer(state)

    @rule(n=which, bound=amounts, part=st.integers(0, 100), partition=st.integers(0, USAGE_PARTITIONS - 1))
    def start_request(self, n: int, bound: int, part: int, partition: int) -> None:
        if (ingress := self.awake(n)) is not None:
            self.hold(ingress, bound, bound * part // 100, partition)

    @rule(
        n=which, bounds=st.lists(amounts, min_size=1, max_size=4), part=st.integers(0, 100), ahead=st.integers(0, LIMIT)
    )
    def start_requests(self, n: int, bounds: list[int], part: int, ahead: int) -> None:
        """As it should be: what does not fit is asked for, and waited for."""
        for number, bound in enumerate(bounds, start=n):
            if (ingress := self.awake(number)) is not None and not self.hold(
                ingress, bound, bound * part // 100, n % 2
            ):
                self.ask(number, bound, ahead, True)
                self.authority_round()
                self.read_spend(ingress, 100_000)
                self.refusals += not self.hold(ingress, bound, bound * part // 100, n % 2)

    @rule(n=which, lost=st.booleans())
    def finish_requests(self, n: int, lost: bool) -> None:
        """All but one."""
        for _ in range(sum(not r.over for ingress in self.world.ingresses for r in ingress.requests) - 1):
            self.finish_request(n, lost)

    def hold(self, ingress: Ingress, bound: int, cost: int, partition: int) -> bool:
        world = self.world
        leases: dict[str, Lease] = {}
        for name in self.ledgers(ingress):
            lease = ingress.current(name)
            if lease is None or world.now_s >= lease.valid_until_s or lease.used + bound > lease.effective:
                return False
            leases[name] = lease
        for name, lease in leases.items():
            lease.used += bound
            lease.held += bound
            world.truly_spent[name] += cost
        day = self.world.ledgers_for(self.accepted_ms(ingress))[0].rpartition("@")[2]
        due_s = world.now_s + LONGEST_S
        request = Request(len(world.requests), day, leases, bound, cost, due_s, partition)
        ingress.requests.append(request)
        world.requests.append(request)
        world.report_usage("intent", request)
        return True

    @rule(n=which, lost=st.booleans())
    def finish_request(self, n: int, lost: bool) -> None:
        """The worker reports, or is lost, and then its ingress reports if it lives. A worker may report late."""
        running = [request for ingress in self.world.ingresses for request in ingress.requests if not request.over]
        if running:
            request = running[n % len(running)]
            ingress = next(i for i in self.world.ingresses if request in i.requests)
            if not lost:
                self.world.report_usage("worker", request)
            self.over(ingress, request, request.bound if lost else request.cost, reported=not lost)

    @rule(n=which)
    def report_late(self, n: int) -> None:
        if self.world.requests:
            self.world.report_usage("worker", self.world.requests[n % len(self.world.requests)])

    def over(self, ingress: Ingress, request: Request, cost: int, *, reported: bool) -> None:
        if ingress.frozen:
            return
        if not reported:
            self.world.report_usage("ingress", request)
        request.over = True
        for lease in request.leases.values():
            lease.used += cost - request.bound
            lease.held -= request.bound

    @rule(n=which)
    def crash_ingress(self, n: int) -> None:
        world = self.world
        n %= INGRESSES
        old = world.ingresses[n]
        fresh = Ingress(f"ingress-{n}-{len(world.spend)}-{len(world.commands)}", old.clock_error_s)
        world.ingresses[n] = fresh

    @rule(n=which)
    def freeze_or_thaw(self, n: int) -> None:
        ingress = self.world.ingresses[n % INGRESSES]
        ingress.frozen = not ingress.frozen

    # The authority.

    @rule(count=st.integers(1, 50), publish=st.booleans(), commit=st.booleans())
    def authority_works(self, count: int, publish: bool, commit: bool) -> None:
        authority = self.world.authority
        self.world.work(authority, count)
        if publish:
            assert self.world.publish(authority)
            if commit:
                self.world.commit(authority)

    @rule()
    def clickhouse_answers(self) -> None:
        self.world.answer_openings(self.world.authority)

    @rule(error_s=st.floats(-4.0, 4.0), lives_on=st.booleans())
    def authority_is_replaced(self, error_s: float, lives_on: bool) -> None:
        old = self.world.authority
        self.world.authority = self.world.take_over(error_s)
        if lives_on:
            self.world.zombies = [*self.world.zombies[-1:], old]

    @precondition(lambda self: self.world.zombies)
    @rule(n=which, count=st.integers(1, 50))
    def stale_authority_writes(self, n: int, count: int) -> None:
        zombie = self.world.zombies[n % len(self.world.zombies)]
        self.world.work(zombie, count)
        self.world.answer_openings(zombie)
        self.world.publish(zombie)

    @rule(error_s=st.sampled_from([-90_000.0, -3_600.0, -60.0, 0.0, 60.0, 3_600.0, 90_000.0]))
    def wall_clock_jumps(self, error_s: float) -> None:
        self.world.authority.wall_error_s = error_s

    # Usage, and the rest of the world.

    @rule(partition=st.integers(0, USAGE_PARTITIONS - 1), count=st.integers(1, 20), send=st.booleans())
    def settle(self, partition: int, count: int, send: bool) -> None:
        self.world.settle(partition, count)
        if send:
            self.world.send(partition)

    @rule()
    def clocks(self) -> None:
        for partition in range(USAGE_PARTITIONS):
            self.world.clock(partition)

    @rule(n=which, count=st.integers(1, 5))
    def commands_come_again(self, n: int, count: int) -> None:
        if self.world.commands:
            first = n % len(self.world.commands)
            self.world.commands += self.world.commands[first : first + count]

    @rule(seconds=st.sampled_from([0.5, 3.0, 8.0, 13.0, 20.0, 45.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now_s += seconds
        self.world.note_limits()

    @rule()
    def midnight_comes(self) -> None:
        """Most of what is of interest happens some seconds before and after it."""
        day_s = 86_400.0
        self.world.now_s += (day_s + 600.0 - 4.0 - self.world.now_s % day_s) % day_s
        self.world.note_limits()

    @rule(limit=st.integers(0, 2 * LIMIT), raised=st.integers(0, LIMIT), for_s=st.integers(0, 400))
    def limit_changes(self, limit: int, raised: int, for_s: int) -> None:
        expires_at_ms = self.world.true_ms() + 1000 * for_s
        raises = (Raise(amount_pico_usd=raised, expires_at_ms=expires_at_ms),) if raised else ()
        self.world.config.budgets["day"] = budget("day", limit, raises=raises)
        # The authority's clock may be behind, so it may hold a raise to be in force for longer than it is.
        self.world.highest_limit["day"] = max(self.world.highest_limit["day"], limit + raised)

    @rule(n=which)
    def all_goes_well(self, n: int) -> None:
        """A whole round, as it happens thousands of times between two accidents."""
        for partition in range(USAGE_PARTITIONS):
            self.world.settle(partition, 1000)
            self.world.clock(partition)
        self.authority_round()
        if (ingress := self.awake(n)) is not None:
            self.read_spend(ingress, 100_000)

    def authority_round(self) -> None:
        authority = self.world.authority
        self.world.work(authority, 100_000)
        self.world.answer_openings(authority)
        self.world.work(authority, 100_000)
        self.world.publish(authority)
        self.world.commit(authority)

    def met(self) -> Counter[str]:
        """How much of interest has happened."""
        world = self.world
        return Counter(
            {
                "requests": len(world.requests),
                "refusals": self.refusals,
                "reported by audit": sum(kind == "audit" for kind, _ in world.counted.values()),
                "leases": sum(
                    report.seq == 1
                    for said in world.commands
                    if isinstance(said, LeaseReports)
                    for report in said.reports
                ),
                "take-overs": sum(key == MARKER_KEY for _, key, _ in world.spend) - 1,
                "periods": len({name for _, name, _ in world.spend if name.startswith("day@")}),
            }
        )

    @invariant()
    def laws_hold(self) -> None:
        self.world.check()

    # When all is quiet.

    def teardown(self) -> None:
        world = self.world
        world.authority.wall_error_s = 0.0
        self.end_requests()
        for ingress in world.ingresses[1:]:
            ingress.frozen = True
        self.rounds(seconds=30.0, count=12)
        for name, ledger in ledgers_of(world.authority.book):
            assert not ledger.has_leases, ledger.state(0)
            assert not ledger.short, ledger.state(0)
            assert name.startswith("all@") or ledger.period_end >= world.ledgers_for(world.true_ms())[0][-10:]
        self.spend_what_is_left()
        world.check()

    def end_requests(self) -> None:
        for ingress in self.world.ingresses:
            ingress.frozen = False
            self.send(ingress)
            for request in ingress.requests:
                if not request.over:
                    self.world.report_usage("worker", request)
                    self.over(ingress, request, request.cost, reported=True)
        for ingress in self.world.ingresses[:1]:
            for lease in ingress.leases:
                lease.draining = True
            self.close(ingress)
        # Those that no ingress remembers are left to the sweep.

    def rounds(self, seconds: float, count: int, each: Callable[[], Any] = lambda: None) -> None:
        for _ in range(count):
            self.world.now_s += seconds
            for partition in range(USAGE_PARTITIONS):
                self.world.settle(partition, 100_000)
                self.world.clock(partition)
            each()
            self.authority_round()

    def spend_what_is_left(self) -> None:
        """In requests of 1 % of the limit, by two newcomers, one of whom has asked for all there is and lets it lie."""
        world = self.world
        # A raise that ended in the middle of it would be missed from what is left.
        world.config.budgets["day"] = msgspec.structs.replace(world.config.budgets["day"], raises=())
        self.authority_round()
        names = world.ledgers_for(world.true_ms())
        limits = {
            name: b.limit_at(world.true_ms()) for name, b in zip(names, world.config.budgets.values(), strict=True)
        }
        left = min(limits[name] - world.spent_by_rows(name) for name in names)
        idle, busy = Ingress("idle", 0.0), Ingress("busy", 0.0)
        world.ingresses = [idle, busy, Ingress("none", 0.0)]
        self.ask(0, 1, 10 * LIMIT, True)
        self.rounds(seconds=0.1, count=2)
        spent, refused = 0, 0
        while refused < 3:
            self.renew(0, give_back=any(ledger.short for _, ledger in ledgers_of(world.authority.book)))
            self.ask(1, LIMIT // 100, 0, True)
            self.rounds(seconds=0.1, count=1)
            for ingress in (idle, busy):
                self.read_spend(ingress, 100_000)
            if self.hold(busy, LIMIT // 100, LIMIT // 100, 0):
                refused = 0
                spent += LIMIT // 100
                world.report_usage("worker", world.requests[-1])
                self.over(busy, world.requests[-1], LIMIT // 100, reported=True)
            else:
                refused += 1
        assert spent >= left - LIMIT // 100 - LIMIT // 20, f"{spent} of {left} could be spent"


Budgets.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
test_budgets = Budgets.TestCase
