"""`make overshoot SEEDS=20`: what a hard budget is overspent by, under load and kill -9 of everything. Exit code 1 if
by anything at all.

3 ingress replicas, 4 workers, 2 billing consumers, 1,000 clients on a budget worth some 200 requests.
"""

import argparse
import asyncio
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from tests.e2e.money_chaos import SETTINGS, Round, run_round
from tests.e2e.stack import Stack

HEADER = (
    "| seed | limit $ | ledger $ | overshoot $ | booked % | calls | estimates | lost | twice | wrong | leases $ |"
    " killed | s |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.overshoot")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--kill-every-s", type=float, default=4.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        options = ["--ingress", "3", "--workers", "4", "--billing", "2", "--no-restart", "--kafka", "apache"]
        stack = Stack(Path(directory) / "stack", options, SETTINGS)
        stack.up()
        try:
            rounds = []
            print(HEADER, flush=True)
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                done = asyncio.run(run_round(stack, seed, clients=given.clients, kill_every_s=given.kill_every_s))
                rounds.append(done)
                print(line(done), flush=True)
                for problem in done.account.problems():
                    print(f"  seed {seed}: {problem}", flush=True)
        finally:
            stack.down()
    worst = max(done.account.overshoot for done in rounds)
    least = min(share(done) for done in rounds)
    wrong = sum(bool(done.account.problems()) for done in rounds)
    print(
        f"\nworst overshoot {worst:+.6f} USD; least booked {least:.1f} % of the budget; "
        f"{sum(done.account.calls for done in rounds)} calls, {sum(done.killed.total() for done in rounds)} kills; "
        f"{wrong} of {len(rounds)} rounds with a difference"
    )
    return 1 if worst > 0 or wrong else 0


def share(done: Round) -> Decimal:
    return 100 * done.account.booked / done.account.limit


def line(done: Round) -> str:
    account = done.account
    killed = " ".join(f"{kind.split('_')[0]}:{count}" for kind, count in sorted(done.killed.items()))
    cells = [
        done.seed,
        f"{account.limit:.4f}",
        f"{account.ledger:.6f}",
        f"{account.overshoot:+.6f}",
        f"{share(done):.1f}",
        account.calls,
        account.estimates,
        len(account.lost),
        len(account.twice),
        len(account.wrong_cost) + len(account.invented),
        f"{account.outstanding:.6f}",
        killed,
        f"{done.took_s:.0f}",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
