"""ClickHouse killed under load, and back after a while: what clients noticed, and what the books say afterwards."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.e2e.money_books import Books, new_project, settled_books
from tests.e2e.stack import Stack, eventually
from tests.e2e.steady_load import SteadyLoad, Told

REPLICAS = (0, 1)


class Outage(NamedTuple):
    """`during`: all that was asked between the death of ClickHouse and the order to start it again. `rows_written`: by
    the billing consumer in that time. `back_s`: from that order to the first answer; `exact_s`: to equal books."""

    during: Sequence[Told]
    after: Sequence[Told]
    rows_written: float
    books: Books
    back_s: float
    exact_s: float

    @property
    def refused(self) -> list[str]:
        return [told.code for told in (*self.during, *self.after) if not told.passed]


def clickhouse_outage(stack: Stack, project: str, outage_s: float) -> Outage:
    """The stack has two ingresses and starts nothing again by itself. The project is new, its budget hard."""
    secret = new_project(stack, project, limit_usd="100", enforcement="hard")
    everywhere = [(project, replica) for replica in REPLICAS]
    with SteadyLoad(stack, {project: secret}) as load:
        load.wait_for_each("answers", lambda told: told.passed, everywhere)
        stack.kill("clickhouse")
        eventually("ClickHouse is gone", lambda: not _answers(stack))
        gone_s, rows_before = time.monotonic(), _rows_written(stack)

        eventually("the outage is over", lambda: time.monotonic() - gone_s >= outage_s, within_s=outage_s + 30)
        load.wait_for_each("answers without ClickHouse", lambda told: told.passed, everywhere)
        assert not _answers(stack), "somebody started it again"
        rows_written = _rows_written(stack) - rows_before

        restarted_s = time.monotonic()
        during = load.since(gone_s)
        eventually("ClickHouse answers again", lambda: _revived(stack))
        back_s = time.monotonic() - restarted_s
        load.wait_for_each("answers as before", lambda told: told.passed, everywhere)
    books = settled_books(stack, project, [told.answer.request_id for told in load.told if told.passed], 90)
    exact_s = time.monotonic() - restarted_s
    return Outage(during, load.since(restarted_s), rows_written, books, back_s, exact_s)


def _rows_written(stack: Stack) -> float:
    return stack.metric("billing_consumer", 0, "tollhouse_billing_rows_total")


def _answers(stack: Stack) -> bool:
    try:
        return stack.query("SELECT 1 AS one") == [{"one": 1}]
    except OSError:
        return False


def _revived(stack: Stack) -> bool:
    # Again and again, because the keeper must have seen the death first.
    stack.restart_dead()
    time.sleep(0.2)
    return _answers(stack)
