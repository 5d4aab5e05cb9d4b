"""What is compared with what, and how a difference is told. Pure; amounts are whole pico-USD, so equal means equal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from schemas.budgets import FOREVER, scopes_of
from schemas.spend import LeaseState, LedgerState

COST = "cost_usd"
"""The one measure that is money; all others are numbers of something."""

LEASE_SLACK_MS = 15_000
"""Clocks of hosts agree within five seconds; an intent gets as many more, and what is decided has to be written."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`where`: a day, a key, a request, … `left` and `right` are pico-USD if `measure` is COST."""

    check: str
    where: str
    measure: str
    left_name: str
    left: int
    right_name: str
    right: int

    @property
    def by(self) -> int:
        return self.right - self.left


@dataclass(frozen=True, slots=True)
class Checked:
    """`compared`: how many things of that kind there were. `note`: what was left out, if anything."""

    check: str
    what: str
    compared: int
    differences: tuple[Difference, ...]
    note: str = ""


class Figures(NamedTuple):
    attempts: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_pico_usd: int

    def plus(self, other: "Figures") -> "Figures":
        return Figures(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = Figures(0, 0, 0, 0, 0)
_MEASURES = ("attempts", "input_tokens", "cached_input_tokens", "output_tokens", COST)

Group = tuple[str, ...]


def compare_figures(
    check: str, left_name: str, left: Mapping[Group, Figures], right_name: str, right: Mapping[Group, Figures]
) -> list[Difference]:
    """A group that one side does not have is all zeros there."""
    found = []
    for group in sorted({*left, *right}):
        ours, theirs = left.get(group, NOTHING), right.get(group, NOTHING)
        found += [
            Difference(check, " ".join(part or "-" for part in group), measure, left_name, one, right_name, other)
            for measure, one, other in zip(_MEASURES, ours, theirs, strict=True)
            if one != other
        ]
    return found


class Attributed(NamedTuple):
    """What belongs to one organization, project, key, customer and set of tags on one day."""

    organization_id: str
    project_id: str
    api_key_id: str
    customer_id: str
    tags: dict[str, str]
    figures: Figures


def by_scope(day: str, attributed: Iterable[Attributed]) -> dict[Group, Figures]:
    """By (day, scope). Scopes come from `schemas.budgets`, not from the SQL of the rollup that is compared with it."""
    sums: dict[Group, Figures] = {}
    for one in attributed:
        scopes = scopes_of(one.organization_id, one.project_id, one.api_key_id, one.customer_id or None, one.tags)
        for scope in scopes:
            sums[day, scope] = sums.get((day, scope), NOTHING).plus(one.figures)
    return sums


class RequestFigures(NamedTuple):
    """One request in both tables. rows: of it in `requests`. told: how many attempts its row says that there were in
    its delivery; counted: how many there are. by_worker: who wrote the row. audited: attempts that nobody but the
    billing consumer could report. owners: different organizations, projects, keys, customers and tags that its rows
    name."""

    request_id: str
    rows: int
    by_worker: bool
    told: int
    counted: int
    audited: int
    owners: int


def request_differences(check: str, requests: Iterable[RequestFigures]) -> list[Difference]:
    found = []
    for one in requests:

        def differs(
            measure: str, left_name: str, left: int, right_name: str, right: int, request_id: str = one.request_id
        ) -> Difference:
            return Difference(check, request_id, measure, left_name, left, right_name, right)

        # Nobody is left to say how a request ended whose worker and ingress have both died.
        if one.rows != 1 and not (one.rows == 0 and one.audited):
            found.append(differs("rows", "expected", 1, "requests", one.rows))
        # An ingress knows only of the attempts that its lost worker had claimed.
        elif one.rows == 1 and (one.counted != one.told if one.by_worker else one.counted < one.told):
            found.append(differs("attempts", "requests", one.told, "attempts", one.counted))
        if one.owners != 1:
            found.append(differs("attributions", "expected", 1, "requests, attempts", one.owners))
    return found


class AttemptFigures(NamedTuple):
    """One attempt: how many reports about it stand, what its rows add up to, and what the report that ranks highest
    says."""

    attempt_id: str
    standing: int
    sum_pico_usd: int
    last_pico_usd: int


def attempt_differences(check: str, attempts: Iterable[AttemptFigures]) -> list[Difference]:
    found = []
    for one in attempts:
        if one.standing != 1:
            found.append(Difference(check, one.attempt_id, "reports", "expected", 1, "attempts", one.standing))
        if one.sum_pico_usd != one.last_pico_usd:
            names = ("last report", one.last_pico_usd, "sum of rows", one.sum_pico_usd)
            found.append(Difference(check, one.attempt_id, COST, *names))
    return found


def ledgers_of(ledgers: Iterable[LedgerState], start: date, end: date) -> list[LedgerState]:
    """Those whose period has a day in the range."""
    return [
        ledger
        for ledger in ledgers
        if date.fromisoformat(ledger.period_start) < end and start < date.fromisoformat(ledger.period_end)
    ]


def ledger_differences(check: str, ledgers: Sequence[LedgerState], spent: Mapping[str, int]) -> list[Difference]:
    """`spent`: by ledger, what the attempts that it counts cost, in pico-USD."""
    return [
        Difference(check, f"{ledger.ledger_id} {ledger.scope}", COST, "attempts", ours, "ledger", ledger.spent_pico_usd)
        for ledger in sorted(ledgers, key=lambda each: each.ledger_id)
        if (ours := spent.get(ledger.ledger_id, 0)) != ledger.spent_pico_usd
    ]


def lease_differences(check: str, ledgers: Iterable[LedgerState], settled_ms: int) -> list[Difference]:
    """Leases that still keep money back although every request under them was over by `settled_ms`, and all that was
    known by then has been accounted for."""
    return [
        Difference(
            check,
            f"{ledger.ledger_id} {lease.lease_id} {lease.phase}",
            COST,
            "due",
            0,
            "outstanding",
            lease.outstanding_pico_usd,
        )
        for ledger in sorted(ledgers, key=lambda each: each.ledger_id)
        for lease in ledger.leases
        if lease.outstanding_pico_usd and settled_ms > _over_at_ms(ledger, lease)
    ]


def _over_at_ms(ledger: LedgerState, lease: LeaseState) -> int:
    if lease.phase == "open":
        # Every report on it writes its ledger. So where that was not written for long, nobody keeps the lease any more,
        # and nobody has found it dead.
        return ledger.as_of_ms + lease.ttl_ms + LEASE_SLACK_MS
    # All usage of a closed one was in Kafka by its end; a dead one's requests may have gone on.
    longest_ms = lease.longest_request_ms if lease.phase == "dead" else 0
    return lease.ended_at_ms + longest_ms + LEASE_SLACK_MS


def is_forever(ledger: LedgerState) -> bool:
    return date.fromisoformat(ledger.period_end) == FOREVER.end


def that_stayed(before: Sequence[Difference], after: Sequence[Difference]) -> tuple[Difference, ...]:
    """Of two looks at a fleet at work: what was different by the same amount both times. The rest was on its way."""
    known = {(one.where, one.measure, one.by) for one in before}
    return tuple(one for one in after if (one.where, one.measure, one.by) in known)
