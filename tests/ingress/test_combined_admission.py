"""Rate limits and budgets together: what one took is given back when the other says no."""

import asyncio
from typing import cast

import pytest

from ingress.admission import Ask, Refusal
from ingress.budgets.budget_admission import BudgetAdmission
from ingress.combined_admission import CombinedAdmission
from ingress.directory import Caller
from ingress.rates.rate_limits import RateLimits
from ingress.worst_case import FREE
from schemas.failures import Failure, FailureKind
from tests.fakes.tickets import FakeTicket
from tests.ingress.http_stack import KEY, PROJECT

ASK = Ask(Caller(KEY, PROJECT), (), FREE, 0)
NO_MONEY = Refusal(Failure(kind=FailureKind.PROJECT_BUDGET_EXCEEDED), {})
NO_ROOM = Refusal(Failure(kind=FailureKind.RATE_LIMITED), {})


class Rates(FakeTicket):
    cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


class Gate:
    """Both halves; `money`: what the budgets say, or that they never do."""

    def __init__(self, rates: Rates | Refusal, money: FakeTicket | Refusal | None) -> None:
        self.rates, self.money, self.asked = rates, money, 0

    def admission(self) -> CombinedAdmission:
        return CombinedAdmission(cast(RateLimits, _Rates(self)), cast(BudgetAdmission, _Budgets(self)))


class _Rates:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def admit(self, _ask: Ask) -> Rates | Refusal:
        return self._gate.rates


class _Budgets:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def admit(self, _ask: Ask) -> FakeTicket | Refusal:
        self._gate.asked += 1
        if self._gate.money is None:
            await asyncio.Event().wait()
            raise AssertionError("it never says anything")
        return self._gate.money


async def test_both_are_told_what_becomes_of_the_request() -> None:
    rates, money = Rates(headers={"a": "1"}), FakeTicket(headers={"b": "2"}, leases=("l",), gateway_cap_tokens=9)
    ticket = await Gate(rates, money).admission().admit(ASK)
    assert not isinstance(ticket, Refusal)
    assert (ticket.headers, ticket.leases, ticket.gateway_cap_tokens) == ({"a": "1", "b": "2"}, ("l",), 9)
    assert ticket.covers(5)
    ticket.answered()
    ticket.settle(7, 8)
    assert (rates.answers, rates.settled, money.asked, money.settled) == (1, [(7, 8)], [5], [(7, 8)])
    assert rates.cancelled == 0


async def test_a_rate_limit_is_asked_first() -> None:
    gate = Gate(NO_ROOM, FakeTicket())
    assert await gate.admission().admit(ASK) is NO_ROOM
    assert gate.asked == 0


async def test_what_was_taken_of_a_limit_is_given_back_when_the_budget_refuses() -> None:
    rates = Rates()
    assert await Gate(rates, NO_MONEY).admission().admit(ASK) is NO_MONEY
    assert rates.cancelled == 1


async def test_or_when_the_client_goes_while_it_waits() -> None:
    rates = Rates()
    waiting = asyncio.get_running_loop().create_task(Gate(rates, None).admission().admit(ASK))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert rates.cancelled == 1
