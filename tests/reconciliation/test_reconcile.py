"""An account that adds up has no difference; each thing that is broken on purpose is found, and nothing else."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciliation.compare import Difference
from reconciliation.page import page
from reconciliation.reconcile import VendorStatement
from reconciliation.statement import Bill
from schemas.spend import LeaseState
from tests.reconciliation.account import (
    NOW_MS,
    O1_PICO_USD,
    clean_ledgers,
    differences,
    intent_row,
    lease,
    reconcile,
    write_account,
)
from tests.reconciliation.tables import Row, at, attempt_row, insert, request_row, taken_back

MILLI = 10**9
"""0.001 USD in pico-USD: what an attempt costs here."""


@pytest.fixture
async def account(client: AsyncClient) -> AsyncClient:
    await write_account(client)
    return client


async def test_a_clean_account_has_no_difference(account: AsyncClient) -> None:
    checks = await reconcile(account)
    assert differences(checks) == []
    compared = {checked.check: checked.compared for checked in checks}
    assert compared["requests"] == 6
    assert compared["attempts"] == 8
    assert compared["ledgers"] == 7
    assert compared["leases"] == 4
    assert compared["intents"] == 2
    assert min(compared.values()) > 0, "a check that compares nothing finds nothing"
    assert page(checks).endswith("The account adds up: no difference.\n")


@dataclass(frozen=True)
class Broken:
    """Rows that are written too many, and the differences that they must make: (check, where, measure, by)."""

    name: str
    table: str
    rows: tuple[Row, ...]
    expected: tuple[tuple[str, str, str, int], ...]


def rollup_row(table: str, **keys: Any) -> Row:
    figures = {"attempts": 0, "input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0, "cost_usd": Decimal(0)}
    day = (
        {"hour": at("2026-11-10T12:00:00")}
        if table == "spend_by_model_hour"
        else {"day": at("2026-11-10T00:00:00").date()}
    )
    return day | figures | keys


PICO = Decimal("0.000000000001")
KEY = {"api_key_id": "k1", "project_id": "p1", "organization_id": "o1"}
PROJECT = {"project_id": "p1", "organization_id": "o1"}
MODEL: Row = {"model": "m1", "provider": "maker", "vendor": "v1", "vendor_model": "vm1", "outcome": "completed"}
MODEL |= {"failure": "", "estimated": False}

BROKEN = (
    Broken(
        "a pico-dollar too much in a rollup",
        "spend_by_key",
        (rollup_row("spend_by_key", **KEY, cost_usd=PICO),),
        (("spend_by_key", "2026-11-10 k1 p1 o1", "cost_usd", 1),),
    ),
    Broken(
        "an attempt too few in a rollup",
        "spend_by_project",
        (rollup_row("spend_by_project", **PROJECT, attempts=-1),),
        (("spend_by_project", "2026-11-10 p1 o1", "attempts", -1),),
    ),
    Broken(
        "tokens in a rollup",
        "spend_by_model_hour",
        (rollup_row("spend_by_model_hour", **MODEL, input_tokens=1, cached_input_tokens=2, output_tokens=3),),
        tuple(
            ("spend_by_model_hour", "2026-11-10 m1 maker v1 vm1 completed - false", measure, by)
            for measure, by in (("input_tokens", 1), ("cached_input_tokens", 2), ("output_tokens", 3))
        ),
    ),
    Broken(
        "a scope that no attempt has",
        "spend_by_scope",
        (rollup_row("spend_by_scope", scope="tag:o1/team=ghost", cost_usd=PICO),),
        (("spend_by_scope", "2026-11-10 tag:o1/team=ghost", "cost_usd", 1),),
    ),
    Broken(
        "an attempt whose request has no row",
        "attempts",
        (attempt_row("lonely", organization_id="o3", project_id="p3", api_key_id="k3"),),
        (("requests", "lonely", "rows", -1),),
    ),
    Broken(
        "a request with an attempt that is not there",
        "requests",
        (request_row("hollow", attempts=3, organization_id="o3"),),
        (("requests", "hollow", "attempts", -3),),
    ),
    Broken(
        "a request that is there twice",
        "requests",
        (request_row("plain", customer_id="c/1", tags={"team": "a=b", "env": "x y"}),),
        (("requests", "plain", "rows", 1),),
    ),
    Broken(
        "a request that was taken back and never told again",
        "requests",
        (taken_back(request_row("refused", attempts=0, status=402, origin="ingress")),),
        (("requests", "refused", "rows", -1),),
    ),
    Broken(
        "a request and its attempts with other owners",
        "requests",
        (request_row("ours", api_key_id="k9"), request_row("theirs", organization_id="o3")),
        (("requests", "ours", "attempts", -1), ("requests", "theirs", "attempts", -1)),
    ),
    Broken(
        "an intent that nobody reported on",
        "intents",
        (intent_row("silent"), intent_row("old", due_at=at("2026-11-08T12:00:00"))),
        (("intents", "silent.0.1", "reports", -1),),
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
async def test_what_is_broken_is_found_and_nothing_else(account: AsyncClient, broken: Broken) -> None:
    await insert(account, broken.table, broken.rows)
    found = differences(await reconcile(account))
    assert {(one.check, one.where, one.measure, one.by) for one in found} == set(broken.expected)


async def test_attempts_that_do_not_fit_are_found_in_each_place(account: AsyncClient) -> None:
    """A report counted twice: too many attempts for its request, and money that no ledger knows of."""
    twice = attempt_row("plain", customer_id="c/1", tags={"team": "a=b", "env": "x y"}, kafka_offset=50)
    await insert(account, "attempts", [twice])
    found = {(one.check, one.where, one.measure): one.by for one in differences(await reconcile(account))}
    assert found.pop(("requests", "plain", "attempts")) == 1
    assert found.pop(("attempts", "plain.0.1", "reports")) == 1
    assert found.pop(("attempts", "plain.0.1", "cost_usd")) == MILLI
    ledgers = {where.partition("@")[0]: by for (check, where, _), by in found.items() if check == "ledgers"}
    assert ledgers == dict.fromkeys(("b-org", "b-org2", "b-key", "b-customer", "b-tag", "b-behind"), -MILLI)
    assert {check for check, _, _ in found} == {"ledgers"}


async def test_a_report_that_was_taken_back_wrongly_is_found(account: AsyncClient) -> None:
    before = attempt_row("bad", organization_id="o3", origin="ingress", cost_usd=Decimal(2))
    rows = [before, taken_back(before, cost_usd=Decimal(3)), attempt_row("bad", organization_id="o3")]
    vanished = attempt_row("gone", organization_id="o3")
    await insert(account, "attempts", [*rows, vanished, taken_back(vanished)])
    await insert(account, "requests", [request_row("bad", organization_id="o3")])
    found = {(one.check, one.where, one.measure): one.by for one in differences(await reconcile(account))}
    # What is only taken back is missed by its ledger as well; those of p1 and k1 are of organization o1 by their ids.
    attempts = {key: by for key, by in found.items() if key[0] == "attempts"}
    assert attempts == {
        ("attempts", "bad.0.1", "cost_usd"): -(10**12),
        ("attempts", "gone.0.1", "reports"): -1,
        ("attempts", "gone.0.1", "cost_usd"): -MILLI,
    }


async def test_owners_that_differ_are_found(account: AsyncClient) -> None:
    await insert(account, "attempts", [attempt_row("mixed", organization_id="o3", project_id="p3", api_key_id="k3")])
    await insert(account, "requests", [request_row("mixed", organization_id="o3", project_id="p3", api_key_id="k4")])
    found = differences(await reconcile(account))
    assert [(one.check, one.where, one.measure, one.right) for one in found] == [
        ("requests", "mixed", "attributions", 2)
    ]


async def test_a_ledger_that_is_a_pico_dollar_off_is_found(account: AsyncClient) -> None:
    for number in range(7):
        by = 1 if number % 2 else -1
        ledgers = clean_ledgers()
        wrong = ledgers[number]
        ledgers[number] = msgspec.structs.replace(wrong, spent_pico_usd=wrong.spent_pico_usd + by)
        (found,) = differences(await reconcile(account, ledgers))
        assert (found.check, found.where, found.by) == ("ledgers", f"{wrong.ledger_id} {wrong.scope}", by)


@pytest.mark.parametrize(
    ("stuck", "as_of_ms"),
    [
        (lease("dead", phase="dead", ended_at_ms=NOW_MS - 1_300_000), NOW_MS),
        (lease("closing", phase="closing", ended_at_ms=NOW_MS - 700_000), NOW_MS),
        (lease("open"), NOW_MS - 700_000),
    ],
)
async def test_a_lease_that_keeps_money_past_its_end_is_found(
    account: AsyncClient, stuck: LeaseState, as_of_ms: int
) -> None:
    first, *others = clean_ledgers()
    stuck_ledger = msgspec.structs.replace(first, leases=(stuck,), as_of_ms=as_of_ms)
    (found,) = differences(await reconcile(account, [stuck_ledger, *others]))
    assert (found.check, found.measure, found.left, found.right) == (
        "leases",
        "cost_usd",
        0,
        stuck.outstanding_pico_usd,
    )
    assert stuck.lease_id in found.where


def in_november(bills: dict[tuple[str, str, str], Bill], tolerance_pico_usd: int = 0) -> VendorStatement:
    return VendorStatement({**bills, ("v9", "2026-10-01", ""): Bill(5, 5)}, tolerance_pico_usd)


STATEMENT = {
    # plain, late, again twice, orphan, and other, which began on the 10th; what v1 refused is no request.
    ("v1", "2026-11-10", "vm1"): Bill(505 * MILLI, 6),
    ("v1", "2026-11-12", "vm1"): Bill(MILLI, 1),
    ("v2", "2026-11-10", ""): Bill(1, None),
}


@pytest.mark.parametrize(
    ("change", "tolerance", "expected"),
    [
        ({}, 0, []),
        ({("v2", "2026-11-10", ""): Bill(3, None)}, 0, [("v2 2026-11-10", "cost_usd", -2)]),
        ({("v2", "2026-11-10", ""): Bill(3, None)}, 2, []),
        ({("v2", "2026-11-10", ""): Bill(1, 4)}, 0, [("v2 2026-11-10", "requests", -3)]),
        ({("v3", "2026-11-10", "m"): Bill(8, 0)}, 0, [("v3 2026-11-10 m", "cost_usd", -8)]),
        (
            {("v1", "2026-11-12", "vm1"): None},
            0,
            [("v1 2026-11-12 vm1", "cost_usd", MILLI)],
        ),
    ],
)
async def test_a_vendor_that_bills_otherwise_is_found(
    account: AsyncClient, change: dict[Any, Bill | None], tolerance: int, expected: list[tuple[str, str, int]]
) -> None:
    bills = {key: bill for key, bill in (STATEMENT | change).items() if bill is not None}
    checks = await reconcile(account, statement=in_november(bills, tolerance))
    assert [(one.where, one.measure, one.by) for one in differences(checks)] == expected
    assert checks[-1].check == "statement"
    assert checks[-1].note.startswith("1 of the statement's")


async def test_what_was_on_its_way_is_gone_at_the_second_look(account: AsyncClient) -> None:
    """A rollup is filled a moment after its table; a difference that stays is told."""
    late, wrong = (
        rollup_row("spend_by_key", **KEY, cost_usd=PICO),
        rollup_row("spend_by_project", **PROJECT, attempts=1),
    )
    await insert(account, "spend_by_key", [late])
    await insert(account, "spend_by_project", [wrong])
    looks: list[str] = []

    async def arrives() -> None:
        if not looks:
            await insert(account, "spend_by_key", [late | {"cost_usd": -PICO}])
        looks.append("again")

    found = differences(await reconcile(account, between=arrives))
    assert [(one.check, one.by) for one in found] == [("spend_by_project", 1)]
    assert len(looks) == 2


async def test_every_difference_is_a_line_with_both_figures(account: AsyncClient) -> None:
    first, *others = clean_ledgers()
    wrong = msgspec.structs.replace(first, spent_pico_usd=first.spent_pico_usd + 10)
    await insert(account, "spend_by_project", [rollup_row("spend_by_project", **PROJECT, attempts=-1)])
    lines = page(await reconcile(account, [wrong, *others])).splitlines()
    assert lines[0].split() == [
        *("spend_by_project", "2026-11-10", "p1", "o1", "attempts", "attempts"),
        *("7", "spend_by_project", "6", "difference", "-1"),
    ]
    assert "attempts 0.505000000001" in lines[1]
    assert "ledger 0.505000000011" in lines[1]
    assert lines[1].endswith("difference +0.00000000001")
    assert lines[0].index("difference") == lines[1].index("difference")
    assert lines[-1] == "2 differences."
    assert first.spent_pico_usd == O1_PICO_USD


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 10**24), st.sampled_from(("cost_usd", "attempts")), st.booleans())
async def test_any_amount_in_any_rollup_is_told_exactly(
    client: AsyncClient, amount: int, measure: str, negative: bool
) -> None:
    """On an empty base, in days of its own, taken out again afterwards."""
    by = (-amount if negative else amount) if measure == "cost_usd" else 1
    value: Any = Decimal(by).scaleb(-12) if measure == "cost_usd" else by
    row = rollup_row("spend_by_scope", scope=f"api_key:{amount}-{by}", **{measure: value})
    await insert(client, "spend_by_scope", [row])
    found: list[Difference] = differences(await reconcile(client, ledgers=[]))
    await insert(client, "spend_by_scope", [row | {measure: -value}])
    assert [(one.check, one.measure, one.left, one.right) for one in found] == [("spend_by_scope", measure, 0, by)]
