"""A small world for budgets: a clock that is moved by hand, budgets, and the billing consumer's real authority."""

from urllib.parse import quote

import msgspec

from billing_consumer.authority.ledger_book import LedgerBook
from ingress.admission import Ask
from ingress.budgets.account_book import AccountBook
from ingress.budgets.lease_rules import LeaseRules
from ingress.budgets.ledger_view import LedgerView
from ingress.directory import Caller, Directory
from ingress.worst_case import WorstCase
from schemas.budgets import Budget, BudgetPeriod, Enforcement, Raise, ScopeKind
from schemas.config_record import Change, ConfigRecord
from schemas.spend import (
    LEDGER,
    SPEND_COMMAND,
    LeaseDelta,
    ScopeDelta,
    Settlement,
    Settlements,
    SpendCommand,
    SpendCommandRecord,
    UsageClock,
    spend_partition,
)
from schemas.tenancy import ApiKey, Project

NOON_MS = 1_795_348_800_000
"""2026-11-22T12:00:00Z, a Sunday."""

LONGEST_MS = 60_000
RULES = LeaseRules()
CALLER = Caller(
    ApiKey(api_key_id="k", project_id="p", key_sha256="0" * 64), Project(project_id="p", organization_id="o")
)


class HandClock:
    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic_s(self) -> float:
        return self.s

    def now_ms(self) -> int:
        return NOON_MS + int((self.s - 1000) * 1000)


def budget(
    limit: int,
    scope_kind: ScopeKind = "api_key",
    scope_id: str = "k",
    *,
    period: BudgetPeriod = "daily",
    enforcement: Enforcement = "hard",
    raises: tuple[Raise, ...] = (),
    name: str | None = None,
) -> Budget:
    return Budget(
        budget_id=name or f"b-{scope_kind}-{quote(scope_id, safe='')}".replace("%", "."),
        organization_id="o",
        scope_kind=scope_kind,
        scope_id=scope_id,
        limit_pico_usd=limit,
        period=period,
        enforcement=enforcement,
        raises=raises,
    )


def tell(directory: Directory, budget: Budget, *, deleted: bool = False) -> None:
    directory.apply(
        ConfigRecord(
            kind="budget",
            entity_id=budget.budget_id,
            version=1,
            organization_id="o",
            entity=msgspec.Raw(b"null") if deleted else msgspec.Raw(msgspec.json.encode(budget)),
            change=Change(change_id="c", at_ms=0, actor="t", action="created"),
        )
    )


def ask(cost: int, *scopes: str, at_ms: int = NOON_MS, token: int = 0, tokens: int = 0, capped: bool = True) -> Ask:
    """A request that costs `cost` for its input and `token` for each of at most `tokens` generated ones."""
    return Ask(CALLER, scopes or ("api_key:k",), WorstCase(cost, token, tokens, capped, tokens), at_ms)


class BudgetList:
    """The authority's view of the configuration."""

    def __init__(self) -> None:
        self.budgets: dict[str, Budget] = {}

    def budget(self, budget_id: str) -> Budget | None:
        return self.budgets.get(budget_id)

    def budgets_of(self, scope: str) -> tuple[Budget, ...]:
        return tuple(b for b in self.budgets.values() if b.scope == scope)


class World:
    """One ingress and the authorities of all partitions; `pump` carries everything there and back at once."""

    def __init__(self, *budgets: Budget, clock: HandClock | None = None, rules: LeaseRules = RULES) -> None:
        self.clock = clock or HandClock()
        self.directory = Directory()
        self.view = LedgerView()
        self.book = AccountBook(self.directory, self.view, "i1", LONGEST_MS, rules, self.clock.monotonic_s)
        self.list = BudgetList()
        self.authorities = [
            LedgerBook(n, self.list, self.clock.s, self.clock.now_ms()) for n in range(self.book.partitions)
        ]
        self.records: list[SpendCommandRecord] = []
        self._usage_end = 0
        for each in budgets:
            self.set(each)
        self.say_clock()

    def set(self, budget: Budget) -> None:
        tell(self.directory, budget)
        self.list.budgets[budget.budget_id] = budget

    def say_clock(self) -> None:
        now_ms = self.clock.now_ms()
        said = UsageClock(
            usage_partition=0, partitions=1, end=self._usage_end, settled_through_ms=now_ms, swept_through_ms=now_ms
        )
        for number in range(len(self.authorities)):
            self.command(number, said)

    def command(self, partition: int, command: SpendCommand) -> None:
        self.authorities[partition].apply(command, self.clock.s, self.clock.now_ms())

    def spend(self, budget: Budget, cost: int, *leases: LeaseDelta) -> None:
        """A batch of usage that billing has settled; the ledger's word of it comes with the next `pump`."""
        self._usage_end += 1
        day = "2026-11-22"
        batch = Settlement(
            usage_partition=0,
            first=self._usage_end - 1,
            end=self._usage_end,
            scopes=(ScopeDelta(scope=budget.scope, day=day, delta_pico_usd=cost),),
            leases=leases,
        )
        self.command(spend_partition(budget.scope), Settlements(batches=(batch,)))

    def collect(self) -> int:
        """What the ingress has to say now, to the authorities. How many records it was."""
        before = len(self.records)
        for partition in range(self.book.partitions):
            while (record := self.book.collect(partition, self.clock.s)) is not None:
                self.records.append(record)
                self.command(partition, SPEND_COMMAND.decode(SPEND_COMMAND.encode(record)).command)
        return len(self.records) - before

    def answer(self) -> None:
        for partition, authority in enumerate(self.authorities):
            authority.tick(self.clock.s, self.clock.now_ms())
            for opening in authority.openings():
                authority.opened(opening.ledger_id, 0, self.clock.s, self.clock.now_ms())
            for key, state in authority.dirty():
                self.view.apply(partition, key, None if state is None else LEDGER.encode(state))

    def pump(self) -> None:
        self.collect()
        self.answer()

    def run(self, for_s: float, step_s: float = 0.05) -> None:
        """Time passes, and everybody says what he has to say."""
        until_s = self.clock.s + for_s
        while self.clock.s < until_s:
            self.clock.s += step_s
            self.say_clock()
            self.pump()
