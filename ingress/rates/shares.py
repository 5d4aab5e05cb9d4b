"""How much of each limit this replica may use: decided by the log of `ReplicaRecord`s, by everybody alike. Pure.

    for every limit: the sum of what all replicas believe to have ≤ the limit, however far each has read

A replica asks; where its record lies in the log, it is granted what it asks for as far as the others leave room. It
takes no more than it asked for from the moment of sending, and no more than before until it has read itself. Before
anybody speaks of a limit, each replica has an even part of it, so that a quiet limit needs no word; once somebody does,
these parts are written down as if they had been asked for. Whoever then says nothing of it keeps that part, or less.

Whoever uses a limit never asks for less than it has used in the last minute, or has in flight. So what moves is only
what is free, and the minute's sum holds over all replicas, not only over the shares of one moment.

Who lives is decided by the log too, without comparing clocks: a replica is gone when another has told LIFE_BEATS times
that a second has passed, and it has said nothing. A newcomer has no even parts until all others have said that they
know it, for theirs are larger until then.
"""

from collections.abc import Iterable

from ingress.rates.division import even_part
from schemas.replicas import LimitUse, ReplicaRecord

LIFE_BEATS = 5


class _Replica:
    __slots__ = ("beat", "heard_at_beats", "joined", "known", "mentioned", "seq")

    def __init__(self) -> None:
        self.seq = self.beat = 0
        self.known: set[str] = set()
        self.joined = False
        self.mentioned: dict[str, LimitUse] = {}
        # The beat of each other replica when this one last spoke.
        self.heard_at_beats: dict[str, int] = {}


class _Held:
    """A limit that some replica speaks of: what each has been granted of it."""

    __slots__ = ("limit", "parts")

    def __init__(self, limit: int, parts: dict[str, int]) -> None:
        self.limit = limit
        self.parts = parts


class Shares:
    def __init__(self, own_id: str) -> None:
        self.own_id = own_id
        self._replicas: dict[str, _Replica] = {}
        self._ordered: list[tuple[str, _Replica]] = []
        self._held: dict[str, _Held] = {}
        # What was sent and not yet read back: by seq, the most that each limit named in it leaves us.
        self._sent: dict[int, dict[str, int]] = {}

    # What the log says.

    def apply(self, record: ReplicaRecord) -> set[str]:
        """One record, in the log's order. Gives the limits whose division may have changed."""
        sender = self._replicas.get(record.replica_id)
        if sender is not None and record.seq <= sender.seq:
            return set()
        changed = self._bury_the_silent(record)
        if record.leaving:
            return changed | self._remove(record.replica_id)
        if sender is None:
            sender = self._replicas[record.replica_id] = _Replica()
            self._ordered = []
        sender.seq, sender.beat = record.seq, record.beat
        sender.heard_at_beats = {name: other.beat for name, other in self._replicas.items()}
        sender.known = set(record.known)
        changed |= self._settle_limits(record, sender)
        if record.replica_id == self.own_id:
            self._sent = {seq: asks for seq, asks in self._sent.items() if seq > record.seq}
        self._join()
        return changed

    def _settle_limits(self, record: ReplicaRecord, sender: _Replica) -> set[str]:
        sender_id, before = record.replica_id, sender.mentioned
        sender.mentioned = {use.name: use for use in record.limits}
        for use in record.limits:
            held = self._held.get(use.name)
            if held is None:
                held = self._held[use.name] = _Held(use.limit, self._even_parts(use.limit))
            held.limit = use.limit
            others = sum(held.parts.values()) - held.parts.get(sender_id, 0)
            held.parts[sender_id] = max(0, min(use.ask, use.limit - others))
        for name in self._held.keys() - sender.mentioned.keys():
            held = self._held[name]
            if sender_id in held.parts:
                held.parts[sender_id] = min(held.parts[sender_id], self._even_part(sender_id, held.limit))
        for name in before.keys() - sender.mentioned.keys():
            self._forget_if_unspoken(name)
        return before.keys() | sender.mentioned.keys()

    def _forget_if_unspoken(self, name: str) -> None:
        """Then the even parts hold again: none of those who spoke of it last has kept more than that."""
        if not any(name in replica.mentioned for replica in self._replicas.values()):
            del self._held[name]

    def _bury_the_silent(self, record: ReplicaRecord) -> set[str]:
        changed: set[str] = set()
        for name, replica in list(self._replicas.items()):
            if name == record.replica_id:
                continue
            since = replica.heard_at_beats.setdefault(record.replica_id, record.beat)
            if record.beat - since >= LIFE_BEATS:
                changed |= self._remove(name)
        return changed

    def _remove(self, gone: str) -> set[str]:
        replica = self._replicas.pop(gone, None)
        self._ordered = []
        if replica is None:
            return set()
        # If it comes back it is a newcomer: that it was known means nothing any more.
        for other in self._replicas.values():
            other.known.discard(gone)
        # All, also those that nobody speaks of: their even parts have grown.
        changed = set(self._held)
        for name, held in list(self._held.items()):
            held.parts.pop(gone, None)
            self._forget_if_unspoken(name)
        self._join()
        return changed

    def _join(self) -> None:
        everybody = self._replicas.keys()
        for name, replica in self._replicas.items():
            replica.joined = replica.joined or (
                everybody <= replica.known | {name}
                and all(name in other.known for other_name, other in self._replicas.items() if other_name != name)
            )

    def _even_parts(self, limit: int) -> dict[str, int]:
        return {name: self._even_part(name, limit) for name, replica in self._replicas.items() if replica.joined}

    def _even_part(self, name: str, limit: int) -> int:
        """By the others that it said it knows: if it has since learnt of more, its own idea of its part is smaller."""
        replica = self._replicas[name]
        if not replica.joined:
            return 0
        fellows = sorted(replica.known & self._replicas.keys() | {name})
        return even_part(limit, len(fellows), fellows.index(name))

    # What follows for this replica.

    @property
    def joined(self) -> bool:
        """Everybody knows of this replica."""
        own = self._replicas.get(self.own_id)
        return own is not None and own.joined

    @property
    def fellows(self) -> tuple[str, ...]:
        """The other replicas that live."""
        return tuple(sorted(self._replicas.keys() - {self.own_id}))

    def own(self, name: str, limit: int) -> int:
        """What this replica may use of a limit now."""
        own = self._replicas.get(self.own_id)
        if own is None:
            return 0
        held = self._held.get(name)
        if held is not None:
            part = held.parts.get(self.own_id, 0)
        elif own.joined:
            # By all that it knows of by now, whether it has said so or not.
            everybody = sorted(self._replicas)
            part = even_part(limit, len(everybody), everybody.index(self.own_id))
        else:
            return 0
        for asks in self._sent.values():
            part = min(part, asks.get(name, part))
        return min(part, limit)

    def room(self, name: str, limit: int) -> int:
        """What this replica could be granted now if it asked for everything."""
        held = self._held.get(name)
        parts = self._even_parts(limit) if held is None else held.parts
        return max(0, limit - sum(parts.values()) + parts.get(self.own_id, 0))

    def demands(self, name: str, own_demand: int) -> tuple[list[int], int]:
        """What each living replica last said of its demand, and for this one `own_demand`, in the order of their ids;
        and this one's place among them."""
        demands: list[int] = []
        rank = 0
        for replica_id, replica in self._in_order():
            if replica_id == self.own_id:
                rank = len(demands)
                demands.append(own_demand)
            else:
                use = replica.mentioned.get(name)
                demands.append(0 if use is None else use.demand)
        return demands, rank

    def _in_order(self) -> list[tuple[str, _Replica]]:
        """Of those that live, and this one in any case."""
        if not self._ordered:
            self._ordered = sorted(({self.own_id: _Replica()} | self._replicas).items(), key=lambda item: item[0])
        return self._ordered

    def spoken_of_by_others(self) -> dict[str, int]:
        """Limits for which others have demand, with the whole limit as they see it."""
        return {
            use.name: use.limit
            for name, replica in self._replicas.items()
            if name != self.own_id
            for use in replica.mentioned.values()
            if use.demand
        }

    def mentioned(self, name: str) -> LimitUse | None:
        """What this replica last said of a limit, as far as it has read itself."""
        own = self._replicas.get(self.own_id)
        return None if own is None else own.mentioned.get(name)

    def sending(self, seq: int, limits: Iterable[LimitUse]) -> set[str]:
        """From now on this replica keeps to what it asks for in the record that it is about to send. Gives the limits
        of which it may have less now."""
        asks = {use.name: use.ask for use in limits}
        own = self._replicas.get(self.own_id)
        if own is not None:
            everybody = sorted(self._replicas)
            rank = everybody.index(self.own_id)
            for name in self._held.keys() - asks.keys():
                # No word of it: then it has at most its even part.
                asks[name] = even_part(self._held[name].limit, len(everybody), rank) if own.joined else 0
        self._sent[seq] = asks
        return set(asks)
