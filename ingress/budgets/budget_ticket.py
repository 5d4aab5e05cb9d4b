"""What an admitted request holds of its budgets, until it is over. Pure."""

from collections.abc import Callable, Sequence

from ingress.budgets.budget_words import busy, overtaken
from ingress.budgets.lease_account import LeaseAccount
from ingress.budgets.lease_hold import LeaseHold
from schemas.failures import Failure

Held = tuple[LeaseAccount, LeaseHold]


class BudgetTicket:
    """`held`: the same amount on each hard budget; empty for a request that none covers or that costs nothing.
    `is_free`: there are hard budgets, but nothing is held of them. `headers_now()`: what to tell of the budgets."""

    __slots__ = (
        "_amount",
        "_asked",
        "_headers_now",
        "_held",
        "_is_free",
        "_is_settled",
        "_monotonic_s",
        "gateway_cap_tokens",
    )

    def __init__(
        self,
        held: Sequence[Held],
        amount_pico_usd: int,
        gateway_cap_tokens: int | None,
        headers_now: Callable[[], dict[str, str]],
        monotonic_s: Callable[[], float],
        *,
        is_free: bool = False,
    ) -> None:
        self._held = held
        self._amount = amount_pico_usd
        self.gateway_cap_tokens = gateway_cap_tokens
        self._headers_now = headers_now
        self._monotonic_s = monotonic_s
        self._is_free = is_free
        self._is_settled = False
        self._asked = amount_pico_usd

    @property
    def leases(self) -> tuple[str, ...]:
        return tuple([hold.lease.ref for _, hold in self._held])

    @property
    def headers(self) -> dict[str, str]:
        return self._headers_now()

    def covers(self, bound_pico_usd: int) -> bool:
        """Holds more on every budget, or on none."""
        self._asked = bound_pico_usd
        more = bound_pico_usd - self._amount
        if more <= 0:
            return True
        if not self._held:
            return not self._is_free
        if self._is_settled:
            return False
        now_s = self._monotonic_s()
        if not all(account.has_room(more, now_s) for account, _ in self._held):
            return False
        for account, hold in self._held:
            account.extend(hold, more, now_s)
        self._amount = bound_pico_usd
        return True

    def shortfall(self) -> Failure:
        """Why `covers` said no: the budget cannot pay for it, or others hold what is left."""
        for account, _ in self._held:
            state = account.state
            if state is not None and self._asked > state.limit_pico_usd - account.spent:
                limit = state.limit_pico_usd
                return overtaken(state.scope, limit, limit - account.spent, self._asked)
        return busy({}).failure

    def answered(self) -> None:
        """Money is held until the request is settled, whoever still waits for it."""

    def settle(self, cost_pico_usd: int, tokens: int) -> None:
        if self._is_settled:
            raise RuntimeError("a request was settled twice")
        self._is_settled = True
        if self._held:
            now_s = self._monotonic_s()
            for account, hold in self._held:
                account.settle(hold, cost_pico_usd, now_s)
