"""The command line against the real admin API (over a log in memory): what it says is what was done."""

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from admin_api.operations import OPERATIONS
from admin_api.usage.report import FIGURES
from schemas.budgets import Budget
from schemas.tenancy import ApiKey, Customer, Project, hash_api_key
from tests.admin_api.admin_server import ACME_KEY, ROOT_KEY, VIEWER_KEY, AdminServer, admin_server
from tollhouse.cli_admin import run
from tollhouse.cli_commands import COMMANDS, parser_of, verbs_of
from tollhouse.cli_output import sheet, table


class Terminal:
    """Runs commands beside the server's loop. `out`, `err`: of the last one."""

    def __init__(self, server: AdminServer, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.server = server
        self.out = self.err = ""

    def run(self, *arguments: str) -> int:
        code = self.server._loop.run_until_complete(asyncio.to_thread(run, list(arguments)))
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json") == 0, self.err
        return msgspec.json.decode(self.out)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    # The server's log goes to the same standard output, because it is in the same process here.
    with admin_server() as server, capture_logs():
        monkeypatch.setenv("TOLLHOUSE_CLI_ADMIN_URL", server.api.url)
        monkeypatch.setenv("TOLLHOUSE_CLI_MANAGEMENT_KEY", ROOT_KEY)
        yield Terminal(server, capsys)


def test_every_operation_of_the_api_has_a_command() -> None:
    reached = {verb.operation.operation_id for command in COMMANDS for verb in verbs_of(command)}
    assert reached == {operation.operation_id for operation in OPERATIONS if operation.access != "public"}
    for command in COMMANDS:
        names = [verb.name for verb in verbs_of(command)]
        assert len(set(names)) == len(names)
        parser_of(command)


def test_the_life_of_a_key(terminal: Terminal) -> None:
    state = terminal.server.replica.state
    assert terminal.run("projects", "create", "--project-id", "p1", "--organization-id", "acme") == 0
    made = ["keys", "create", "--project-id", "p1", "--api-key-id", "k1", "--models", "a,b", "--name", "first"]
    assert terminal.run(*made, "--requests-per-minute", "7", "--expires-at", "2099-01-01T00:00:00Z") == 0
    lines = dict(line.split(None, 1) for line in terminal.out.splitlines())
    assert lines["secret"].startswith("th_")
    assert lines["models"] == "a,b"
    assert lines["requests_per_minute"] == "7"
    assert "shown this once" not in terminal.out
    assert "this once" in terminal.err
    key = state.get(ApiKey, "k1")
    assert key is not None
    assert key.key_sha256 == hash_api_key(lines["secret"])
    assert (key.models, key.limits.requests_per_minute) == (("a", "b"), 7)

    # An empty variable of a shell script must not open the key to every model.
    with pytest.raises(SystemExit) as wrong:
        terminal.run("keys", "update", "k1", "--models", "")
    assert wrong.value.code == 2
    assert terminal.run("keys", "update", "k1", "--tokens-per-minute", "9") == 0
    limited = state.get(ApiKey, "k1")
    assert limited is not None
    assert (limited.limits.requests_per_minute, limited.limits.tokens_per_minute) == (7, 9)

    assert terminal.run("keys", "show", "k1") == 0
    assert "secret" not in terminal.out
    assert terminal.run("keys", "update", "k1", "--name", "second", "--clear", "models", "--clear", "expires_at") == 0
    changed = state.get(ApiKey, "k1")
    assert changed is not None
    assert (changed.name, changed.models, changed.expires_at_ms) == ("second", (), None)
    assert changed.limits.requests_per_minute == 7
    assert terminal.run("keys", "update", "k1", "--clear", "limits") == 0

    rotated = terminal.json("keys", "rotate", "k1", "--overlap-s", "0")
    after = state.get(ApiKey, "k1")
    assert after is not None
    assert after.key_sha256 == hash_api_key(rotated["secret"])
    assert after.limits.requests_per_minute is None

    assert terminal.run("keys", "revoke", "k1") == 0
    assert terminal.out == "keys k1: revoked, everywhere within a second\n"
    assert terminal.run("keys", "list", "--no-revoked") == 0
    assert terminal.out == "(none)\n"
    assert terminal.run("keys", "delete", "k1") == 0
    assert terminal.out == "keys k1: deleted\n"
    assert state.get(ApiKey, "k1") is None


def test_the_others_are_made_changed_and_deleted(terminal: Terminal) -> None:
    state = terminal.server.replica.state
    customer = 'a/b c?%{x}"é'
    acme = ("--organization-id", "acme")
    steps: tuple[tuple[str, ...], ...] = (
        ("organizations", "create", "--organization-id", "o3", "--name", "Third"),
        ("organizations", "update", "o3", "--name", "3rd"),
        ("projects", "create", *acme, "--project-id", "p2", "--zero-data-retention"),
        ("projects", "update", "p2", "--no-zero-data-retention"),
        ("customers", "create", *acme, "--customer-id", customer),
        ("customers", "update", customer, *acme, "--no-active"),
        ("tags", "create", *acme, "--key", "team", "--value", "core"),
        ("tags", "show", "team=core", *acme),
        (
            "budgets",
            "create",
            "--scope-kind",
            "project",
            "--scope-id",
            "p2",
            "--limit-usd",
            "12.5",
            "--budget-id",
            "b1",
        ),
        ("budgets", "update", "b1", "--alerts-percent", "60,95", "--enforcement", "soft"),
        ("budgets", "raise", "b1", "--amount-usd", "3", "--expires-at", "2099-01-01T00:00:00Z"),
        ("vendor-credentials", "create", *acme, "--vendor", "openai", "--secret-name", "ACME_KEY"),
        (
            "webhooks",
            "create",
            *acme,
            "--url",
            "https://hooks.example/x",
            "--secret-name",
            "HOOK",
            "--webhook-id",
            "w1",
        ),
        ("webhooks", "update", "w1", "--no-active"),
        ("management-keys", "create", *acme, "--role", "viewer"),
    )
    for step in steps:
        assert terminal.run(*step) == 0, (step, terminal.err)
    project, budget = state.get(Project, "p2"), state.get(Budget, "b1")
    assert project is not None
    assert not project.zero_data_retention
    assert budget is not None
    assert (budget.limit_pico_usd, budget.alerts_percent, budget.enforcement) == (12_500_000_000_000, (60, 95), "soft")
    assert [one.amount_pico_usd for one in budget.raises] == [3 * 10**12]
    found = [one for one in state.every(Customer) if one.customer_id == customer]
    assert [one.active for one in found] == [False]
    assert terminal.run("customers", "delete", customer, *acme) == 0
    assert not list(state.every(Customer))


def test_all_pages_are_followed_up_to_the_limit(terminal: Terminal) -> None:
    for number in range(7):
        assert terminal.run("organizations", "create", "--organization-id", f"o{number}") == 0
    assert len(terminal.json("organizations", "list")["data"]) == 9
    assert len(terminal.json("organizations", "list", "--limit", "0")["data"]) == 9
    few = terminal.json("organizations", "list", "--limit", "3")
    assert [one["organization_id"] for one in few["data"]] == ["acme", "o0", "o1"]
    assert "more than 3" in terminal.err
    assert terminal.run("organizations", "list", "--limit", "3") == 0
    assert terminal.out.splitlines()[0].split()[0] == "ORGANIZATION_ID"


def test_usage_is_a_table_with_its_total(terminal: Terminal) -> None:
    figures = {f"figure_{name}": 3 for name in FIGURES if not name.endswith("_usd")}
    money = {"figure_cost_usd": Decimal("0.25"), "figure_estimated_cost_usd": Decimal(0)}
    terminal.server.clickhouse.rows_to_give = [{"period_start_s": 1_794_268_800, "g0": "p1", **figures, **money}]
    asked = ["usage", "--start", "2026-11-01", "--end", "2026-12-01", "--group-by", "project", "--granularity", "day"]
    assert terminal.run(*asked) == 0, terminal.err
    header, row, total = (line.split() for line in terminal.out.splitlines())
    assert row[header.index("PROJECT")] == "p1"
    assert row[header.index("COST_USD")] == "0.25"
    assert "total" in total
    assert terminal.json(*asked)["data"][0]["group"] == {"project": "p1"}
    assert terminal.run(*asked, "--format", "csv") == 0
    assert terminal.out.startswith("period_start,project,requests,")
    assert terminal.run("usage", "--group-by", "colour") == 1
    assert "(--group-by)" in terminal.err


def test_what_is_away_or_refuses_is_told_with_what_to_do(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.run("usage") == 1
    assert "look, before you try again" in terminal.err
    assert terminal.run("requests", "show", "req_1") == 1
    assert terminal.run("keys", "show", "nowhere") == 1
    assert "keys: There is no API key 'nowhere'." in terminal.err
    assert terminal.run("budgets", "create", "--scope-kind", "project", "--scope-id", "p", "--limit-usd", "12,5") == 1
    assert "(--limit-usd)" in terminal.err
    file = tmp_path / "key"
    for secret, code, said in (
        (VIEWER_KEY, 1, "may look"),
        (ACME_KEY, 1, "not bound"),
        ("th_" + "0" * 40, 1, "TOLLHOUSE_CLI_MANAGEMENT_KEY"),
        ("", 2, "There is no management key"),
        ("two\nlines", 2, "characters"),
    ):
        file.write_text(secret)
        arguments = ("organizations", "create", "--organization-id", "o9", "--management-key-file", str(file))
        assert terminal.run(*arguments) == code, secret
        assert said in terminal.err, terminal.err
        assert not secret or secret not in terminal.err
    assert terminal.run("keys", "list", "--management-key-file", str(tmp_path / "none")) == 2
    assert terminal.run("keys", "list", "--admin-url", "http://127.0.0.1:1") == 1
    assert "Is it running" in terminal.err
    assert terminal.run("keys", "list", "--admin-url", "ftp://x") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys",),
        ("keys", "fly"),
        ("keys", "create"),
        ("keys", "update", "k1"),
        ("keys", "list", "--colour", "red"),
        ("keys", "create", "--project-id", "p", "--requests-per-minute", "many"),
        ("budgets", "update", "b1", "--alerts-percent", "half"),
        ("management-keys", "create", "--role", "king"),
        ("usage", "--granularity", "minute"),
    ],
)
def test_wrong_options_end_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(list(arguments))
    assert ended.value.code == 2
    assert "usage: tollhouse" in capsys.readouterr().err


def _server(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the parent's
            pass

    return http.server.HTTPServer(("127.0.0.1", 0), Handler)


@pytest.mark.parametrize("kind", ["redirect", "page", "nothing"])
def test_something_else_at_the_address_gets_the_key_once_and_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        calls.append(handler.path)
        if kind == "nothing":
            return
        handler.send_response(302 if kind == "redirect" else 500)
        handler.send_header("Location", "/elsewhere")
        handler.end_headers()
        handler.wfile.write(b"<html>")

    server = _server(answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("TOLLHOUSE_CLI_MANAGEMENT_KEY", ROOT_KEY)
        assert run(["keys", "list", "--admin-url", f"http://127.0.0.1:{server.server_port}/behind"]) == 1
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [call.partition("?")[0] for call in calls] == ["/behind/admin/v1/keys"]
    assert "admin API" in capsys.readouterr().err


def test_values_cannot_write_to_the_terminal() -> None:
    row = {"name": "a\x1b[2Jb\nc", "tags": {"x": "y\r"}, "none": None, "list": ["p", "q"], "deep": [{"a": 1}]}
    assert "\x1b" not in table([row])
    assert len(table([row]).splitlines()) == 2
    assert "none" not in sheet(row)
    assert "p,q" in sheet(row)
    assert table([]) == "(none)\n"


def test_a_name_on_two_levels_is_shown_twice() -> None:
    """A budget's limit, and the one in force with its raises: shown as one, the other would be lost."""
    lines = sheet({"limit_usd": "1", "spend": {"limit_usd": "3", "spent_usd": "2"}}).splitlines()
    assert [line.split() for line in lines] == [["limit_usd", "1"], ["spend_limit_usd", "3"], ["spent_usd", "2"]]
