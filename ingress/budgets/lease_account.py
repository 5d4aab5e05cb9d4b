"""What an ingress has of one ledger: its leases, what requests hold of them, and who waits. Pure.

A request never pays from what the authority has not granted; that is all that exactness (G4) needs of this file. The
rest is about speaking seldom and waiting seldom: a lease is topped up ahead of need and replaced now and then, so that
what its requests held and did not spend finds its way home (decision 5).
"""

from collections.abc import Callable, Iterator
from math import ceil, inf

from ingress.budgets.demand import Demand
from ingress.budgets.lease import Lease
from ingress.budgets.lease_hold import LeaseHold, Waiter
from ingress.budgets.lease_rules import LeaseRules
from schemas.spend import LeaseReport, LeaseState, LedgerState

MAX_KEPT_BACK = 4
"""So many closed leases of ours may wait for their usage to be settled. More are not closed: while ClickHouse is away
they would pile up in the ledger's record, until Kafka takes it no more and its partition has no authority."""


class LeaseAccount:
    """`schedule(account)` is called when `due_at_s` has come nearer: then, at that time, `reports` must be sent.
    `open_lease(now_s)` makes a lease with a name that was never used before."""

    def __init__(
        self,
        ledger_id: str,
        state: LedgerState | None,
        rules: LeaseRules,
        open_lease: Callable[["LeaseAccount", float], Lease],
        schedule: Callable[["LeaseAccount"], None],
        now_s: float,
    ) -> None:
        self.ledger_id = ledger_id
        self.due_at_s = inf
        self.state = state
        self.is_short = False
        self._rules = rules
        self._open_lease = open_lease
        self._schedule = schedule
        self._current: Lease | None = None
        self._successor: Lease | None = None
        self._draining: list[Lease] = []
        self._waiters: dict[Waiter, int] = {}
        self._waiting = 0
        self._demand = Demand(now_s)
        self._low = -1
        self._last_hold_s = now_s
        self._routine_at_s = -inf
        self._give_back = False
        self._spent_without_us = 0
        self._read_state()

    # What requests do.

    def hold(self, amount: int, now_s: float, waiter: Waiter | None = None) -> LeaseHold | None:
        """None if there is no room, or none that those who wait longer do not need."""
        lease = self._current
        if lease is None or now_s >= lease.valid_until_s:
            return None
        left = lease.effective - lease.used - amount
        if left < (self._waiting if waiter is None else self._ahead_of(waiter)):
            return None
        hold = LeaseHold(lease, amount)
        self._last_hold_s = now_s
        demand = self._demand
        if amount > demand.round_largest or lease.held > demand.round_peak:
            demand.note_hold(amount, lease.held)
        if left < self._low:
            self._speak_by(now_s + self._rules.soon_s)
        return hold

    def fits(self, amount: int, now_s: float, waiter: Waiter) -> bool:
        """Whether `hold` would give it."""
        return self.has_room(amount + self._ahead_of(waiter), now_s)

    def has_room(self, amount: int, now_s: float) -> bool:
        """Whoever waits for it."""
        lease = self._current
        return lease is not None and now_s < lease.valid_until_s and amount <= lease.room

    def extend(self, hold: LeaseHold, amount: int, now_s: float) -> bool:
        """Whether there was room for so much more. A request that has started comes before those that wait."""
        lease = self._current
        if lease is None or not self.has_room(amount, now_s):
            return False
        hold.extend(lease, amount)
        self._demand.note_hold(amount, lease.held)
        if lease.room < self._low:
            self._speak_by(now_s + self._rules.soon_s)
        return True

    def settle(self, hold: LeaseHold, cost: int, now_s: float) -> None:
        hold.settle(cost)
        self._demand.unread_spending += cost
        lease = self._current
        if self._waiters:
            self._wake(now_s)
        if hold.lease is not lease:
            # It can only be given back. That may wait for the next renewal, unless somebody waits for it.
            if self._waiters or self.is_short:
                self._speak_by(now_s + self._rules.soon_s)
        elif lease.room > self._waiting and self.is_short:
            self._speak_by(now_s + self._rules.brisk_s)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def wait(self, waiter: Waiter, amount: int, now_s: float) -> None:
        """Queues, or, if it is in the queue, changes its amount and keeps its place."""
        before = self._waiters.get(waiter, 0)
        self._waiters[waiter] = amount
        self._waiting += amount - before
        self._demand.note_hold(amount, 0)
        if self._has_news(now_s):
            self._speak_by(self._next_word_s(now_s))

    def leave(self, waiter: Waiter, now_s: float) -> None:
        amount = self._waiters.pop(waiter, None)
        if amount is None:
            return
        self._waiting -= amount
        self._wake(now_s)
        lease = self._current
        if lease is not None and lease.last_need > max(lease.effective, lease.used + self._waiting):
            # The authority keeps a need in mind, and everybody gives back for it: it must hear that it is no more.
            self._speak_by(now_s + self._rules.brisk_s)

    # What admission decides by.

    def verified(self, now_s: float) -> bool:
        """Whether the authority has answered within the lease's time."""
        return self.state is not None and self._current is not None and now_s < self._current.valid_until_s

    @property
    def spent(self) -> int:
        """As far as it is known here: what the authority says, and what our requests have spent since."""
        return self._spent_without_us + sum(lease.unsettled for lease in self._leases())

    def within_reach(self, limit: int) -> int:
        """What a request could have now if nobody settled anything: our own room, and what nobody has."""
        if self.state is None:
            return limit
        room = self._current.room if self._current is not None else 0
        return room + max(0, limit - self.state.spent_pico_usd - self.state.outstanding_pico_usd)

    # What passes between us and the authority.

    @property
    def is_closed(self) -> bool:
        """There is nothing to say any more; the account may be forgotten."""
        return not self._waiters and next(self._leases(), None) is None

    def answer(self, state: LedgerState | None, now_s: float) -> None:
        """The ledger as it is now on `spend`; None: it is no more."""
        lowered = state is not None and self.state is not None and state.limit_pico_usd < self.state.limit_pico_usd
        self.state = state
        said = {lease.lease_id: lease for lease in state.leases} if state is not None else {}
        for lease in tuple(self._leases()):
            self._answer_lease(lease, said.get(lease.lease_id))
        self._read_state()
        if self._successor is not None and self._successor.answered_seq > 0:
            self._promote_successor()
        current = self._current
        self._low = self._low_mark(current)
        self._give_back = self._give_back or lowered
        if current is not None and current.room > self._waiting and (self._give_back or self.is_short):
            self._speak_by(now_s + self._rules.brisk_s)
        if self._waiters:
            self._wake(now_s)
            # What is left in the budget may have changed, and with it what the first in the queue asks for.
            next(iter(self._waiters)).wake()
            if self._has_news(now_s):
                self._speak_by(self._next_word_s(now_s))

    def reports(self, now_s: float) -> list[LeaseReport]:
        """What is to be said now. Whatever is returned must be sent, in this order."""
        self.due_at_s = inf
        routine = now_s >= self._routine_at_s
        self._demand.measure(now_s)
        self._turn_over(now_s)
        said: list[LeaseReport] = []
        if self._current is not None:
            said += self._report_open(self._current, now_s, routine=routine, waiting=self._waiting)
            if routine:
                self._demand.next_round(self._current.held, is_quiet=self._held == 0)
        if self._successor is not None and (routine or self._successor.seq == 0):
            said += self._report_open(self._successor, now_s, routine=True, waiting=0)
        for lease in self._draining:
            if routine or lease.effective > lease.used or (lease.may_close and not lease.closing):
                said.append(lease.report(self.ledger_id, lease.used, lease.used, now_s, closing=lease.may_close))
        self._draining = [lease for lease in self._draining if not self._is_forgotten(lease, now_s)]
        self._give_back = False
        self._low = -1
        if routine:
            # On a grid, so that all accounts of the process speak in the same record.
            renew_s = self._rules.renew_s
            self._routine_at_s = ceil((now_s + renew_s / 2) / renew_s) * renew_s
        if not self.is_closed:
            self._speak_by(self._routine_at_s)
        if self._waiters and not self.verified(now_s):
            # The authority may have come to know of the budget only now.
            self._speak_by(now_s + self._rules.again_s)
        return said

    def close_idle(self, now_s: float) -> list[LeaseReport]:
        """For the end of the process: returns what nobody holds. What is still held waits for the lease to die."""
        self._retire_current()
        self._retire_successor()
        return self.reports(now_s)

    # Inner parts.

    def _turn_over(self, now_s: float) -> None:
        """Opens, replaces and ends leases."""
        lease = self._current
        if lease is None:
            if self._waiters:
                self._current = self._open_lease(self, now_s)
            return
        if self._held == 0 and not self._waiters and now_s - self._last_hold_s >= self._rules.idle_s:
            if not self._too_many_kept_back(lease):
                self._retire_current()
                self._retire_successor()
        elif now_s - lease.opened_at_s >= self._rules.rotate_s and self._successor is None:
            if self._too_many_kept_back(lease):
                return
            if self.is_short:
                # There is nothing to spare for two at once.
                self._retire_current()
                self._turn_over(now_s)
            else:
                self._successor = self._open_lease(self, now_s)

    def _too_many_kept_back(self, lease: Lease) -> bool:
        holder = lease.lease_id.rpartition(".")[0]
        known = self.state.leases if self.state is not None else ()
        return sum(said.phase == "closing" and said.holder == holder for said in known) >= MAX_KEPT_BACK

    def _report_open(self, lease: Lease, now_s: float, *, routine: bool, waiting: int) -> list[LeaseReport]:
        need = lease.used + waiting
        ahead = 0 if self.is_short or self._give_back else self._demand.ahead(lease.held, self._rules.lookahead_ms)
        want = need + ahead
        unmet = need > lease.effective and need != lease.last_need
        gone = lease.last_need > max(need, lease.effective)
        low = lease.room < self._low
        idle = ahead == 0 and want < lease.effective
        stale = waiting > 0 and now_s >= lease.valid_until_s
        if not (routine or lease.seq == 0 or unmet or gone or low or idle or stale):
            return []
        return [lease.report(self.ledger_id, need, want, now_s)]

    def _answer_lease(self, lease: Lease, said: LeaseState | None) -> None:
        if said is None:
            if lease.answered_seq > 0:
                self._forget(lease)
            return
        lease.answer(said, self._rules.good_for_s)
        if said.phase == "closing":
            self._forget(lease)
        elif said.phase == "dead" and lease is self._current:
            self._retire_current()

    def _forget(self, lease: Lease) -> None:
        """The authority does not know it any more, or has its last word."""
        lease.end()
        if lease is self._current:
            self._current = None
        elif lease is self._successor:
            self._successor = None
        else:
            self._draining.remove(lease)

    def _retire_current(self) -> None:
        if self._current is not None:
            self._draining.append(self._current)
            self._current = None

    def _promote_successor(self) -> None:
        self._retire_current()
        self._current, self._successor = self._successor, None

    def _retire_successor(self) -> None:
        if self._successor is not None:
            self._draining.append(self._successor)
            self._successor = None

    def _is_forgotten(self, lease: Lease, now_s: float) -> bool:
        """The budget was deleted before its authority heard of the lease: it will never say anything."""
        return lease.closing and lease.answered_seq == 0 and now_s - lease.opened_at_s >= self._rules.forget_s

    @property
    def _held(self) -> int:
        return sum(lease.held for lease in self._leases())

    def _leases(self) -> Iterator[Lease]:
        if self._current is not None:
            yield self._current
        if self._successor is not None:
            yield self._successor
        yield from self._draining

    def _read_state(self) -> None:
        """Closing leases of others are spent too, and not yet counted so; ours are added where `spent` is asked for."""
        if self.state is None:
            self.is_short = False
            self._spent_without_us = 0
            return
        self.is_short = self.state.short
        ours = {lease.lease_id for lease in self._leases()}
        self._spent_without_us = self.state.spent_pico_usd + sum(
            lease.outstanding_pico_usd
            for lease in self.state.leases
            if lease.phase == "closing" and lease.lease_id not in ours
        )

    def _ahead_of(self, waiter: Waiter) -> int:
        if waiter not in self._waiters:
            return self._waiting
        ahead = 0
        for other, amount in self._waiters.items():
            if other is waiter:
                break
            ahead += amount
        return ahead

    def _low_mark(self, lease: Lease | None) -> int:
        """With less room than this, more is asked for before the next renewal."""
        low = self._demand.rate_per_s * self._rules.low_ms // 1000 + self._demand.largest
        if lease is None or lease.awaits_answer or lease.room < low:
            # It has asked already, or it did not get what it asked for: asking again at once would get it no more.
            return -1
        return low

    def _has_news(self, now_s: float) -> bool:
        """Whether those who wait need what the authority has not been told of."""
        lease = self._current
        if lease is None or now_s >= lease.valid_until_s:
            return True
        return lease.used + self._waiting > max(lease.effective, lease.last_need)

    def _wake(self, now_s: float) -> None:
        """Those at the head of the queue for whom there is room."""
        lease = self._current
        if lease is None or now_s >= lease.valid_until_s:
            return
        room = lease.room
        # Not over a copy: each of the thousands that may wait comes here when it leaves. `wake` changes no queue.
        for waiter, amount in self._waiters.items():
            room -= amount
            if room < 0:
                return
            waiter.wake()

    def _next_word_s(self, now_s: float) -> float:
        """At once; but while the last word is not answered, those who come now are told of together."""
        lease = self._current
        if lease is None or not lease.awaits_answer:
            return now_s
        return max(now_s, lease.last_sent_s + self._rules.brisk_s)

    def _speak_by(self, at_s: float) -> None:
        if at_s < self.due_at_s:
            self.due_at_s = at_s
            self._schedule(self)
