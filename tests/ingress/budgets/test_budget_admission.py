"""Admission against the real authority: all or none, waiting, and which of the three refusals is the true one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingress.admission import Ask, Refusal
from ingress.budgets import budget_admission
from ingress.budgets.budget_admission import BudgetAdmission
from ingress.budgets.budget_ticket import BudgetTicket
from runtime.clock import SystemClock
from schemas.budgets import Budget, Raise
from schemas.failures import FailureKind
from schemas.money import PICO_PER_USD
from schemas.spend import lease_ref
from tests.ingress.budgets.world import NOON_MS, HandClock, World, ask, budget

USD = PICO_PER_USD


class _Clock(HandClock):
    """Real seconds, in a day that never ends."""

    def monotonic_s(self) -> float:
        return SystemClock().monotonic_s()

    def now_ms(self) -> int:
        return NOON_MS


class Gate(World):
    """`is_answering`: whether the authority says anything."""

    def __init__(self, *budgets: Budget, wait_s: float = 0.3) -> None:
        clock = _Clock()
        clock.s = clock.monotonic_s()
        super().__init__(*budgets, clock=clock)
        self.admission = BudgetAdmission(self.book, clock, budget_wait_s=wait_s)
        self.is_answering = True

    async def live(self) -> None:
        while True:
            self.clock.s = self.clock.monotonic_s()
            self.collect()
            if self.is_answering:
                self.answer()
            await asyncio.sleep(0.005)

    async def admitted(self, ask: Ask) -> BudgetTicket:
        ticket = await self.admission.admit(ask)
        assert isinstance(ticket, BudgetTicket), ticket
        return ticket

    async def refused(self, ask: Ask) -> Refusal:
        refusal = await self.admission.admit(ask)
        assert isinstance(refusal, Refusal)
        return refusal

    def held(self) -> list[int]:
        return [c.account._held for scope in SCOPES for c in self.book.hard_charges((scope,), NOON_MS)]


SCOPES = ("api_key:k", "customer:o/c", "tag:o/a=b", "project:p", "organization:o")


@asynccontextmanager
async def gate(*budgets: Budget, wait_s: float = 0.3) -> AsyncIterator[Gate]:
    it = Gate(*budgets, wait_s=wait_s)
    life = asyncio.get_running_loop().create_task(it.live())
    try:
        yield it
    finally:
        life.cancel()


async def test_no_hard_budget_no_lease() -> None:
    async with gate(budget(1, enforcement="soft")) as it:
        ticket = await it.admitted(ask(10 * USD))
        assert ticket.leases == ()
        assert ticket.covers(10**30)
        ticket.settle(10 * USD, 0)
        assert it.records == []


async def test_it_is_held_on_every_scope_and_named_in_the_leases() -> None:
    kinds = [
        budget(100, "api_key", "k"),
        budget(200, "customer", "c"),
        budget(300, "tag", "a=b"),
        budget(400, "project", "p"),
        budget(500, "organization", "o"),
    ]
    async with gate(*kinds) as it:
        ticket = await it.admitted(ask(60, *SCOPES))
        assert [lease_ref(text).ledger_id.split("@")[0] for text in ticket.leases] == [b.budget_id for b in kinds]
        assert it.held() == [60] * 5
        ticket.settle(25, 0)
        assert it.held() == [0] * 5
        assert [c.account.spent for c in it.book.hard_charges(SCOPES, NOON_MS)] == [25] * 5
        with pytest.raises(RuntimeError):
            ticket.settle(25, 0)


@pytest.mark.parametrize(
    ("tight", "kind"),
    [
        (budget(50, "api_key", "k"), FailureKind.API_KEY_BUDGET_EXCEEDED),
        (budget(50, "customer", "c"), FailureKind.CUSTOMER_BUDGET_EXCEEDED),
        (budget(50, "tag", "a=b"), FailureKind.TAG_BUDGET_EXCEEDED),
        (budget(50, "project", "p"), FailureKind.PROJECT_BUDGET_EXCEEDED),
        (budget(50, "organization", "o"), FailureKind.ORGANIZATION_BUDGET_EXCEEDED),
    ],
)
async def test_what_does_not_fit_one_is_held_on_none(tight: Budget, kind: FailureKind) -> None:
    wide = budget(1000, "project", "p", name="wide")
    async with gate(tight, wide) as it:
        (await it.admitted(ask(10, *SCOPES))).settle(0, 0)
        refusal = await it.refused(ask(60, *SCOPES))
        assert refusal.failure.kind is kind
        assert refusal.failure.http_status == 402
        assert set(it.held()) == {0}


async def test_the_narrowest_scope_is_blamed_and_told_in_words() -> None:
    async with gate(budget(USD // 2, "api_key", "k"), budget(USD // 4, "organization", "o")) as it:
        (await it.admitted(ask(1, *SCOPES))).settle(0, 0)
        refusal = await it.refused(ask(USD, *SCOPES))
        assert refusal.failure.text == (
            "The daily budget of this API key does not cover this request: 0.5 of 0.5 USD is left, "
            "and the request can cost 1 USD. A lower cap on output costs less."
        )
        assert refusal.failure.code == "api_key_budget_exceeded"
        # Of the budget that refuses, although another is tighter.
        assert refusal.headers["X-Tollhouse-Budget-Scope"] == "api_key:k"
        assert refusal.headers["X-Tollhouse-Budget-Limit-Usd"] == "0.5"


async def test_what_others_hold_makes_it_wait_and_then_busy() -> None:
    async with gate(budget(100)) as it:
        first = await it.admitted(ask(80))
        refusal = await it.refused(ask(50))
        assert refusal.failure.kind is FailureKind.BUDGET_BUSY
        assert refusal.failure.retry_after_s == 1
        waiting = asyncio.get_running_loop().create_task(it.admission.admit(ask(50)))
        await asyncio.sleep(0)
        first.settle(10, 0)
        ticket = await waiting
        assert isinstance(ticket, BudgetTicket)
        assert it.held() == [50]


async def test_a_wait_ends_in_402_if_the_money_was_spent_meanwhile() -> None:
    async with gate(budget(100), wait_s=30) as it:
        first = await it.admitted(ask(80))
        waiting = asyncio.get_running_loop().create_task(it.admission.admit(ask(50)))
        await asyncio.sleep(0)
        first.settle(80, 0)
        it.spend(budget(100), 80)
        refusal = await waiting
        assert isinstance(refusal, Refusal)
        assert refusal.failure.kind is FailureKind.API_KEY_BUDGET_EXCEEDED


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    async with gate(budget(100), wait_s=30) as it:
        first = await it.admitted(ask(80))
        waiting = asyncio.get_running_loop().create_task(it.admission.admit(ask(90)))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (await it.admitted(ask(20))).leases, "nobody is in its way"
        assert it.held() == [100]
        first.settle(0, 0)


async def test_without_a_word_of_the_authority_it_is_refused_as_unverified() -> None:
    soft = budget(100, "project", "p", enforcement="soft")
    async with gate(budget(100), soft) as it:
        it.is_answering = False
        refusal = await it.refused(ask(10))
        assert refusal.failure.http_status == 503
        assert refusal.failure.retry_after_s == 1
        assert (await it.admitted(ask(10, "project:p"))).leases == (), "soft budgets go on"
        it.is_answering = True
        assert (await it.admitted(ask(10))).leases


async def test_a_stale_lease_is_unverified_too() -> None:
    async with gate(budget(100)) as it:
        ticket = await it.admitted(ask(10))
        it.is_answering = False
        (charge,) = it.book.hard_charges(("api_key:k",), NOON_MS)
        lease = charge.account._current
        assert lease is not None
        lease.valid_until_s = it.clock.monotonic_s()
        assert (await it.refused(ask(10))).failure.kind is FailureKind.BUDGET_UNVERIFIED
        assert ticket.covers(10)
        assert not ticket.covers(11)
        ticket.settle(10, 0)


async def test_a_spent_budget_is_402_even_then() -> None:
    async with gate(budget(0)) as it:
        it.is_answering = False
        assert (await it.refused(ask(10))).failure.http_status == 402


async def test_covers_extends_on_all_or_on_none() -> None:
    async with gate(budget(100), budget(150, "project", "p")) as it:
        other = await it.admitted(ask(10, "api_key:k"))
        ticket = await it.admitted(ask(10, *SCOPES))
        before = it.held()
        assert not ticket.covers(95)
        assert it.held() == before
        assert ticket.covers(15)
        assert it.held() == [25, 15]
        ticket.settle(15, 0)
        other.settle(10, 0)
        assert it.held() == [0, 0]


async def test_a_free_request_needs_no_budget_and_covers_nothing() -> None:
    async with gate(budget(0)) as it:
        ticket = await it.admitted(ask(0))
        assert ticket.covers(0)
        assert not ticket.covers(1)


class TestCaps:
    """A request that gives no cap of its own: 10 for reading it, 1 for each token, at most 100,000 tokens."""

    def uncapped(self, tokens: int = 100_000) -> Ask:
        return ask(10, token=1, tokens=tokens, capped=False)

    async def test_the_usual_cap_if_there_is_room(self) -> None:
        async with gate(budget(10_000)) as it:
            ticket = await it.admitted(self.uncapped())
            assert ticket.gateway_cap_tokens == 4096
            assert it.held() == [4106]

    async def test_none_if_the_route_itself_stops_before(self) -> None:
        async with gate(budget(10_000)) as it:
            assert (await it.admitted(self.uncapped(tokens=500))).gateway_cap_tokens is None

    async def test_none_without_a_hard_budget(self) -> None:
        async with gate(budget(10_000, enforcement="soft")) as it:
            assert (await it.admitted(self.uncapped())).gateway_cap_tokens is None

    async def test_less_if_there_is_less(self) -> None:
        async with gate(budget(1000), budget(600, "project", "p")) as it:
            (await it.admitted(ask(1, *SCOPES))).settle(1, 0)
            ask_both = self.uncapped()._replace(scopes=SCOPES)
            ticket = await it.admitted(ask_both)
            assert ticket.gateway_cap_tokens == 600 - 1 - 10
            assert it.held() == [599, 599]

    async def test_but_never_uselessly_little(self) -> None:
        async with gate(budget(73)) as it:
            refusal = await it.refused(self.uncapped())
            assert refusal.failure.http_status == 402
        async with gate(budget(74)) as it:
            assert (await it.admitted(self.uncapped())).gateway_cap_tokens == 64


async def test_headers_tell_of_the_tightest_and_warn() -> None:
    key, project = budget(USD), budget(10 * USD, "project", "p", enforcement="soft")
    tag = budget(20 * USD, "tag", "team=münchen")
    async with gate(key, project, tag) as it:
        scopes = ("api_key:k", "tag:o/team=münchen", "project:p")
        first = await it.admitted(ask(USD // 2, *scopes))
        assert first.headers == {
            "X-Tollhouse-Budget-Remaining-Usd": "1",
            "X-Tollhouse-Budget-Limit-Usd": "1",
            "X-Tollhouse-Budget-Scope": "api_key:k",
        }
        first.settle(USD * 83 // 100, 0)
        it.spend(tag, 11 * USD)
        it.answer()
        ticket = await it.admitted(ask(1000, *scopes))
        assert ticket.headers == {
            "X-Tollhouse-Budget-Remaining-Usd": "0.17",
            "X-Tollhouse-Budget-Limit-Usd": "1",
            "X-Tollhouse-Budget-Scope": "api_key:k",
            "X-Tollhouse-Budget-Warning": (
                "api_key:k at 83 % of its daily budget, tag:team=m%C3%BCnchen at 59 % of its daily budget"
            ),
        }
        assert all(value.isascii() for value in ticket.headers.values())


async def test_a_raise_holds_from_the_moment_in_which_it_is_known() -> None:
    async with gate(budget(100)) as it:
        (await it.admitted(ask(10))).settle(0, 0)
        assert isinstance(await it.admission.admit(ask(150)), Refusal)
        it.set(budget(100, raises=(Raise(amount_pico_usd=100, expires_at_ms=NOON_MS + 60_000),)))
        assert (await it.admitted(ask(150))).leases


async def test_many_at_once_never_hold_more_than_there_is() -> None:
    async with gate(budget(1000), budget(700, "project", "p"), wait_s=1) as it:
        spent = 0

        async def one(number: int) -> None:
            nonlocal spent
            ticket = await it.admission.admit(ask(1 + number % 50, *SCOPES))
            if isinstance(ticket, BudgetTicket):
                await asyncio.sleep(0.001 * (number % 5))
                cost = number % 50 // 2
                spent += cost
                ticket.settle(cost, 0)
            assert max(it.held()) <= 700

        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(one(number))
        assert it.held() == [0, 0]
        assert 600 < spent <= 700


async def test_no_more_than_so_many_wait_for_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its body in memory: the rest is told to come again."""
    monkeypatch.setattr(budget_admission, "MAX_WAITERS", 2)
    async with gate(budget(100, "project", "p"), wait_s=30) as it:
        first = await it.admitted(ask(90, *SCOPES))
        waiting = [asyncio.get_running_loop().create_task(it.admission.admit(ask(50, *SCOPES))) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        refusal = await it.refused(ask(50, *SCOPES))
        assert refusal.failure.kind is FailureKind.BUDGET_BUSY
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        first.settle(0, 0)
