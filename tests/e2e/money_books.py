"""What everybody who keeps an account says that a project has spent. They must all say the same."""

import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from tests.e2e.admin import admin, admin_insisting
from tests.e2e.stack import Stack, eventually


class Books(NamedTuple):
    """`ledger`: the calls that reached the vendors, by the simulator, which shares no code with the gateway.
    `attempts`: what stands in ClickHouse. Both: (attempt id, cost in USD). `sums`: in USD, by who says it."""

    ledger: Counter[tuple[str, Decimal]]
    attempts: Counter[tuple[str, Decimal]]
    sums: dict[str, Decimal]
    outstanding: Decimal

    @property
    def spent(self) -> Decimal:
        return sum((cost * count for (_, cost), count in self.ledger.items()), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """The largest that anybody has to the ledger."""
        return max((abs(told - self.spent) for told in self.sums.values()), default=Decimal(0))

    def problems(self, *, leases_too: bool = True) -> list[str]:
        """Leases come back only after they were idle for ten seconds."""
        found = [
            f"{name} says {told}, the ledger {self.spent}" for name, told in self.sums.items() if told != self.spent
        ]
        if lost := self.ledger - self.attempts:
            found.append(f"not in ClickHouse, or at another cost: {list(lost)[:5]} ({lost.total()})")
        if invented := self.attempts - self.ledger:
            found.append(f"not in the ledger, or at another cost, or twice: {list(invented)[:5]} ({invented.total()})")
        if self.outstanding and leases_too:
            found.append(f"still on leases: {self.outstanding}")
        return found


def new_project(stack: Stack, project: str, **budget: Any) -> str:
    """The secret of a key of a new project with one budget, of the project's name, once all ingresses know it."""
    admin(stack, "POST", "/projects", {"project_id": project, "organization_id": "local"})
    scope = {"budget_id": project, "scope_kind": "project", "scope_id": project}
    admin(stack, "POST", "/budgets", {**scope, "period": "total", **budget})
    return str(new_key(stack, project)["secret"])


def new_key(stack: Stack, project: str) -> dict[str, Any]:
    key: dict[str, Any] = admin(stack, "POST", "/keys", {"project_id": project})
    for url in stack.info["api_urls"]:
        eventually("the key is known", lambda url=url: _is_known(url, key["secret"]))  # type: ignore[misc]
    return key


def _is_known(api_url: str, secret: str) -> bool:
    """Asks for what costs nothing."""
    request = urllib.request.Request(f"{api_url}/v1/models", headers={"Authorization": f"Bearer {secret}"})
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError:
        return False
    return True


def settled_books(
    stack: Stack, project: str, request_ids: Collection[str], within_s: float = 60.0, *, leases_too: bool = True
) -> Books:
    """When all agree; else as they are when time is up, for the caller's assertion to show. `request_ids`: all that
    were answered; `project` has one budget, of its own name."""
    last: list[Books] = []

    def agree() -> bool:
        last[:] = [_books(stack, project, request_ids)]
        return not last[0].problems(leases_too=leases_too)

    with suppress(AssertionError):
        eventually("the books agree", agree, within_s)
    return last[0]


def _books(stack: Stack, project: str, request_ids: Collection[str]) -> Books:
    asked = set(request_ids)
    calls = [call for call in stack.ledger() if request_of(call) in asked]
    where = f"project_id = '{project}'"
    rows = stack.query(f"SELECT attempt_id, cost_usd FROM attempts_final WHERE {where}")
    spend = admin_insisting(stack, "GET", f"/budgets/{project}")["spend"]
    sums = {
        "attempts": f"SELECT sum(sign * cost_usd) AS usd FROM attempts WHERE {where}",
        "spend_by_project": f"SELECT sum(cost_usd) AS usd FROM spend_by_project WHERE {where}",
        "spend_by_key": f"SELECT sum(cost_usd) AS usd FROM spend_by_key WHERE {where}",
        "spend_by_scope": f"SELECT sum(cost_usd) AS usd FROM spend_by_scope WHERE scope = 'project:{project}'",
    }
    return Books(
        ledger=Counter((call["request_id_header"], Decimal(call["cost_usd"])) for call in calls),
        attempts=Counter((row["attempt_id"], Decimal(row["cost_usd"])) for row in rows),
        sums={name: Decimal(stack.query(sql)[0]["usd"]) for name, sql in sums.items()}
        | {"spend state": Decimal(spend["spent_usd"])},
        outstanding=Decimal(spend["outstanding_usd"]),
    )


def request_of(call: dict[str, Any]) -> str:
    """The request id of a call in the simulator's ledger, whose header has the attempt's."""
    return str(call["request_id_header"] or "").partition(".")[0]
