"""Replicas that share rate limits, over a log that each reads as far as the test lets it."""

from ingress.admission import Ask, Refusal
from ingress.directory import Caller
from ingress.rates.announcements import Announcements
from ingress.rates.meters import Meters
from ingress.rates.rate_limits import RateLimits, RateTicket
from ingress.rates.shares import Shares
from ingress.worst_case import WorstCase
from runtime.clock import Clock
from schemas.replicas import REPLICA, ReplicaRecord
from schemas.tenancy import NO_LIMITS, ApiKey, Limits, Project
from tests.fakes.clock import HandClock

CONCURRENT = "key/k/concurrent"
REQUESTS = "key/k/requests"
TOKENS = "key/k/tokens"


def ask_of(key: Limits = NO_LIMITS, project: Limits = NO_LIMITS, tokens: int = 0, api_key_id: str = "k") -> Ask:
    """A request that is taken for so many tokens."""
    caller = Caller(
        ApiKey(api_key_id=api_key_id, project_id="p", key_sha256="0" * 64, limits=key),
        Project(project_id="p", organization_id="o", limits=project),
    )
    return Ask(caller, (), WorstCase(0, 0, tokens, True, tokens), 0)


class Replica:
    def __init__(self, replica_id: str, clock: Clock, log: list[bytes], start_at: int = 0) -> None:
        self.id = replica_id
        self.shares = Shares(replica_id)
        self.meters = Meters(self.shares)
        self.announcements = Announcements(self.meters, self.shares, clock)
        self.rates = RateLimits(self.meters, self.shares, clock, self._count_short)
        self.times_short = 0
        self._log = log
        self.position = start_at

    def _count_short(self) -> None:
        self.times_short += 1

    def say(self, record: ReplicaRecord | None) -> None:
        if record is not None:
            self._log.append(REPLICA.encode(record))

    def beat(self) -> None:
        self.say(self.announcements.next_beat())

    def read(self, records: int | None = None) -> None:
        end = len(self._log) if records is None else min(len(self._log), self.position + records)
        while self.position < end:
            self.position += 1
            self.announcements.hear(REPLICA.decode(self._log[self.position - 1]))

    def admit(self, ask: Ask) -> RateTicket:
        ticket = self.rates.admit(ask)
        assert not isinstance(ticket, Refusal), ticket
        return ticket

    def refusal(self, ask: Ask) -> Refusal:
        ticket = self.rates.admit(ask)
        assert isinstance(ticket, Refusal)
        return ticket

    def let_through(self, ask: Ask, times: int) -> int:
        """How many of so many requests, none of which ends."""
        return sum(not isinstance(self.rates.admit(ask), Refusal) for _ in range(times))


class Fleet:
    def __init__(self, size: int) -> None:
        self.clock = HandClock()
        self.log: list[bytes] = []
        self.replicas: list[Replica] = []
        for number in range(size):
            self.join(f"r{number}")
        self.settle()

    def join(self, replica_id: str) -> Replica:
        replica = Replica(replica_id, self.clock, self.log)
        replica.read()
        self.replicas.append(replica)
        return replica

    def beat(self) -> None:
        """A second passes, everybody speaks, in order, and reads all."""
        self.clock.move(1)
        for replica in self.replicas:
            replica.beat()
            for each in self.replicas:
                each.read()

    def settle(self) -> None:
        """Until all know one another."""
        self.beat()
        self.beat()

    def shares_of(self, name: str, limit: int) -> list[int]:
        return [replica.shares.own(name, limit) for replica in self.replicas]
