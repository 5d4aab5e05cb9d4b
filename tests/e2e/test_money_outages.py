"""Money while something is away, and what is told of it: alerts, usage, reconciliation.

One stack for all; nobody clears the simulator's ledger, so that in the end it must be equal to all that is booked.
"""

import csv
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.e2e.admin import admin
from tests.e2e.alert_receiver import AlertReceiver
from tests.e2e.clickhouse_outage import clickhouse_outage
from tests.e2e.money_books import new_key, new_project, request_of, settled_books
from tests.e2e.stack import Answer, Stack, eventually, services_environ
from tests.e2e.steady_load import SteadyLoad, Told, chat, chat_insisting

pytestmark = pytest.mark.e2e

OUTAGE_S = float(os.environ.get("TOLLHOUSE_TEST_OUTAGE_S", "12"))
LEASE_TTL_S = 5.0
SECRET_NAME = "ALERT_SIGNING"
SECRET = "whsec_Zm9yIHRlc3RzIG9ubHksIGFuZCBsb25nIGVub3VnaA=="
REMAINING, LIMIT = "X-Tollhouse-Budget-Remaining-Usd", "X-Tollhouse-Budget-Limit-Usd"
WARNING = "X-Tollhouse-Budget-Warning"

SETTINGS = {
    "TOLLHOUSE_INGRESS_REQUEST_DEADLINE_S": "8",
    "TOLLHOUSE_INGRESS_LEASE_TTL_S": str(LEASE_TTL_S),
    "TOLLHOUSE_BILLING_MAX_BACKOFF_S": "1",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("outages")
    secrets = directory / "secrets"
    secrets.mkdir()
    (secrets / SECRET_NAME).write_text(SECRET + "\n")
    options = ["--ingress", "2", "--workers", "1", "--billing", "1", "--no-restart"]
    stack = Stack(directory / "stack", options, {**SETTINGS, "TOLLHOUSE_AUTHORITY_SECRETS_DIR": str(secrets)})
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def echo(words: int, **fields: Any) -> dict[str, Any]:
    """Costs 3 USD per million words: each comes back, up to 256 of them."""
    return {"model": "e2e-echo", "messages": [{"role": "user", "content": "word " * words}], **fields}


# What is told of spending.


class Asked(NamedTuple):
    """A request and what it was attributed to, by the names of the usage API."""

    answer: Answer
    of: dict[str, str]


def test_usage_and_the_cost_of_a_request_are_the_ledgers(fleet: Stack) -> None:
    # Given requests of two keys, for two customers, of two teams, to two models of which one fails at its first vendor,
    new_project(fleet, "told", limit_usd="5", enforcement="hard")
    keys = [new_key(fleet, "told") for _ in range(2)]
    asked: dict[str, Asked] = {}
    for number in range(12):
        key, customer = keys[number % 2], ("ann", "=bob")[number // 2 % 2]
        team, model = ("red", "blue")[number // 3 % 2], ("e2e-echo", "e2e-500-then-ok")[number // 4 % 2]
        answer = chat_insisting(
            fleet,
            key["secret"],
            echo(20 + 7 * number, model=model),
            replica=number % 2,
            headers={"X-Tollhouse-Customer": customer, "X-Tollhouse-Tags": f"team={team}"},
        )
        of = {"api_key": key["api_key_id"], "customer": customer, "tag:team": team, "model": model, "project": "told"}
        asked[answer.request_id] = Asked(answer, of)
    books = settled_books(fleet, "told", asked, leases_too=False)
    assert books.problems(leases_too=False) == []

    # when spending is asked for by each of these, then it is that of the vendors' own ledger, call by call.
    calls = [call for call in fleet.ledger() if request_of(call) in asked]
    assert len(calls) > len(asked)
    for groups in ("project", "api_key", "customer", "tag:team", "model", "vendor", "customer,vendor,tag:team"):
        names = groups.split(",")
        expected = _sums(calls, lambda call, names=names: tuple(_group(asked, call)[name] for name in names))  # type: ignore[misc]
        report = admin(fleet, "GET", f"/usage?{urlencode({'project': 'told', 'group_by': groups})}")
        assert _told(report["data"], lambda row, names=names: tuple(row["group"][n] for n in names)) == expected  # type: ignore[misc]
        assert Decimal(report["total"]["cost_usd"]) == books.spent
        assert report["total"]["requests"] == len(asked)
        rows = list(csv.DictReader(io.StringIO(_csv(fleet, {"project": "told", "group_by": groups}))))
        # (What a spreadsheet would run as a formula has a ' before it.)
        told = _told(rows, lambda row, names=names: tuple(row[n].removeprefix("'") for n in names))  # type: ignore[misc]
        assert told == expected
    # And narrowed down,
    red = admin(fleet, "GET", f"/usage?{urlencode({'project': 'told', 'tag': 'team=red', 'customer': 'ann'})}")["total"]
    mine = [c for c in calls if _group(asked, c)["tag:team"] == "red" and _group(asked, c)["customer"] == "ann"]
    assert (red["attempts"], Decimal(red["cost_usd"])) == (len(mine), _cost(mine))
    assert 0 < len(mine) < len(calls)
    # and for each request alone, as in its answer's header.
    for request_id, one in asked.items():
        account = admin(fleet, "GET", f"/requests/{request_id}")
        own = [call for call in calls if request_of(call) == request_id]
        assert Decimal(account["cost_usd"]) == Decimal(one.answer.headers["X-Tollhouse-Cost-Usd"]) == _cost(own)
        assert [attempt["attempt_id"] for attempt in account["attempts"]] == [c["request_id_header"] for c in own]
        assert account["estimated"] is False


def _group(asked: dict[str, Asked], call: dict[str, Any]) -> dict[str, str]:
    return asked[request_of(call)].of | {"vendor": call["vendor"]}


def _cost(calls: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(call["cost_usd"]) for call in calls), Decimal(0))


Figures = tuple[int, int, int, Decimal]


def _sums(calls: list[dict[str, Any]], key: Callable[[dict[str, Any]], tuple[str, ...]]) -> dict[Any, Figures]:
    """Attempts, tokens in, tokens out, cost."""
    groups = {key(call): [other for other in calls if key(other) == key(call)] for call in calls}
    return {
        group: (
            len(own),
            sum(call["prompt_tokens"] for call in own),
            sum(call["completion_tokens"] for call in own),
            _cost(own),
        )
        for group, own in groups.items()
    }


def _told(rows: list[Any], key: Callable[[Any], tuple[str, ...]]) -> dict[Any, Figures]:
    return {
        key(row): (
            int(row["attempts"]),
            int(row["input_tokens"]),
            int(row["output_tokens"]),
            Decimal(row["cost_usd"]),
        )
        for row in rows
    }


def _csv(stack: Stack, query: dict[str, str]) -> str:
    request = urllib.request.Request(
        f"{stack.info['admin_url']}/admin/v1/usage?{urlencode({**query, 'format': 'csv'})}",
        headers={"Authorization": f"Bearer {stack.info['management_key']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")
        return str(answer.read().decode())


def test_a_soft_budget_warns_and_alerts_and_never_refuses(fleet: Stack) -> None:
    limit = Decimal("0.0012")
    with AlertReceiver() as receiver:
        webhook = {"webhook_id": "alerts", "organization_id": "local", "url": receiver.url, "secret_name": SECRET_NAME}
        admin(fleet, "POST", "/webhooks", webhook)
        try:
            secret = new_project(fleet, "soft", limit_usd=str(limit), enforcement="soft", alerts_percent=[50, 80, 100])
            # When more and more is spent, far beyond the limit, then every request passes,
            answers: list[Answer] = []

            def asked(words: int) -> Answer:
                answers.append(chat(fleet, secret, echo(words), replica=len(answers) % 2))
                assert answers[-1].status == 200, answers[-1].text
                return answers[-1]

            asked(1)
            eventually("the account is open", lambda: admin(fleet, "GET", "/budgets/soft")["spend"] is not None)
            eventually("what remains is told", lambda: all(REMAINING in asked(1).headers for _ in (0, 1)))
            assert WARNING not in answers[-1].headers
            for words, percent in ((220, 50), (120, 80), (80, 100)):
                asked(words)
                eventually(f"{percent} %", lambda percent=percent: percent in receiver.sent("soft"))  # type: ignore[misc]
            eventually("warnings", lambda: all(WARNING in asked(1).headers for _ in (0, 1)))
            eventually("nothing is left", lambda: all(Decimal(asked(1).headers[REMAINING]) == 0 for _ in (0, 1)))
            for _ in range(6):
                asked(250)
            # and there is a warning exactly when the first threshold is crossed.
            for answer in answers:
                remaining = Decimal(answer.headers.get(REMAINING, limit))
                assert (WARNING in answer.headers) == (remaining <= limit / 2), dict(answer.headers)
            assert answers[-1].headers[WARNING].startswith("project:soft at ")
            # And each threshold is told, rightly signed; a message that was not taken comes again as it was.
            eventually("all alerts", lambda: receiver.taken("soft").keys() == {50, 80, 100}, within_s=60)
            for alert in receiver.of("soft"):
                assert alert.is_signed_with(SECRET)
                assert not alert.is_signed_with("whsec_" + "A" * 40)
                data = alert.data
                assert Decimal(data["spent_usd"]) * 100 >= data["threshold_percent"] * Decimal(data["limit_usd"])
                assert (data["enforcement"], data["scope"]) == ("soft", "project:soft")
            bodies = {(alert.message_id, alert.body) for alert in receiver.of("soft")}
            assert len(bodies) == len({message_id for message_id, _ in bodies}) == 3
        finally:
            admin(fleet, "DELETE", "/webhooks/alerts")
    books = settled_books(fleet, "soft", [answer.request_id for answer in answers])
    assert books.problems() == []
    assert books.spent > limit


def test_a_raise_holds_until_it_expires(fleet: Stack) -> None:
    secret = new_project(fleet, "raised", limit_usd="0.006", enforcement="hard")
    answers: list[Answer] = []

    def asked(replica: int) -> Answer:
        answers.append(chat(fleet, secret, echo(300, max_tokens=400), replica=replica))
        return answers[-1]

    def all_are(status: int) -> bool:
        return [asked(replica).status for replica in (0, 1)] == [status, status]

    # Given a budget that is spent,
    eventually("refusals", lambda: all_are(402), within_s=60)
    assert answers[-1].headers[LIMIT] == "0.006"
    assert {answer.status for answer in answers} <= {200, 402, 429}
    # when it is raised for a while, then requests pass, at both replicas,
    expires_at = datetime.now(UTC) + timedelta(seconds=15)
    raised = admin(fleet, "POST", "/budgets/raised/raises", {"amount_usd": "3", "expires_at": expires_at.isoformat()})
    assert Decimal(raised["spend"]["limit_usd"]) == Decimal("3.006")
    eventually("answers", lambda: all_are(200))
    assert Decimal(answers[-1].headers[LIMIT]) == Decimal("3.006")
    # until it is over.
    eventually("refusals again", lambda: all_are(402), within_s=60)
    assert datetime.now(UTC) >= expires_at
    assert answers[-1].headers[LIMIT] == "0.006"
    books = settled_books(fleet, "raised", [answer.request_id for answer in answers if answer.status == 200])
    assert books.problems() == []
    assert Decimal("0.006") < books.spent < 3


# Something is away.


def test_clickhouse_away(fleet: Stack) -> None:
    outage = clickhouse_outage(fleet, "outage", OUTAGE_S)
    print(
        f"\nClickHouse away for {OUTAGE_S:g} s: {len(outage.during)} requests, {len(outage.refused)} refused, "
        f"back after {outage.back_s:.1f} s, exact after {outage.exact_s:.1f} s, off by {outage.books.difference} USD"
    )
    # Traffic went on, and nothing was billed meanwhile;
    assert len(outage.during) >= 20
    assert outage.refused == []
    assert all(told.whole for told in outage.during)
    assert outage.rows_written == 0
    # afterwards everybody says the same.
    assert outage.books.problems() == []
    assert_all_is_booked(fleet)


def test_the_authority_away(fleet: Stack) -> None:
    projects = ("hard", "gentle")
    hard, gentle = ([(project, replica) for replica in (0, 1)] for project in projects)
    secrets = {
        "hard": new_project(fleet, "hard", limit_usd="50", enforcement="hard"),
        "gentle": new_project(fleet, "gentle", limit_usd="0.0001", enforcement="soft"),
    }
    with SteadyLoad(fleet, secrets) as load:
        load.wait_for_each("answers", lambda told: told.passed, (*hard, *gentle))
        authorities = fleet.pids("billing_consumer")
        try:
            for pid in authorities:
                os.kill(pid, signal.SIGSTOP)
            eventually("all are frozen", lambda: all(_state_of(pid) == "T" for pid in authorities))
            frozen_s = time.monotonic()
            # Within the staleness that is stated the leases last;
            load.wait_for_each("answers out of a lease", lambda told: told.passed, hard)
            # then hard budgets fail closed, and soft ones go on.
            load.wait_for_each(
                "refusals", lambda told: told.sent_s > frozen_s + LEASE_TTL_S and _is_unverified(told), hard
            )
            load.wait_for_each("answers all the same", lambda told: told.passed, gentle)
            thawed_s = time.monotonic()
        finally:
            for pid in authorities:
                os.kill(pid, signal.SIGCONT)
        load.wait_for_each("answers again", lambda told: told.passed, hard)
    told = [told for told in load.told if told.project == "hard"]
    print(f"\nwhile the authority was away: {Counter(_word(t) for t in told if frozen_s < t.sent_s < thawed_s)}")
    # Nobody may draw on a lease for longer than was said, however slow everything is.
    stale = [t for t in told if frozen_s + LEASE_TTL_S < t.sent_s and t.answered_s < thawed_s]
    assert stale
    assert {_word(t) for t in stale} == {"503 budget_unverified"}
    assert {_word(t) for t in told} <= {"200", "429 budget_busy", "503 budget_unverified"}
    assert {_word(t) for t in load.told if t.project == "gentle"} == {"200"}
    for project in projects:
        passed = [t.answer.request_id for t in load.told if t.project == project and t.passed]
        assert settled_books(fleet, project, passed, within_s=90).problems() == []
    assert_all_is_booked(fleet)


def _word(told: Told) -> str:
    return "200" if told.passed else told.code


def _is_unverified(told: Told) -> bool:
    return not told.passed and told.code == "503 budget_unverified" and int(told.answer.headers["Retry-After"]) >= 1


def _state_of(pid: int) -> str:
    """The process's state as the kernel says it; T: stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def assert_all_is_booked(stack: Stack) -> None:
    """Of all projects: the base table and every rollup, by model and hour too, against the vendors' ledger."""
    expected = stack.ledger_total()
    totals = stack.settled_totals(expected)
    assert totals == dict.fromkeys(totals, expected)


# The last: afterwards the tables are wrong for good.


def test_reconciliation_finds_what_was_tampered_with(fleet: Stack) -> None:
    # Given all that happened here, and one request more,
    secret = new_project(fleet, "tampered", limit_usd="5", enforcement="hard")
    asked = chat_insisting(fleet, secret, echo(10))
    assert settled_books(fleet, "tampered", [asked.request_id], leases_too=False).problems(leases_too=False) == []
    assert_all_is_booked(fleet)
    code, page = _reconcile(fleet)
    assert code == 0, page
    # when it is made dearer behind everybody's back,
    [row] = fleet.attempts(asked.request_id)
    _execute(
        fleet,
        "ALTER TABLE attempts UPDATE cost_usd = cost_usd + toDecimal128('0.000000000001', 12) "
        f"WHERE attempt_id = '{row['attempt_id']}' SETTINGS mutations_sync = 2",
    )
    # then the last pico-dollar of it is told, by everybody who says otherwise.
    code, page = _reconcile(fleet)
    assert code == 1, page
    different = [line for line in page.splitlines() if "0.000000000001" in line]
    for where in (f"project:{row['project_id']}", row["api_key_id"], f"{row['project_id']}@1970-01-01"):
        assert any(where in line for line in different), (where, page)


def _reconcile(stack: Stack) -> tuple[int, str]:
    """The exit code, and all that it said."""
    today = datetime.now(UTC).date()
    environment = {
        **services_environ(),
        "TOLLHOUSE_KAFKA_BOOTSTRAP": stack.info["kafka_bootstrap"],
        "TOLLHOUSE_KAFKA_TOPIC_PREFIX": stack.info["topic_prefix"],
        "TOLLHOUSE_CLICKHOUSE_URL": stack.info["clickhouse_url"],
    }
    # From yesterday, because it may just have become today.
    days = ["--from", str(today - timedelta(days=1)), "--to", str(today + timedelta(days=1))]
    done = subprocess.run(
        [sys.executable, "-m", "tollhouse", "reconcile", *days, "--settle-s", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _execute(stack: Stack, sql: str) -> None:
    request = urllib.request.Request(
        f"{stack.info['clickhouse_url']}/?database=tollhouse", data=sql.encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=30).close()
