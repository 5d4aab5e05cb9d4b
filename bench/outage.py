"""`python -m bench.outage --outage-s 300`: ClickHouse away for five minutes under load. Exit code 1 if a client was
refused, or if afterwards anybody's account differs from the vendors' own ledger by anything at all.

2 ingress replicas, 1 worker, 1 billing consumer; one client at each replica, on a project with a hard budget.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.clickhouse_outage import clickhouse_outage
from tests.e2e.stack import Stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.outage")
    parser.add_argument("--outage-s", type=float, default=300.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        # The services' own settings: what holds here, holds in production.
        stack = Stack(Path(directory) / "stack", ["--ingress", "2", "--no-restart", "--kafka", "apache"], {})
        try:
            stack.up()
            outage = clickhouse_outage(stack, "outage", given.outage_s)
            expected = stack.ledger_total()
            totals = stack.settled_totals(expected)
        finally:
            stack.down()
    print(
        f"ClickHouse away for {given.outage_s:g} s: {len(outage.during)} requests meanwhile, "
        f"{len(outage.refused)} refused {sorted(set(outage.refused))}, {outage.rows_written:.0f} rows written; "
        f"it answered {outage.back_s:.1f} s after its restart, the account was exact {outage.exact_s:.1f} s after; "
        f"{expected[0]} calls for {outage.books.spent:f} USD, difference {outage.books.difference:f} USD"
    )
    problems = outage.books.problems()
    problems += [f"{name}: {total}, the ledger {expected}" for name, total in totals.items() if total != expected]
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems or outage.refused or outage.rows_written else 0


if __name__ == "__main__":
    sys.exit(main())
