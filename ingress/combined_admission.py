"""Rate limits, then budgets: what costs nothing to check comes first, and what it took is given back if the other says
no.
"""

from ingress.admission import Ask, Refusal, Ticket
from ingress.budgets.budget_admission import BudgetAdmission
from ingress.budgets.budget_ticket import BudgetTicket
from ingress.rates.rate_limits import RateLimits, RateTicket
from schemas.failures import Failure


class CombinedTicket:
    __slots__ = ("_budgets", "_rates")

    def __init__(self, rates: RateTicket, budgets: BudgetTicket) -> None:
        self._rates = rates
        self._budgets = budgets

    @property
    def leases(self) -> tuple[str, ...]:
        return self._budgets.leases

    @property
    def gateway_cap_tokens(self) -> int | None:
        return self._budgets.gateway_cap_tokens

    @property
    def headers(self) -> dict[str, str]:
        return {**self._rates.headers, **self._budgets.headers}

    def covers(self, bound_pico_usd: int) -> bool:
        return self._budgets.covers(bound_pico_usd)

    def shortfall(self) -> Failure:
        return self._budgets.shortfall()

    def answered(self) -> None:
        self._rates.answered()

    def settle(self, cost_pico_usd: int, tokens: int) -> None:
        self._rates.settle(cost_pico_usd, tokens)
        self._budgets.settle(cost_pico_usd, tokens)


class CombinedAdmission:
    def __init__(self, rates: RateLimits, budgets: BudgetAdmission) -> None:
        self._rates = rates
        self._budgets = budgets

    async def admit(self, ask: Ask) -> Ticket | Refusal:
        rates = self._rates.admit(ask)
        if isinstance(rates, Refusal):
            return rates
        admitted = False
        try:
            budgets = await self._budgets.admit(ask)
            admitted = not isinstance(budgets, Refusal)
        finally:
            # Refused, or the client has gone away while it waited for a lease.
            if not admitted:
                rates.cancel()
        return budgets if isinstance(budgets, Refusal) else CombinedTicket(rates, budgets)
