"""What the topic `spend` says of every ledger: the last state that counts. Pure: it is fed by a FencedTable."""

from schemas.spend import LEDGER, LedgerState


class LedgerTable:
    """It also sees what this process writes, once that has been read back."""

    def __init__(self) -> None:
        self._states: dict[int, dict[str, LedgerState]] = {}

    def apply(self, partition: int, ledger_id: str, value: bytes | None) -> None:
        """Raises UndecodableRecord; the ledger then stays as it was."""
        states = self._states.setdefault(partition, {})
        if value is None:
            states.pop(ledger_id, None)
        else:
            states[ledger_id] = LEDGER.decode(value)

    def states(self, partition: int) -> dict[str, LedgerState]:
        return dict(self._states.get(partition, {}))
