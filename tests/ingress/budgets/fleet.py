"""Three ingresses, an authority and billing around one hard budget, with logs that delay, double and lose, and
processes that die. A simulation by hand: every step is one thing that happens somewhere.
"""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from billing_consumer.authority.ledger import SWEEP_GRACE_MS
from billing_consumer.authority.ledger_book import LedgerBook
from ingress.budgets.account_book import AccountBook
from ingress.budgets.lease_account import LeaseAccount
from ingress.budgets.lease_hold import LeaseHold, Waiter
from ingress.budgets.ledger_view import LedgerView
from ingress.directory import Directory
from schemas.spend import (
    LEDGER,
    SPEND_COMMAND,
    LeaseDelta,
    LedgerState,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommandRecord,
    UsageClock,
    lease_ref,
    spend_partition,
)
from tests.ingress.budgets.world import LONGEST_MS, RULES, BudgetList, HandClock, budget, tell

SCOPE = "api_key:k"
PARTITION = spend_partition(SCOPE)


@dataclass
class Call:
    """A request that was admitted. `bound`: what it may cost at most."""

    bound: int
    ref: str
    deadline_ms: int
    hold: LeaseHold | None


class Usage(NamedTuple):
    """What a call has cost, as it is in Kafka since `at_ms`."""

    cost: int
    ref: str
    at_ms: int
    deadline_ms: int


@dataclass
class Ingress:
    book: AccountBook
    view: LedgerView
    read_to: int = 0
    cut_off: bool = False
    calls: list[Call] = field(default_factory=list)
    waiting: dict[Waiter, int] = field(default_factory=dict)
    outbox: list[bytes] = field(default_factory=list)


class Fleet:
    def __init__(self, seed: int, limit: int) -> None:
        self.random = Random(seed)
        self.clock = HandClock()
        self.budgets = BudgetList()
        self.budget = budget(limit)
        self.budgets.budgets[self.budget.budget_id] = self.budget
        self.commands: list[bytes] = []
        self.late: list[bytes] = []
        self.states: list[tuple[str, bytes | None]] = []
        self.committed = 0
        self.applied = 0
        self.lives = 0
        self.authority = self._new_authority()
        self.ingresses = [self._new_ingress() for _ in range(3)]
        self.orphans: list[Call] = []
        self.usage: list[Usage] = []
        self.settled_to = 0
        self.spent = 0
        self.say_clock()

    # What may happen.

    def arrive(self, ingress: Ingress) -> bool:
        """Whether the request was let in."""
        amount = self.random.choice((10, 200, 1_000, 5_000))
        account = self._account(ingress)
        hold = account.hold(amount, self.clock.s)
        if hold is not None:
            self._admit(ingress, hold)
        elif len(ingress.waiting) < 5:
            waiter = Waiter(lambda: None)
            ingress.waiting[waiter] = amount
            account.wait(waiter, amount, self.clock.s)
        return hold is not None

    def try_again(self, ingress: Ingress) -> None:
        """Each that waits gets what it waits for, or loses patience."""
        account = self._account(ingress)
        for waiter, amount in list(ingress.waiting.items()):
            hold = account.hold(amount, self.clock.s, waiter)
            if hold is not None:
                self._admit(ingress, hold)
            if hold is not None or self.random.random() < 0.1:
                account.leave(waiter, self.clock.s)
                del ingress.waiting[waiter]

    def extend(self, ingress: Ingress) -> None:
        if ingress.calls:
            call = self.random.choice(ingress.calls)
            more = self.random.randint(1, 500)
            assert call.hold is not None
            if self._account(ingress).extend(call.hold, more, self.clock.s):
                call.bound += more

    def finish(self, ingress: Ingress) -> None:
        """Usage is in Kafka first, then the hold is settled."""
        if ingress.calls:
            self._finish(ingress, ingress.calls.pop(self.random.randrange(len(ingress.calls))))

    def finish_orphan(self) -> None:
        if self.orphans:
            self._cost(self.orphans.pop(), self.random.random())

    def speak(self, ingress: Ingress) -> None:
        if ingress.cut_off:
            return
        record = ingress.book.collect(PARTITION, self.clock.s)
        if record is not None:
            ingress.outbox.append(SPEND_COMMAND.encode(record))

    def deliver(self, ingress: Ingress) -> None:
        if not ingress.outbox:
            return
        value = ingress.outbox.pop(0)
        luck = self.random.random()
        if luck < 0.05:
            return
        self.commands.append(value)
        if luck > 0.9:
            self.late.append(value)

    def carry(self, ingress: Ingress) -> None:
        """A word and its answer, as it mostly goes."""
        self.pass_time(0.02)
        self.speak(ingress)
        self.deliver(ingress)
        self.decide()
        self.hear(ingress, 10)

    def deliver_late(self) -> None:
        """Something that was there already comes once more."""
        if self.late:
            self.commands.append(self.late.pop(self.random.randrange(len(self.late))))

    def decide(self) -> None:
        """The authority takes some commands, writes what they led to, and commits."""
        until = min(len(self.commands), self.applied + self.random.randint(1, 20))
        for value in self.commands[self.applied : until]:
            self.authority.apply(SPEND_COMMAND.decode(value).command, self.clock.s, self.clock.now_ms())
        self.applied = until
        self.authority.tick(self.clock.s, self.clock.now_ms())
        for opening in self.authority.openings():
            below = opening.through.get(0, 0)
            spent = sum(said.cost for said in self.usage[:below])
            self.authority.opened(opening.ledger_id, spent, self.clock.s, self.clock.now_ms())
        for key, state in self.authority.dirty():
            self.states.append((key, None if state is None else LEDGER.encode(state)))
        if self.random.random() < 0.7:
            self.committed = self.authority.replay_from(self.applied)

    def authority_dies(self) -> None:
        self.authority = self._new_authority()
        for _, value in {key: (key, value) for key, value in self.states}.values():
            if value is not None:
                self.authority.load(LEDGER.decode(value))
        self.applied = self.committed

    def hear(self, ingress: Ingress, most: int = 3) -> None:
        if not ingress.cut_off:
            for key, value in self.states[ingress.read_to : ingress.read_to + most]:
                ingress.view.apply(PARTITION, key, value)
                ingress.read_to += 1

    def ingress_dies(self, ingress: Ingress) -> None:
        """What it had said and not yet sent is lost; its calls go on without it, or are lost too."""
        self.orphans += ingress.calls
        self.ingresses[self.ingresses.index(ingress)] = self._new_ingress()

    def bill(self) -> None:
        """One more batch of usage is in ClickHouse; the settlement of an old one may come again."""
        end = min(len(self.usage), self.settled_to + self.random.randint(1, 10))
        if end == self.settled_to:
            return
        batch = self.usage[self.settled_to : end]
        refs = [(lease_ref(said.ref), said.cost) for said in batch]
        command = Settlements(
            batches=(
                Settlement(
                    usage_partition=0,
                    first=self.settled_to,
                    end=end,
                    scopes=(ScopeDelta(scope=SCOPE, day="2026-11-22", delta_pico_usd=sum(c for _, c in refs)),),
                    leases=tuple(
                        LeaseDelta(ledger_id=ref.ledger_id, lease_id=ref.lease_id, delta_pico_usd=cost)
                        for ref, cost in refs
                    ),
                ),
            )
        )
        self.settled_to = end
        value = SPEND_COMMAND.encode(SpendCommandRecord(command=command))
        self.commands.append(value)
        if self.random.random() < 0.2:
            self.late.append(value)

    def say_clock(self) -> None:
        """A call counts as reported on when the report is settled, not when it is in Kafka."""
        unsettled = self.usage[self.settled_to :]
        settled_ms = unsettled[0].at_ms - 1 if unsettled else self.clock.now_ms()
        open_deadlines = [*(call.deadline_ms for call in self._all_calls()), *(said.deadline_ms for said in unsettled)]
        due = [deadline_ms + SWEEP_GRACE_MS for deadline_ms in open_deadlines]
        said = UsageClock(
            usage_partition=0,
            partitions=1,
            end=self.settled_to,
            settled_through_ms=settled_ms,
            swept_through_ms=min([settled_ms, *due]),
        )
        self.commands.append(SPEND_COMMAND.encode(SpendCommandRecord(command=said)))

    def pass_time(self, seconds: float) -> None:
        """Nobody outlives his deadline: calls end, and what their processes cannot report is reported at its bound."""
        self.clock.s += seconds
        now_ms = self.clock.now_ms()
        for ingress in self.ingresses:
            for call in [call for call in ingress.calls if call.deadline_ms <= now_ms]:
                ingress.calls.remove(call)
                self._finish(ingress, call)
        for call in [call for call in self.orphans if call.deadline_ms <= now_ms]:
            self.orphans.remove(call)
            self._cost(call, 1.0)

    # What must hold, and how it stands.

    @property
    def committed_money(self) -> int:
        """Spent for real, or still to be spent by calls that were let go ahead."""
        return self.spent + sum(call.bound for call in self._all_calls())

    @property
    def state(self) -> LedgerState | None:
        value = next((value for _, value in reversed(self.states)), None)
        return None if value is None else LEDGER.decode(value)

    def settle_down(self) -> None:
        """Everybody is well from now on and has nothing more to do."""
        for ingress in self.ingresses:
            ingress.cut_off = False
        while self.orphans:
            self.finish_orphan()
        for _ in range(200):
            for ingress in self.ingresses:
                for waiter in list(ingress.waiting):
                    self._account(ingress).leave(waiter, self.clock.s)
                ingress.waiting.clear()
                self.finish(ingress)
            self.calm_step(0.5)

    def calm_step(self, seconds: float) -> None:
        """Everything is carried, once."""
        self.pass_time(seconds)
        while self.settled_to < len(self.usage):
            self.bill()
        self.say_clock()
        for ingress in self.ingresses:
            self.speak(ingress)
            self.commands += ingress.outbox
            ingress.outbox.clear()
        while self.applied < len(self.commands):
            self.decide()
        self.decide()
        for ingress in self.ingresses:
            self.hear(ingress, len(self.states))

    # Inner parts.

    def _account(self, ingress: Ingress) -> LeaseAccount:
        return ingress.book.hard_charges((SCOPE,), self.clock.now_ms())[0].account

    def _admit(self, ingress: Ingress, hold: LeaseHold) -> None:
        ingress.calls.append(Call(hold.amount, hold.lease.ref, self.clock.now_ms() + LONGEST_MS, hold))

    def _finish(self, ingress: Ingress, call: Call) -> None:
        assert call.hold is not None
        cost = self._cost(call, self.random.choice((0.0, 0.1, 1.0)))
        self._account(ingress).settle(call.hold, cost, self.clock.s)

    def _cost(self, call: Call, part: float) -> int:
        cost = int(call.bound * part)
        self.spent += cost
        self.usage.append(Usage(cost, call.ref, self.clock.now_ms(), call.deadline_ms))
        return cost

    def _all_calls(self) -> list[Call]:
        return [*self.orphans, *(call for ingress in self.ingresses for call in ingress.calls)]

    def _new_authority(self) -> LedgerBook:
        return LedgerBook(PARTITION, self.budgets, self.clock.s, self.clock.now_ms())

    def _new_ingress(self) -> Ingress:
        self.lives += 1
        directory, view = Directory(), LedgerView()
        tell(directory, self.budget)
        book = AccountBook(directory, view, f"i{self.lives}", LONGEST_MS, RULES, self.clock.monotonic_s)
        return Ingress(book, view)
