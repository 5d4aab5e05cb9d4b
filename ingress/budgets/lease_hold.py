"""What one request holds of one ledger. Pure."""

from collections.abc import Callable

from ingress.budgets.lease import Lease


class LeaseHold:
    """`lease` is the one that the request's usage events name. Extensions may come from later leases: what of these is
    spent stays used there, because the events will be booked on the first, until that one has ended (`Lease.owe`). So
    money is set aside twice for a while, never not at all; it comes back when the later lease is closed and all usage
    of its time is settled."""

    __slots__ = ("_later", "amount", "lease")

    def __init__(self, lease: Lease, amount: int) -> None:
        lease.used += amount
        lease.held += amount
        self.lease = lease
        self.amount = amount
        self._later: tuple[tuple[Lease, int], ...] = ()

    def extend(self, lease: Lease, amount: int) -> None:
        lease.used += amount
        lease.held += amount
        if lease is self.lease:
            self.amount += amount
        else:
            self._later = (*self._later, (lease, amount))

    def settle(self, cost: int) -> None:
        """`cost` beyond the hold counts all the same: it has been spent."""
        rest = cost
        for later, amount in self._later:
            part = min(max(0, rest - self.amount), amount)
            rest -= part
            later.held -= amount
            later.used += part - amount
            if part:
                self.lease.owe(later, part)
        self.lease.held -= self.amount
        self.lease.used += rest - self.amount


class Waiter:
    """A request that waits for room, maybe in several accounts. `wake` is called when it is worth trying again; it only
    leaves word, and changes no queue."""

    __slots__ = ("wake",)

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
