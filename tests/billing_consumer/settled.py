"""An authority of the simplest kind: adds up settlements, and knows a repetition by its bounds."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.spend import Settlement


@dataclass
class SettledSums:
    """Pico-USD by scope and day, and by ledger and lease. `through`: by partition of spend and of usage."""

    by_scope: dict[tuple[str, str], int] = field(default_factory=dict)
    by_lease: dict[tuple[str, str], int] = field(default_factory=dict)
    through: dict[tuple[int, int], int] = field(default_factory=dict)
    repetitions: int = 0

    def add(self, partition: int, settlements: Iterable[Settlement]) -> None:
        for settlement in settlements:
            place = (partition, settlement.usage_partition)
            if settlement.end <= self.through.get(place, 0):
                self.repetitions += 1
                continue
            assert settlement.first >= self.through.get(place, 0), "a settlement that is half a repetition"
            self.through[place] = settlement.end
            for change in settlement.scopes:
                key = (change.scope, change.day)
                self.by_scope[key] = self.by_scope.get(key, 0) + change.delta_pico_usd
            for lease in settlement.leases:
                at = (lease.ledger_id, lease.lease_id)
                self.by_lease[at] = self.by_lease.get(at, 0) + lease.delta_pico_usd
