"""One lease as its ingress sees it: what may be committed under it, and what has been. Pure.

The authority's answers lag behind our reports. So what counts is the smaller of what it granted and of everything that
we have asked for since the report that it has answered: a report that asks for less gives money back at once on our
side, whatever the order in which the authority comes to know (decision 5).
"""

from collections import deque

from schemas.spend import LeaseReport, LeaseState

NEVER = float("-inf")


class Lease:
    """Amounts are totals over its life in pico-USD; times are monotonic seconds.

    used: spent by requests that are over, plus held by those that are not. effective: what `used` may grow to.
    pledged: of it, what was spent by requests whose usage names an older lease (`owe`), which has not ended yet.
    valid_until_s: the end of the time in which it may be drawn on; what is held already is not touched by it.
    """

    __slots__ = (
        "_debts",
        "_has_ended",
        "_unanswered",
        "answered_seq",
        "closing",
        "effective",
        "granted",
        "held",
        "last_need",
        "last_sent_s",
        "lease_id",
        "opened_at_s",
        "pledged",
        "ref",
        "seq",
        "settled",
        "used",
        "valid_until_s",
    )

    def __init__(self, lease_id: str, ref: str, now_s: float) -> None:
        self.lease_id = lease_id
        self.ref = ref
        self.opened_at_s = now_s
        self.seq = 0
        self.answered_seq = 0
        self.granted = 0
        self.effective = 0
        self.used = 0
        self.held = 0
        self.pledged = 0
        self.settled = 0
        self.last_need = 0
        self.last_sent_s = NEVER
        self.valid_until_s = NEVER
        self.closing = False
        self._unanswered: deque[tuple[int, int, float]] = deque()
        self._debts: list[tuple[Lease, int]] = []
        self._has_ended = False

    @property
    def room(self) -> int:
        return self.effective - self.used

    @property
    def may_close(self) -> bool:
        return self.held == 0 and self.pledged == 0

    @property
    def consumed(self) -> int:
        return self.used - self.held

    @property
    def unsettled(self) -> int:
        """Spent, and not yet in what the authority calls spent. What is pledged has its place at another lease."""
        return max(0, self.used - self.held - self.pledged - self.settled)

    @property
    def awaits_answer(self) -> bool:
        return bool(self._unanswered)

    def owe(self, later: "Lease", amount: int) -> None:
        """A request of this lease has spent `amount` of a later one. It will be settled here, where it hides as much of
        what others still hold: so the later one must not be let go before this one."""
        if not self._has_ended:
            later.pledged += amount
            self._debts.append((later, amount))

    def end(self) -> None:
        """Its last word is said, or its authority does not know it any more."""
        self._has_ended = True
        for later, amount in self._debts:
            later.pledged -= amount
        self._debts.clear()

    def report(self, ledger_id: str, need: int, want: int, now_s: float, *, closing: bool = False) -> LeaseReport:
        """The next report. From here on `want` is a bound. `need` ≥ used, `want` ≥ need."""
        self.seq += 1
        self.closing = self.closing or closing
        if closing:
            self.end()
        self.last_need = need
        self.last_sent_s = now_s
        self.effective = min(self.effective, want)
        self._unanswered.append((self.seq, want, now_s))
        return LeaseReport(
            ledger_id=ledger_id,
            lease_id=self.lease_id,
            seq=self.seq,
            used_pico_usd=self.used,
            need_pico_usd=need,
            want_pico_usd=want,
            closing=self.closing,
        )

    def answer(self, state: LeaseState, good_for_s: float) -> None:
        """What the authority has written of this lease; `good_for_s` counts from when the report that it answers was
        sent, so that no clocks need to agree and no time on the way is given away."""
        if not self.answered_seq <= state.seq <= self.seq:
            return
        while self._unanswered and self._unanswered[0][0] <= state.seq:
            seq, _, sent_at_s = self._unanswered.popleft()
            if seq == state.seq:
                self.valid_until_s = sent_at_s + good_for_s
        self.answered_seq = state.seq
        self.granted = state.granted_pico_usd
        self.settled = state.settled_pico_usd
        self.effective = min([self.granted, *(want for _, want, _ in self._unanswered)])
        if state.phase != "open":
            # Its holders' silence has been noticed. Until a later report has revived it, nothing new is started.
            self.valid_until_s = NEVER
