"""What each budget scope has spent, as last published on the `spend` topic. Pure."""

from schemas.spend import SPEND, Scope, SpendState


class SpendView:
    def __init__(self) -> None:
        self._states: dict[tuple[Scope, str], SpendState] = {}

    def apply(self, value: bytes) -> None:
        """One record of the topic. Raises UndecodableRecord.

        A billing consumer that has lost its partition may publish an old total late: the newest look wins, not the last
        to arrive.
        """
        state = SPEND.decode(value)
        known = self._states.get((state.scope, state.scope_id))
        if known is None or state.as_of_ms >= known.as_of_ms:
            self._states[(state.scope, state.scope_id)] = state

    def spent_pico_usd(self, scope: Scope, scope_id: str) -> int:
        """0 for a scope of which nothing was ever published."""
        state = self._states.get((scope, scope_id))
        return 0 if state is None else state.spent_pico_usd
