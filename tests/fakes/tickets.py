"""Admission that lets everybody in, and tickets that remember what they were told."""

from dataclasses import dataclass, field

from ingress.admission import Ask, Refusal, Ticket
from schemas.failures import Failure, FailureKind


@dataclass
class FakeTicket:
    """`holds_pico_usd`: what calls may cost; None: anything."""

    leases: tuple[str, ...] = ()
    gateway_cap_tokens: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    holds_pico_usd: int | None = None
    asked: list[int] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    answers: int = 0

    def covers(self, bound_pico_usd: int) -> bool:
        self.asked.append(bound_pico_usd)
        return self.holds_pico_usd is None or bound_pico_usd <= self.holds_pico_usd

    def shortfall(self) -> Failure:
        return Failure(kind=FailureKind.BUDGET_BUSY, retry_after_s=1)

    def answered(self) -> None:
        self.answers += 1

    def settle(self, cost_pico_usd: int, tokens: int) -> None:
        self.settled.append((cost_pico_usd, tokens))


@dataclass
class FakeAdmission:
    """`refusal`: what everybody gets instead of a ticket. `ticket`: the next one's, if it is to be a special one."""

    refusal: Refusal | None = None
    ticket: FakeTicket | None = None
    asks: list[Ask] = field(default_factory=list)
    tickets: list[FakeTicket] = field(default_factory=list)

    async def admit(self, ask: Ask) -> Ticket | Refusal:
        self.asks.append(ask)
        if self.refusal is not None:
            return self.refusal
        ticket, self.ticket = self.ticket or FakeTicket(), None
        self.tickets.append(ticket)
        return ticket
