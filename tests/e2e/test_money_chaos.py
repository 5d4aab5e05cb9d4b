"""One round of the proof of G3 and G4 (`make overshoot` runs many): nothing overspent or lost, through kill -9."""

from pathlib import Path

import pytest

from tests.e2e.money_chaos import SETTINGS, run_round
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


async def test_a_hard_budget_under_chaos_is_exact(stack_dir: Path) -> None:
    options = ["--ingress", "3", "--workers", "4", "--billing", "2", "--no-restart", "--kafka", "apache"]
    stack = Stack(stack_dir, options, SETTINGS)
    stack.up()
    try:
        done = await run_round(stack, seed=7, clients=400, worth_requests=120, kill_every_s=3)
    finally:
        stack.down()
    account = done.account
    print(f"\n{account.overshoot:+.6f} USD over the limit of {account.limit}, {done.killed}, {done.load.statuses}")
    assert account.problems() == []
    # The budget can be spent, and was: leases strand little.
    assert account.booked >= account.limit * 95 / 100
    assert sum(done.killed.values()) >= 3
    assert done.load.whole > 0
