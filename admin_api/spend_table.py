"""What budgets have spent, as their authorities last wrote it to `spend`. Pure."""

from schemas.spend import LEDGER, LedgerState


class SpendTable:
    def __init__(self) -> None:
        self._ledgers: dict[str, LedgerState] = {}

    def apply_bytes(self, _partition: int, key: str, value: bytes | None) -> None:
        """For a runtime.kafka.fenced_table. Raises UndecodableRecord."""
        if value is None:
            self._ledgers.pop(key, None)
        else:
            self._ledgers[key] = LEDGER.decode(value)

    def get(self, ledger_id: str) -> LedgerState | None:
        return self._ledgers.get(ledger_id)
