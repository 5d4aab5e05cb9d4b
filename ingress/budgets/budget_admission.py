"""Does a request fit every hard budget that it touches? It holds its worst case on all of them, or on none.

When the leases have room, the answer is there at once and in memory. When not, it waits a moment for the authority, or
for others to settle; then it is told which of three things is true: the budget is spent (402), it would do if less were
in flight (429), or nobody can say (503).
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from ingress.admission import Ask, Refusal
from ingress.budgets.account_book import AccountBook, HardCharge
from ingress.budgets.budget_ticket import BudgetTicket, Held
from ingress.budgets.budget_words import Standing, budget_headers, busy, exceeded, unverified
from ingress.budgets.lease_account import LeaseAccount
from ingress.budgets.lease_hold import Waiter
from ingress.worst_case import WorstCase
from runtime.clock import Clock

DEFAULT_CAP_TOKENS = 4096
MIN_CAP_TOKENS = 64

MAX_WAITERS = 2000
"""On one budget. Each waits with its body in memory, and is not yet counted among the open requests."""


class _Plan(NamedTuple):
    amount: int
    cap_tokens: int | None


class BudgetAdmission:
    """`budget_wait_s`: the longest wait. `default_cap_tokens`: what a request that gives no cap may generate, if its
    budgets have so much; if they have less, as much as they have, but not less than `min_cap_tokens`."""

    def __init__(
        self,
        book: AccountBook,
        clock: Clock,
        *,
        budget_wait_s: float = 2.0,
        default_cap_tokens: int = DEFAULT_CAP_TOKENS,
        min_cap_tokens: int = MIN_CAP_TOKENS,
    ) -> None:
        self._book = book
        self._clock = clock
        self._budget_wait_s = budget_wait_s
        self._default_cap_tokens = default_cap_tokens
        self._min_cap_tokens = min_cap_tokens

    async def admit(self, ask: Ask) -> BudgetTicket | Refusal:
        charges = self._book.hard_charges(ask.scopes, ask.accepted_at_ms)
        plan = self._usual_plan(ask.worst_case)
        if not charges or plan.amount == 0:
            return self._unpaid(ask, is_free=bool(charges))
        now_s = self._clock.monotonic_s()
        held: list[Held] = []
        for charge in charges:
            hold = charge.account.hold(plan.amount, now_s)
            if hold is None:
                for account, taken in held:
                    account.settle(taken, 0, now_s)
                return await self._admit_later(ask)
            held.append((charge.account, hold))
        return self._ticket(ask, held, plan)

    async def _admit_later(self, ask: Ask) -> BudgetTicket | Refusal:
        until_s = self._clock.monotonic_s() + self._budget_wait_s
        woken = asyncio.Event()
        waiter = Waiter(woken.set)
        queues: set[LeaseAccount] = set()
        try:
            while True:
                now_s = self._clock.monotonic_s()
                # Looked up anew after every wait: budgets change, and an account that had gone idle is forgotten.
                charges = self._book.hard_charges(ask.scopes, ask.accepted_at_ms)
                if not charges:
                    return self._unpaid(ask, is_free=False)
                plan = self._plan(ask, charges)
                if isinstance(plan, Refusal):
                    return plan
                lacking = [c.account for c in charges if not c.account.fits(plan.amount, now_s, waiter)]
                if not lacking:
                    return self._ticket(ask, _hold_all(charges, plan.amount, now_s, waiter), plan)
                if now_s >= until_s:
                    return busy(self._headers(ask)) if lacking[0].verified(now_s) else unverified()
                # In every queue at once where there is no room, and in no other: who waits for one budget keeps nobody
                # from another.
                for account in queues.difference(lacking):
                    account.leave(waiter, now_s)
                if not queues and max(account.waiting for account in lacking) >= MAX_WAITERS:
                    return busy(self._headers(ask)) if lacking[0].verified(now_s) else unverified()
                queues = set(lacking)
                for account in lacking:
                    account.wait(waiter, plan.amount, now_s)
                woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(until_s - now_s):
                        await woken.wait()
        finally:
            now_s = self._clock.monotonic_s()
            for account in queues:
                account.leave(waiter, now_s)

    def _usual_plan(self, worst: WorstCase) -> _Plan:
        if worst.capped or worst.output_tokens <= self._default_cap_tokens or worst.output_token_pico_usd == 0:
            return _Plan(worst.cost_pico_usd(worst.output_tokens), None)
        return _Plan(worst.cost_pico_usd(self._default_cap_tokens), self._default_cap_tokens)

    def _plan(self, ask: Ask, charges: list[HardCharge]) -> _Plan | Refusal:
        """What to hold, now that it is known how much is left; 402 if that is too little whatever others do."""
        worst = ask.worst_case
        usual = self._usual_plan(worst)
        fewest_tokens = worst.output_tokens if worst.capped else min(self._min_cap_tokens, worst.output_tokens)
        least = worst.cost_pico_usd(fewest_tokens)
        reach = usual.amount
        for charge in charges:
            limit = charge.budget.limit_at(ask.accepted_at_ms)
            standing = Standing(charge.budget, limit, charge.account.spent)
            if least > standing.remaining:
                return exceeded(standing, least, self._headers(ask))
            reach = min(reach, charge.account.within_reach(limit))
        if reach >= usual.amount or usual.amount == least:
            return usual
        tokens = max(fewest_tokens, (reach - worst.input_pico_usd) // worst.output_token_pico_usd)
        return _Plan(worst.cost_pico_usd(tokens), tokens)

    def _ticket(self, ask: Ask, held: list[Held], plan: _Plan) -> BudgetTicket:
        return BudgetTicket(held, plan.amount, plan.cap_tokens, partial(self._headers, ask), self._clock.monotonic_s)

    def _unpaid(self, ask: Ask, *, is_free: bool) -> BudgetTicket:
        return BudgetTicket((), 0, None, partial(self._headers, ask), self._clock.monotonic_s, is_free=is_free)

    def _headers(self, ask: Ask) -> dict[str, str]:
        return budget_headers(self._book.standings(ask.scopes, ask.accepted_at_ms))


def _hold_all(charges: list[HardCharge], amount: int, now_s: float, waiter: Waiter) -> list[Held]:
    """All of them have been seen to have the room."""
    held: list[Held] = []
    for charge in charges:
        hold = charge.account.hold(amount, now_s, waiter)
        assert hold is not None, "no room where there was room a moment ago"
        held.append((charge.account, hold))
    return held
