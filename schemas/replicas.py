"""What ingress replicas tell one another each second on the topic `replicas`, so that each rate limit is kept by all of
them together. How it is read: `ingress.rates.shares`.
"""

import msgspec

from schemas.codec import RecordCodec


class LimitUse(msgspec.Struct, frozen=True, array_like=True):
    """One rate limit at one replica. Requests, tokens or concurrent requests, according to the limit.

    limit: the whole limit, as this replica's configuration has it. ask: as much of it as this replica wants for its
    own, and from the moment of sending it takes no more. demand: how much its clients have asked for of late, refused
    or not; 0 if none has, and the limit is only mentioned because others use it.
    """

    name: str
    limit: int
    ask: int
    demand: int


class ReplicaRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a `replicas` record; its key is the replica's id, which is that of one life of one process.

    seq: rises with every record of the replica, so a repetition is known. beat: rises by one with each that is sent in
    its turn, a second or more after the last; those sent out of turn have the beat of the one before. known: the other
    replicas that it takes for living. urgent: clients are being refused for want of a share, so the others should
    answer at once. leaving: this is the last one.
    """

    replica_id: str
    seq: int
    beat: int
    at_ms: int
    known: tuple[str, ...]
    limits: tuple[LimitUse, ...] = ()
    urgent: bool = False
    leaving: bool = False
    v: int = 1


REPLICA = RecordCodec(ReplicaRecord, major=1)


class ReplicaAge(msgspec.Struct, frozen=True):
    """Of a record only its age: most of what a starting replica finds in the topic is too old to be read further."""

    at_ms: int
    v: int = 1


REPLICA_AGE = RecordCodec(ReplicaAge, major=1)
