"""May this request be started, and what does it hold until it is over? The seam of rate limits and budgets.

Every request that is admitted has a ticket. The ingress tells it when the client has its answer (`answered`), whether a
vendor call may be made (`covers`), and once what the request has cost (`settle`).
"""

from typing import NamedTuple, Protocol

from ingress.directory import Caller
from ingress.worst_case import WorstCase
from schemas.failures import Failure


class Ask(NamedTuple):
    """`scopes`: all that the request touches (`schemas.budgets.scopes_of`). `accepted_at_ms`: decides the period."""

    caller: Caller
    scopes: tuple[str, ...]
    worst_case: WorstCase
    accepted_at_ms: int


class Refusal(NamedTuple):
    """`headers`: what a caller's client can act upon (x-ratelimit-*, the budget's limit and rest)."""

    failure: Failure
    headers: dict[str, str]


class Ticket(Protocol):
    """Of one admitted request."""

    @property
    def leases(self) -> tuple[str, ...]:
        """For the envelope: `str(LeaseRef)` of each lease that the request is paid from."""

    @property
    def gateway_cap_tokens(self) -> int | None:
        """For the envelope: a cap that the client did not give."""

    @property
    def headers(self) -> dict[str, str]:
        """For the answer."""

    def covers(self, bound_pico_usd: int) -> bool:
        """Whether calls that can cost this much, all of the request's together, may be made. Holds more if need be."""

    def shortfall(self) -> Failure:
        """Why `covers` said no, for the client: the budget is spent, or what is left is held by others."""

    def answered(self) -> None:
        """The client has its answer, or has gone: its place among concurrent requests is free. Called once."""

    def settle(self, cost_pico_usd: int, tokens: int) -> None:
        """The request is over, its usage is in Kafka, and this is what it sums up to. Called exactly once."""


class Admission(Protocol):
    async def admit(self, ask: Ask) -> Ticket | Refusal:
        """At once if it can be said at once; else after a short wait for a lease. A cancelled wait holds nothing."""
