"""What this replica says to the others about its rate limits, and what follows from what they say. Pure."""

from ingress.rates.division import part_by_demand
from ingress.rates.meters import Meters
from ingress.rates.shares import Shares
from runtime.clock import Clock
from schemas.replicas import LimitUse, ReplicaRecord

MAX_LIMITS = 5_000
"""In one record. Limits beyond stay divided evenly."""

TURN_MS = 10_000
"""How long one replica keeps a part that cannot be divided among all who want it."""


class Announcements:
    def __init__(self, meters: Meters, shares: Shares, clock: Clock) -> None:
        self._meters = meters
        self._shares = shares
        self._clock = clock
        self._seq = self._beat = 0

    def hear(self, record: ReplicaRecord) -> None:
        """One record of the topic, this replica's own among them."""
        fellows, joined = self._shares.fellows, self._shares.joined
        changed = self._shares.apply(record)
        if (fellows, joined) != (self._shares.fellows, self._shares.joined):
            self._meters.all_shares_changed()
        else:
            self._meters.shares_changed(changed)

    def next_beat(self) -> ReplicaRecord:
        """In its turn, a second or more after the last. It must be sent: from now on its words bind this replica."""
        self._meters.fade(self._clock.monotonic_s())
        self._beat += 1
        return self._send(self._uses(), urgent=False)

    def out_of_turn(self, *, asked: bool, greet: bool) -> ReplicaRecord | None:
        """Something that cannot wait for the next beat, or None. `asked`: another replica is short, so what could be
        given to it is worth a word. `greet`: there is a newcomer, which has no part of anything until it is known."""
        uses = self._uses()
        short = [use for use in uses if use.demand and self._is_news(use)]
        given = asked and any(use.ask < self._own(use) for use in uses)
        if not short and not given and not greet:
            return None
        return self._send(uses, urgent=bool(short))

    def farewell(self) -> ReplicaRecord:
        return self._send([], urgent=False, leaving=True)

    def _is_news(self, use: LimitUse) -> bool:
        """The others do not know that clients are waiting here; or they have made room."""
        before = self._shares.mentioned(use.name)
        if use.ask > self._own(use):
            return True
        return (before is None or not before.demand) and self._own(use) < use.limit

    def _own(self, use: LimitUse) -> int:
        return self._shares.own(use.name, use.limit)

    def _uses(self) -> list[LimitUse]:
        """This replica's limits, those in most demand first; then those that only others use."""
        now_s = self._clock.monotonic_s()
        turn = self._clock.now_ms() // TURN_MS
        uses: list[LimitUse] = []
        named: set[str] = set()
        for name, limit, meter, kind in self._meters.in_use():
            meter.advance(now_s)
            uses.append(self._use(name, limit, meter.used(kind), meter.demand_now(kind), turn))
            named.add(name)
        if len(uses) > MAX_LIMITS:
            uses.sort(key=lambda use: -use.demand)
        for name, limit in self._shares.spoken_of_by_others().items():
            if len(uses) >= MAX_LIMITS:
                break
            if name not in named:
                uses.append(self._use(name, limit, 0, 0, turn))
        return uses[:MAX_LIMITS]

    def _use(self, name: str, limit: int, used: int, demand: int, turn: int) -> LimitUse:
        demands, rank = self._shares.demands(name, demand)
        target = part_by_demand(limit, demands, rank, turn)
        # No more than there is room for: what nobody could grant would only look like a claim to those who start later.
        ask = max(min(used, limit), min(target, self._shares.room(name, limit)))
        return LimitUse(name, limit, ask, demand)

    def _send(self, uses: list[LimitUse], *, urgent: bool, leaving: bool = False) -> ReplicaRecord:
        self._seq += 1
        self._meters.shares_changed(self._shares.sending(self._seq, uses))
        return ReplicaRecord(
            replica_id=self._shares.own_id,
            seq=self._seq,
            beat=self._beat,
            at_ms=self._clock.now_ms(),
            known=self._shares.fellows,
            limits=tuple(uses),
            urgent=urgent,
            leaving=leaving,
        )
