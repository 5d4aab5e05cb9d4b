"""Puts the parts of rate limits together, for `ingress.service`."""

from ingress.rates.announcements import Announcements
from ingress.rates.announcer import Announcer, MakeReader
from ingress.rates.meters import Meters
from ingress.rates.rate_limits import RateLimits
from ingress.rates.shares import Shares
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Supervisor


def make_rates(
    replica_id: str, producer: DurableProducer, make_reader: MakeReader, clock: Clock, supervisor: Supervisor
) -> tuple[RateLimits, Announcer]:
    """`replica_id`: of this life of this process, never used before. The announcer is to be started after the producer,
    and stopped when no request is open any more."""
    shares = Shares(replica_id)
    meters = Meters(shares)
    announcer = Announcer(Announcements(meters, shares, clock), shares, producer, make_reader, clock, supervisor)
    return RateLimits(meters, shares, clock, announcer.be_short), announcer
