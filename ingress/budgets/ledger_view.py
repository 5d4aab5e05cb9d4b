"""The ledgers as their authorities last wrote them to `spend`. Pure."""

from collections.abc import Callable

from schemas.spend import LEDGER, LedgerState


class LedgerView:
    """`changed(ledger_id, state)` is told of every change; None: the ledger is no more."""

    def __init__(self) -> None:
        self._states: dict[str, LedgerState] = {}
        self._changed: Callable[[str, LedgerState | None], None] | None = None

    def listen(self, changed: Callable[[str, LedgerState | None], None]) -> None:
        self._changed = changed

    def apply(self, partition: int, key: str, value: bytes | None) -> None:
        """One valid record of the topic. Raises UndecodableRecord."""
        state = LEDGER.decode(value) if value is not None else None
        if state is None:
            self._states.pop(key, None)
        else:
            self._states[key] = state
        if self._changed is not None:
            self._changed(key, state)

    def state(self, ledger_id: str) -> LedgerState | None:
        return self._states.get(ledger_id)
