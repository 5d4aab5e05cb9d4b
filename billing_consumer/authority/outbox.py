"""Which ledger states are to be written now, and which may wait for more. Pure.

Somebody waits for a grant, so it goes out at once. Spending moves with every batch of usage, for every ledger: those
states are held back for a moment, together, so that a busy ledger costs two records a second and not twenty. They are
held back *together* because offsets are committed only when nothing is held back any more.
"""

from collections.abc import Mapping

import msgspec

from schemas.spend import LedgerState

HOLD_BACK_S = 0.5

State = LedgerState | None
"""None: the ledger is retired."""


class Outbox:
    """Of one partition, for one term."""

    def __init__(self, written: Mapping[str, LedgerState]) -> None:
        self._written = dict(written)
        self._held: dict[str, State] = {}
        self._held_since_s: float | None = None

    def put(self, ledger_id: str, state: State, monotonic_s: float) -> None:
        """The latest state of a ledger takes the place of an earlier one."""
        self._held[ledger_id] = state
        if self._held_since_s is None:
            self._held_since_s = monotonic_s

    @property
    def empty(self) -> bool:
        return not self._held

    def due(self, monotonic_s: float) -> dict[str, State]:
        """Takes out what is to be written now."""
        if self._held_since_s is None:
            return {}
        if monotonic_s - self._held_since_s >= HOLD_BACK_S:
            due, self._held = self._held, {}
        else:
            due = {name: state for name, state in self._held.items() if is_urgent(self._written.get(name), state)}
            for name in due:
                del self._held[name]
        if not self._held:
            self._held_since_s = None
        for name, state in due.items():
            if state is None:
                self._written.pop(name, None)
            else:
                self._written[name] = state
        return due


def is_urgent(before: State, after: State) -> bool:
    """Whether more than spending has moved: a grant, the answer to a report, a limit, an alert."""
    if before is None or after is None:
        return before is not after
    return _without_spending(before) != _without_spending(after)


def _without_spending(state: LedgerState) -> LedgerState:
    leases = tuple(msgspec.structs.replace(lease, settled_pico_usd=0) for lease in state.leases)
    return msgspec.structs.replace(state, spent_pico_usd=0, through={}, as_of_ms=0, leases=leases)
