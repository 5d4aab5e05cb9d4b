"""A world for the ledger to be wrong in: ingresses, workers, usage, ClickHouse and two logs, all in memory, on one
simulated time. It keeps its own account of what has really been spent."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from billing_consumer.authority.ledger import Ledger
from billing_consumer.authority.ledger_book import LedgerBook
from billing_consumer.authority.pending_ledger import Opening
from schemas.budgets import Budget, day_of, ledger_id, period_at
from schemas.fencing import MARKER_KEY, Fence, Stamp
from schemas.spend import (
    LeaseDelta,
    LeaseReport,
    LeaseReports,
    LedgerState,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommand,
    UsageClock,
    spend_partition,
)

BEGIN_MS = 1_790_034_600_000
"""2026-09-21 23:50 UTC."""

TTL_S = 15.0
GOOD_FOR_S = 14.0
LONGEST_S = 30.0
GRACE_S = 5.0
USAGE_PARTITIONS = 2
LIMIT = 1_000
SCOPE = "project:p"
PARTITION = spend_partition(SCOPE)


def budget(budget_id: str, limit: int = LIMIT, **changes: object) -> Budget:
    fields = {"period": "daily", "scope_kind": "project", "scope_id": "p", "organization_id": "o"} | changes
    return Budget(budget_id=budget_id, limit_pico_usd=limit, **fields)  # type: ignore[arg-type]


class Config:
    def __init__(self, *budgets: Budget) -> None:
        self.budgets = {b.budget_id: b for b in budgets}

    def budget(self, budget_id: str) -> Budget | None:
        return self.budgets.get(budget_id)

    def budgets_of(self, scope: str) -> tuple[Budget, ...]:
        return tuple(b for b in self.budgets.values() if b.scope == scope)


@dataclass(eq=False)
class Lease:
    """As in decision 5: what may be used is the smallest of what was granted and of what was asked for since."""

    ledger_id: str
    lease_id: str
    seq: int = 0
    used: int = 0
    held: int = 0
    granted: int = 0
    answered_seq: int = 0
    valid_until_s: float = -1.0
    asked: list[tuple[int, int, float]] = field(default_factory=list)
    draining: bool = False
    closing: bool = False

    @property
    def effective(self) -> int:
        return min([self.granted, *(want for seq, want, _ in self.asked if seq > self.answered_seq)])

    def answer(self, state: LedgerState) -> None:
        for said in state.leases:
            if said.lease_id == self.lease_id and self.answered_seq <= said.seq <= self.seq:
                self.valid_until_s = next(at for seq, _, at in self.asked if seq == said.seq) + GOOD_FOR_S
                self.answered_seq, self.granted = said.seq, said.granted_pico_usd
                if said.phase != "open":
                    self.valid_until_s = -1.0


@dataclass(eq=False)
class Request:
    """A vendor call that can cost `bound`, and does cost `cost`. leases: by ledger."""

    number: int
    day: str
    leases: dict[str, Lease]
    bound: int
    cost: int
    due_s: float
    usage_partition: int
    over: bool = False
    """Its ingress has settled the hold."""


@dataclass(eq=False)
class Ingress:
    name: str
    clock_error_s: float
    frozen: bool = False
    leases: list[Lease] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    unsent: list[LeaseReports] = field(default_factory=list)
    made: int = 0
    read: int = 0
    fence: Fence = field(default_factory=Fence)
    view: dict[str, LedgerState] = field(default_factory=dict)

    def current(self, name: str) -> Lease | None:
        return next((lease for lease in self.leases if lease.ledger_id == name and not lease.draining), None)


@dataclass(frozen=True)
class Usage:
    """kind: intent, worker (the true cost), ingress or audit (the bound)."""

    kind: str
    request: Request
    at_ms: int


@dataclass(eq=False)
class Authority:
    book: LedgerBook
    stamp: Stamp
    position: int
    wall_error_s: float
    desk: list[Opening] = field(default_factory=list)


class World:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.now_s = 0.0
        self.commands: list[SpendCommand] = []
        self.committed = 0
        self.spend: list[tuple[Stamp, str, LedgerState | None]] = []
        self.usage: list[list[Usage]] = [[] for _ in range(USAGE_PARTITIONS)]
        self.done = [0] * USAGE_PARTITIONS
        self.swept_ms = [0] * USAGE_PARTITIONS
        self.unsent: list[list[Settlement]] = [[] for _ in range(USAGE_PARTITIONS)]
        self.rows: list[tuple[int, int, str, int]] = []
        """ClickHouse: (partition, offset, day, amount)."""
        self.counted: dict[Request, tuple[str, int]] = {}
        """By request: whose report counts, and its amount."""
        self.truly_spent: defaultdict[str, int] = defaultdict(int)
        self.highest_limit: defaultdict[str, int] = defaultdict(int)
        self.overstated = 0
        """What settlements charged above the true cost, at most, while the true one was still to come."""
        self.ingresses: list[Ingress] = []
        self.requests: list[Request] = []
        self.note_limits()
        self.authority = self.take_over()
        self.zombies: list[Authority] = []

    # Time.

    def true_ms(self) -> int:
        return BEGIN_MS + int(self.now_s * 1000)

    def note_limits(self) -> None:
        for b in self.config.budgets.values():
            self.highest_limit[b.budget_id] = max(self.highest_limit[b.budget_id], b.limit_at(self.true_ms()))

    # The authority.

    def take_over(self, wall_error_s: float = 0.0) -> Authority:
        term = max((stamp.term for stamp, _, _ in self.spend), default=0) + 1
        stamp = Stamp(term, f"authority-{term}", 0)
        self.spend.append((stamp, MARKER_KEY, None))
        book = LedgerBook(PARTITION, self.config, 500.0 + self.now_s, self.true_ms() + int(wall_error_s * 1000))
        for state in self.states().values():
            book.load(state)
        return Authority(book, stamp, self.committed, wall_error_s)

    def states(self) -> dict[str, LedgerState]:
        """What counts on `spend`, judged from the beginning of the log."""
        states: dict[str, LedgerState] = {}
        fence = Fence()
        for stamp, key, state in self.spend:
            if fence.admits(stamp) and key != MARKER_KEY:
                states.pop(key, None)
                if state is not None:
                    states[key] = state
        return states

    def times(self, authority: Authority) -> tuple[float, int]:
        return 500.0 + self.now_s, self.true_ms() + int(authority.wall_error_s * 1000)

    def work(self, authority: Authority, count: int) -> None:
        """Applies commands, in memory."""
        monotonic_s, now_ms = self.times(authority)
        for offset in range(authority.position, min(authority.position + count, len(self.commands))):
            before = self.granted(authority.book)
            authority.book.apply(self.commands[offset], monotonic_s, now_ms, offset)
            authority.position = offset + 1
            self.check_grants(authority.book, before)
        before = self.granted(authority.book)
        authority.book.tick(monotonic_s, now_ms)
        self.check_grants(authority.book, before)
        authority.desk += authority.book.openings()

    def answer_openings(self, authority: Authority) -> None:
        for asked in authority.desk:
            spent = self.spent_in_clickhouse(asked.period.start, asked.period.end, dict(asked.through))
            authority.book.opened(asked.ledger_id, spent, *self.times(authority))
        authority.desk.clear()

    def publish(self, authority: Authority) -> bool:
        """Whether it counts: a deposed authority finds its word void."""
        self.spend += [(authority.stamp, name, state) for name, state in authority.book.dirty()]
        return authority.stamp.rank >= max(stamp.rank for stamp, _, _ in self.spend)

    def commit(self, authority: Authority) -> None:
        if not authority.desk:
            self.committed = max(self.committed, authority.book.replay_from(authority.position))

    def spent_in_clickhouse(self, start: date, end: date, through: dict[int, int]) -> int:
        first, last = start.isoformat(), end.isoformat()
        return sum(
            amount
            for partition, offset, day, amount in self.rows
            if first <= day < last and offset < through.get(partition, 0)
        )

    def spent_by_rows(self, name: str) -> int:
        b = self.config.budgets[name.rpartition("@")[0]]
        period = period_at(b.period, date.fromisoformat(name.rpartition("@")[2]))
        return self.spent_in_clickhouse(period.start, period.end, {p: len(self.usage[p]) for p in range(2)})

    @staticmethod
    def granted(book: LedgerBook) -> dict[str, int]:
        return {name: sum(x.granted_pico_usd for x in ledger.state(0).leases) for name, ledger in ledgers_of(book)}

    @staticmethod
    def check_grants(book: LedgerBook, before: dict[str, int]) -> None:
        """A grant never goes beyond the limit in force. (A limit that was lowered may well lie below what is out.)"""
        for name, granted in World.granted(book).items():
            if granted > before.get(name, 0):
                state = dict(ledgers_of(book))[name].state(0)
                assert state.spent_pico_usd + state.outstanding_pico_usd <= state.limit_pico_usd, state

    # Usage.

    def resolve(self, used: Usage) -> int:
        """What a report changes: the worker's word outranks the ingress's, and that an audit's."""
        if used.kind == "intent":
            return 0
        rank = {"audit": 1, "ingress": 2, "worker": 3}
        known = self.counted.get(used.request)
        if known is not None and rank[known[0]] >= rank[used.kind]:
            return 0
        amount = used.request.cost if used.kind == "worker" else used.request.bound
        self.counted[used.request] = (used.kind, amount)
        if used.kind != "worker":
            self.overstated += amount - used.request.cost
        return amount - (0 if known is None else known[1])

    def settle(self, partition: int, count: int) -> None:
        """One batch into ClickHouse. Its settlement is sent by `send`, which must be before the next batch."""
        self.send(partition)
        first, log = self.done[partition], self.usage[partition]
        end = min(first + count, len(log))
        if end == first:
            return
        scopes: defaultdict[str, int] = defaultdict(int)
        leases: defaultdict[tuple[str, str], int] = defaultdict(int)
        for offset in range(first, end):
            request = log[offset].request
            amount = self.resolve(log[offset])
            self.rows.append((partition, offset, request.day, amount))
            scopes[request.day] += amount
            for name, lease in request.leases.items():
                leases[name, lease.lease_id] += amount
        self.done[partition] = end
        self.unsent[partition].append(
            Settlement(
                usage_partition=partition,
                first=first,
                end=end,
                scopes=tuple(ScopeDelta(scope=SCOPE, day=d, delta_pico_usd=a) for d, a in scopes.items()),
                leases=tuple(LeaseDelta(ledger_id=n, lease_id=i, delta_pico_usd=a) for (n, i), a in leases.items()),
            )
        )

    def send(self, partition: int) -> None:
        if self.unsent[partition]:
            self.commands.append(Settlements(batches=tuple(self.unsent[partition])))
            self.unsent[partition] = []

    def clock(self, partition: int) -> None:
        """Reports intents that are due, then says how far this partition has been worked off."""
        self.send(partition)
        log, done = self.usage[partition], self.done[partition]
        settled_ms = self.true_ms() if done == len(log) else log[done].at_ms
        lost = [r for r in self.requests if r.usage_partition == partition and self.is_lost(r, settled_ms)]
        for request in lost:
            self.report_usage("audit", request)
        if not lost:
            self.swept_ms[partition] = max(self.swept_ms[partition], settled_ms)
        self.commands.append(
            UsageClock(
                usage_partition=partition,
                partitions=USAGE_PARTITIONS,
                end=done,
                settled_through_ms=settled_ms,
                swept_through_ms=self.swept_ms[partition],
            )
        )

    def is_lost(self, request: Request, settled_ms: int) -> bool:
        due_ms = BEGIN_MS + int((request.due_s + GRACE_S) * 1000)
        return request not in self.counted and due_ms < settled_ms

    def report_usage(self, kind: str, request: Request) -> None:
        self.usage[request.usage_partition].append(Usage(kind, request, self.true_ms()))

    # Laws.

    def check(self) -> None:
        for name, spent in self.truly_spent.items():
            highest = self.highest_limit[name.partition("@")[0]]
            assert spent <= highest, f"{name}: {spent} were really spent of at most {highest}"
        for name, ledger in ledgers_of(self.authority.book):
            state = ledger.state(0)
            start, end = date.fromisoformat(state.period_start), date.fromisoformat(state.period_end)
            told = self.spent_in_clickhouse(start, end, state.through)
            assert state.spent_pico_usd == told, f"{name}: {state.spent_pico_usd} instead of {told}"
            highest = self.highest_limit[state.budget_id] + self.overstated
            assert state.spent_pico_usd + state.outstanding_pico_usd <= highest, state

    # What the ingresses say.

    def say(self, ingress: Ingress, lease: Lease, need: int, want: int, *, closing: bool = False) -> None:
        lease.seq += 1
        lease.asked.append((lease.seq, want, self.now_s))
        report = LeaseReport(
            ledger_id=lease.ledger_id,
            lease_id=lease.lease_id,
            seq=lease.seq,
            used_pico_usd=lease.used,
            need_pico_usd=need,
            want_pico_usd=want,
            closing=closing,
        )
        ingress.unsent.append(
            LeaseReports(
                holder=ingress.name,
                ttl_ms=int(TTL_S * 1000),
                longest_request_ms=int(LONGEST_S * 1000),
                reports=(report,),
            )
        )

    def ledgers_for(self, at_ms: int) -> list[str]:
        return [ledger_id(b.budget_id, period_at(b.period, day_of(at_ms))) for b in self.config.budgets.values()]


def ledgers_of(book: LedgerBook) -> Iterator[tuple[str, Ledger]]:
    yield from book._ledgers.items()
