"""What each budget scope has spent, as last published on the `spend` topic. Pure."""

from schemas.spend import SPEND, Scope


class SpendView:
    def __init__(self) -> None:
        self._spent: dict[tuple[Scope, str], int] = {}

    def apply(self, value: bytes) -> None:
        """One record of the topic. Raises UndecodableRecord."""
        state = SPEND.decode(value)
        self._spent[(state.scope, state.scope_id)] = state.spent_pico_usd

    def spent_pico_usd(self, scope: Scope, scope_id: str) -> int:
        """0 for a scope of which nothing was ever published."""
        return self._spent.get((scope, scope_id), 0)
