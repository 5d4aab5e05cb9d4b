"""The proof of G3 and G4: clients by the thousand on one hard budget, while processes are killed at random.

One `Round` is one seed: a project with a budget worth some two hundred requests; load until everybody is refused;
`kill -9` of random processes of every kind throughout; then, once all is quiet, the account: what the vendors' own
ledger says, what ClickHouse says, what the authority says. The simulator shares no code with the gateway.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.e2e.admin import admin_insisting
from tests.e2e.money_load import LoadReport, run_load
from tests.e2e.stack import Stack, eventually

KINDS = ("ingress", "router_worker", "billing_consumer", "admin_api")
KIND_WEIGHTS = (3, 4, 3, 1)
MODELS = (*("money-brisk",) * 4, *("money-paced",) * 4, *("money-fallback",) * 3, "money-breaks")
"""One in twelve answers breaks off, and is booked at its upper bound: many times what it really cost."""
QUIET_WITHIN_S = 150.0

SETTINGS = {
    "TOLLHOUSE_INGRESS_REQUEST_DEADLINE_S": "5",
    "TOLLHOUSE_INGRESS_LEASE_TTL_S": "2",
    "TOLLHOUSE_LIFECYCLE_DRAIN_S": "10",
}
"""Short times, so that what a dead ingress held comes back while the round runs."""


class Killer:
    """Kills a random process every now and then, and has it started again at once."""

    def __init__(self, stack: Stack, seed: int, every_s: float) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(0.5, 1.5) * self._every_s):
            [kind] = self._random.choices(KINDS, KIND_WEIGHTS)
            pids = self._stack.pids(kind)
            if not pids:
                continue
            try:
                self._stack.kill(kind, self._random.randrange(len(pids)))
            except (ProcessLookupError, IndexError):
                continue
            self.killed[kind] += 1
            time.sleep(0.25)
            self._stack.restart_dead()


@dataclass
class Account:
    """Of one round. Money in USD. `lost`: calls in the vendors' ledger and not in ClickHouse. `twice`: attempts with
    more than one standing row. `invented`: attempts in ClickHouse that no vendor saw and that are not marked as
    estimates. `wrong_cost`: exact ones that differ, or estimates below the ledger."""

    limit: Decimal
    ledger: Decimal
    booked: Decimal
    calls: int
    attempts: int
    estimates: int
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    wrong_cost: list[str] = field(default_factory=list)
    rollups: dict[str, Decimal] = field(default_factory=dict)
    spend_state: Decimal = Decimal(0)
    outstanding: Decimal = Decimal(0)

    @property
    def overshoot(self) -> Decimal:
        return self.ledger - self.limit

    def problems(self) -> list[str]:
        found = [
            f"{name}: {ids[:5]}{' ...' if len(ids) > 5 else ''}"
            for name, ids in (
                ("lost", self.lost),
                ("twice", self.twice),
                ("invented", self.invented),
                ("wrong cost", self.wrong_cost),
            )
            if ids
        ]
        if self.overshoot > 0:
            found.append(f"overspent: {self.ledger} of {self.limit}")
        if self.booked > self.limit:
            found.append(f"booked {self.booked} of {self.limit}")
        for name, total in {**self.rollups, "spend state": self.spend_state}.items():
            if total != self.booked:
                found.append(f"{name} says {total}, attempts say {self.booked}")
        if self.outstanding:
            found.append(f"still on leases: {self.outstanding}")
        return found


@dataclass
class Round:
    seed: int
    account: Account
    load: LoadReport
    killed: Counter[str]
    took_s: float


async def run_round(
    stack: Stack, seed: int, *, clients: int = 1000, worth_requests: int = 200, kill_every_s: float = 2.0
) -> Round:
    started_s = time.monotonic()
    settle_down(stack)
    stack.clear_ledger()
    project, secret = new_project(stack, seed)
    limit = worth_requests * MEAN_COST_USD
    budget_id = f"budget-{seed}-{project}"
    admin_insisting(
        stack,
        "POST",
        "/budgets",
        {
            "budget_id": budget_id,
            "organization_id": "local",
            "scope_kind": "project",
            "scope_id": project,
            "limit_usd": str(limit),
            "period": "total",
            "enforcement": "hard",
        },
    )
    with Killer(stack, seed, kill_every_s) as killer:
        load = await run_load(stack.info["api_urls"], secret, clients, seed, MODELS, asyncio.Event())
    account = take_account(stack, project, budget_id, limit)
    return Round(seed, account, load, killer.killed, time.monotonic() - started_s)


MEAN_COST_USD = Decimal("0.0004")
"""About what a request of run_load costs: the prompts' and answers' mean length at the simulator's default prices."""


def new_project(stack: Stack, seed: int) -> tuple[str, str]:
    """A project and the secret of a key of it."""
    project = f"p{seed}-{int(time.time() * 1000) % 10**9}"
    admin_insisting(stack, "POST", "/projects", {"project_id": project, "organization_id": "local"})
    key = admin_insisting(stack, "POST", "/keys", {"project_id": project, "api_key_id": f"k-{project}"})
    return project, str(key["secret"])


def settle_down(stack: Stack) -> None:
    """Every process runs and is ready."""

    def all_ready() -> bool:
        stack.restart_dead()
        try:
            for urls in stack.info["metrics_urls"].values():
                for url in urls:
                    stack.get_text(url.replace("/metrics", "/readyz"))
        except OSError:
            time.sleep(0.5)
            return False
        return True

    eventually("all processes are ready", all_ready, within_s=90)


def take_account(stack: Stack, project: str, budget_id: str, limit: Decimal) -> Account:
    """When everything is reported, or as it is when time is up."""
    settle_down(stack)
    deadline_s = time.monotonic() + QUIET_WITHIN_S
    while True:
        account = _account(stack, project, budget_id, limit)
        if not account.problems() or time.monotonic() > deadline_s:
            return account
        time.sleep(1)


def _account(stack: Stack, project: str, budget_id: str, limit: Decimal) -> Account:
    calls = {str(call["request_id_header"]): call for call in stack.ledger()}
    rows = stack.query(
        f"SELECT attempt_id, cost_usd, estimated, outcome, failure FROM attempts_final WHERE project_id = '{project}'"
    )
    by_id: dict[str, dict[str, Any]] = {row["attempt_id"]: row for row in rows}
    counts = Counter(row["attempt_id"] for row in rows)
    [booked] = stack.query(f"SELECT sum(sign * cost_usd) AS usd FROM attempts WHERE project_id = '{project}'")
    spend = admin_insisting(stack, "GET", f"/budgets/{budget_id}")["spend"]
    account = Account(
        limit=limit,
        ledger=sum((Decimal(call["cost_usd"]) for call in calls.values()), Decimal(0)),
        booked=Decimal(booked["usd"]),
        calls=len(calls),
        attempts=len(by_id),
        estimates=sum(bool(row["estimated"]) for row in rows),
        lost=[attempt_id for attempt_id in calls if attempt_id not in by_id],
        twice=[attempt_id for attempt_id, count in counts.items() if count > 1],
        invented=[
            row["attempt_id"]
            for row in rows
            if row["attempt_id"] not in calls and not row["estimated"] and Decimal(row["cost_usd"]) > 0
        ],
        rollups=_rollups(stack, project),
        spend_state=Decimal(spend["spent_usd"]),
        outstanding=Decimal(spend["outstanding_usd"]),
    )
    for attempt_id, call in calls.items():
        row = by_id.get(attempt_id)
        if row is None:
            continue
        told, real = Decimal(row["cost_usd"]), Decimal(call["cost_usd"])
        if told < real if row["estimated"] else told != real:
            account.wrong_cost.append(f"{attempt_id} ({row['outcome']}): {told}, ledger {real}")
    return account


def _rollups(stack: Stack, project: str) -> dict[str, Decimal]:
    of_project = {
        "spend_by_project": f"project_id = '{project}'",
        "spend_by_key": f"project_id = '{project}'",
        "spend_by_scope": f"scope = 'project:{project}'",
    }
    return {
        table: Decimal(stack.query(f"SELECT sum(cost_usd) AS usd FROM {table} WHERE {where}")[0]["usd"])
        for table, where in of_project.items()
    }
