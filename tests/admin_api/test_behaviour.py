"""What the API does with keys, budgets, customers and what belongs to somebody else. Over HTTP, on a log in memory."""

import re
from datetime import date

import msgspec
import pytest

from ingress.directory import Caller, Directory
from schemas.budgets import Budget, ledger_id, period_at
from schemas.config_record import CONFIG
from schemas.failures import Failure
from schemas.fencing import MARKER_KEY
from schemas.money import usd_to_pico
from schemas.spend import LEDGER, LeaseState, LedgerState
from schemas.tenancy import VendorCredential
from tests.admin_api.admin_server import ACME_KEY, AdminServer
from tests.admin_api.contract_samples import fill


def directory_of(server: AdminServer) -> Directory:
    """What an ingress would know now."""
    directory = Directory()
    for entry in server.log.entries:
        if entry.key != MARKER_KEY and entry.value is not None:
            directory.apply(CONFIG.decode(entry.value))
    return directory


def opens(server: AdminServer, secret: str) -> bool:
    return isinstance(directory_of(server).find(secret, server.clock.now_ms()), Caller)


@pytest.fixture(autouse=True)
def _filled(server: AdminServer) -> None:
    fill(server)


def test_a_secret_is_told_once_and_kept_as_a_hash(server: AdminServer) -> None:
    made = server.call("POST", "/keys", {"project_id": "p1"}).body
    assert re.fullmatch("th_[0-9a-f]{40}", made["secret"])
    assert re.fullmatch("key_[0-9a-f]{32}", made["api_key_id"])
    assert "secret" not in server.call("GET", f"/keys/{made['api_key_id']}").body
    assert all("secret" not in key for key in server.call("GET", "/keys").body["data"])
    assert made["secret"].encode() not in b"".join(entry.value or b"" for entry in server.log.entries)
    assert opens(server, made["secret"])


def test_an_answer_comes_only_when_the_change_holds_and_is_one_record(server: AdminServer) -> None:
    before = server.snapshot()
    made = server.call("POST", "/keys", {"project_id": "p1", "api_key_id": "one"})
    assert server.snapshot() == before + 1
    record = CONFIG.decode(server.log.entries[-1].value or b"")
    assert (record.kind, record.entity_id, record.organization_id, record.version) == ("api_key", "one", "acme", 1)
    assert (record.change.actor, record.change.action) == ("root", "created")
    assert made.headers["ETag"] == '"1"'


def test_rotation_keeps_the_old_secret_for_its_overlap(server: AdminServer) -> None:
    old = server.call("POST", "/keys", {"project_id": "p1", "api_key_id": "r"}).body["secret"]
    new = server.call("POST", "/keys/r/rotate", {"overlap_s": 60}).body["secret"]
    assert opens(server, old)
    assert opens(server, new)
    server.clock.move(61)
    assert not opens(server, old)
    assert opens(server, new)
    newest = server.call("POST", "/keys/r/rotate", {"overlap_s": 0}).body["secret"]
    assert not opens(server, new)
    assert opens(server, newest)


def test_revocation_is_final(server: AdminServer) -> None:
    old = server.call("POST", "/keys", {"project_id": "p1", "api_key_id": "r"}).body["secret"]
    new = server.call("POST", "/keys/r/rotate").body["secret"]
    assert server.call("POST", "/keys/r/revoke").body["revoked"] is True
    assert not opens(server, old)
    assert not opens(server, new)
    before = server.snapshot()
    assert server.call("POST", "/keys/r/revoke").status == 200
    assert server.snapshot() == before, "saying it again changes nothing"
    assert server.call("POST", "/keys/r/rotate").code == "key_revoked"
    assert server.call("PATCH", "/keys/r", {"revoked": False}).param == "revoked"


def test_patch_changes_what_is_given_and_null_clears(server: AdminServer) -> None:
    made = {"project_id": "p1", "api_key_id": "p", "models": ["a"], "customer_id": "c"}
    server.call("POST", "/keys", {**made, "expires_at": "2027-03-01T00:00:00Z"})
    changed = server.call("PATCH", "/keys/p", {"name": "new", "expires_at": None})
    assert changed.headers["ETag"] == '"2"'
    assert changed.body["models"] == ["a"]
    assert (changed.body["name"], changed.body["expires_at"], changed.body["customer_id"]) == ("new", None, "c")
    before = server.snapshot()
    assert server.call("PATCH", "/keys/p", {"name": "new"}).headers["ETag"] == '"2"'
    assert server.snapshot() == before
    ok = server.call("PATCH", "/keys/p", {"name": "newer"}, headers={"If-Match": '"2"'})
    assert ok.body["version"] == 3
    late = server.call("PATCH", "/keys/p", {"name": "newest"}, headers={"If-Match": '"2"'})
    assert (late.status, late.code, late.param) == (409, "version_mismatch", "If-Match")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/projects/p1", "2 active keys (k1, k2), 1 budgets (b1)"),
        ("/organizations/acme", "2 projects (empty, p1)"),
        ("/organizations/acme", "1 management keys (acme)"),
    ],
)
def test_what_is_needed_is_not_deleted(server: AdminServer, path: str, said: str) -> None:
    reply = server.call("DELETE", path)
    assert (reply.status, reply.code) == (409, "in_use")
    assert said in reply.body["error"]["message"]


def test_a_key_with_a_budget_is_deleted_after_it(server: AdminServer) -> None:
    server.call("POST", "/budgets", {"budget_id": "kb", "scope_kind": "api_key", "scope_id": "k1", "limit_usd": "1"})
    assert "budgets (kb)" in server.call("DELETE", "/keys/k1").body["error"]["message"]
    assert server.call("DELETE", "/budgets/kb").body == {"id": "kb", "deleted": True}
    assert server.call("DELETE", "/keys/k1").status == 200
    assert server.call("GET", "/keys/k1").status == 404


def test_ids_are_not_used_twice_by_others(server: AdminServer) -> None:
    assert server.call("POST", "/projects", {"organization_id": "acme", "project_id": "p1"}).code == "already_exists"
    assert server.call("DELETE", "/projects/empty").status == 200
    reply = server.call("POST", "/projects", {"organization_id": "other", "project_id": "empty"})
    assert (reply.status, reply.code, reply.param) == (409, "id_was_used", "project_id")
    again = server.call("POST", "/projects", {"organization_id": "acme", "project_id": "empty"})
    assert (again.status, again.body["version"]) == (201, 3)
    server.call("DELETE", "/budgets/b1")
    again = server.call(
        "POST", "/budgets", {"budget_id": "b1", "scope_kind": "project", "scope_id": "p1", "limit_usd": "1"}
    )
    assert again.code == "id_was_used", "its ledgers would be the old one's"


def test_a_key_of_an_organization_sees_only_that(server: AdminServer) -> None:
    seen = server.call("GET", "/projects", key=ACME_KEY).body["data"]
    assert {project["organization_id"] for project in seen} == {"acme"}
    assert len(server.call("GET", "/organizations", key=ACME_KEY).body["data"]) == 1
    for method, path, body in (
        ("GET", "/projects/other-project", None),
        ("PATCH", "/projects/other-project", {"name": "mine"}),
        ("DELETE", "/projects/other-project", None),
        ("GET", "/organizations/other", None),
        ("GET", "/management-keys/root", None),
        ("POST", "/management-keys/root/rotate", {}),
        ("GET", "/customers/c%2F1?organization_id=other", None),
    ):
        assert server.call(method, path, body, key=ACME_KEY).status == 404, path
    for path, body, param in (
        ("/projects", {"organization_id": "other"}, "organization_id"),
        ("/keys", {"project_id": "other-project"}, "project_id"),
        ("/budgets", {"scope_kind": "project", "scope_id": "other-project", "limit_usd": "1"}, "scope_id"),
        ("/budgets", {"scope_kind": "organization", "scope_id": "other", "limit_usd": "1"}, "scope_id"),
        ("/customers", {"organization_id": "other", "customer_id": "x"}, "organization_id"),
        ("/management-keys", {"organization_id": "other"}, "organization_id"),
    ):
        reply = server.call("POST", path, body, key=ACME_KEY)
        assert (reply.status, reply.param) == (400, param), path
    assert server.call("POST", "/organizations", {}, key=ACME_KEY).code == "key_is_bound"
    assert server.call("DELETE", "/organizations/acme", key=ACME_KEY).code == "key_is_bound"
    assert server.call("POST", "/projects", {}, key=ACME_KEY).body["organization_id"] == "acme"
    assert server.call("POST", "/management-keys", {}, key=ACME_KEY).body["organization_id"] == "acme"
    assert server.call("GET", "/customers/c%2F1", key=ACME_KEY).status == 200


def test_of_limits_too_only_what_is_given_changes(server: AdminServer) -> None:
    limits = {"requests_per_minute": 5, "tokens_per_minute": 20_000, "concurrent_requests": 3}
    server.call("POST", "/keys", {"project_id": "p1", "api_key_id": "limited", "limits": limits})
    changed = server.call("PATCH", "/keys/limited", {"limits": {"requests_per_minute": 7, "concurrent_requests": None}})
    assert changed.body["limits"] == limits | {"requests_per_minute": 7, "concurrent_requests": None}
    project = server.call("PATCH", "/projects/p1", {"limits": {"tokens_per_minute": 9}})
    assert project.body["limits"]["tokens_per_minute"] == 9


def test_money_and_times_are_asked_for_in_words(server: AdminServer) -> None:
    budget = {"scope_kind": "project", "scope_id": "p1", "limit_usd": "-1"}
    reply = server.call("POST", "/budgets", budget)
    assert (reply.status, reply.param) == (400, "limit_usd")
    assert "an amount in USD as text, like '12.50'" in reply.body["error"]["message"]
    late = server.call("POST", "/keys", {"project_id": "p1", "expires_at": "2030-01-01"})
    assert late.param == "expires_at"
    assert "2026-11-01T00:00:00Z" in late.body["error"]["message"]


def test_a_policy_that_there_is_not_is_refused(server: AdminServer) -> None:
    reply = server.call("POST", "/keys", {"project_id": "p1", "routing_policy": "cheapest"})
    assert (reply.status, reply.param) == (400, "routing_policy")


def test_a_bound_key_names_no_secrets_of_the_fleet(server: AdminServer) -> None:
    """A name may be another organization's, or the gateway's own; and a webhook is an address inside its network."""
    mine = {"vendor": "openai", "secret_name": "ACME_OPENAI_KEY", "organization_id": "acme", "credential_id": "c1"}
    hook = {
        "url": "https://acme.example/hook",
        "secret_name": "ACME_HOOK",
        "organization_id": "acme",
        "webhook_id": "h1",
    }
    for path, body in (("/vendor-credentials", mine), ("/webhooks", hook)):
        assert server.call("POST", path, body, key=ACME_KEY).code == "key_is_bound", path
        assert server.call("POST", path, body).status == 201, path
    for path in ("/vendor-credentials/c1", "/webhooks/h1"):
        assert server.call("PATCH", path, {"secret_name": "OPENAI_API_KEY"}, key=ACME_KEY).code == "key_is_bound"
        assert server.call("DELETE", path, key=ACME_KEY).code == "key_is_bound"
        assert server.call("GET", path, key=ACME_KEY).status == 200


def test_a_budget_tells_what_it_has_spent(server: AdminServer) -> None:
    assert server.call("GET", "/budgets/b1").body["spend"] is None
    state = server.replica.state.get(Budget, "b1")
    assert state is not None
    period = period_at(state.period, date(2027, 1, 15))
    name = ledger_id("b1", period)
    lease = LeaseState(
        lease_id="l", holder="i", seq=1, granted_pico_usd=usd_to_pico("1.5"), used_pico_usd=0, settled_pico_usd=0
    )
    ledger = LedgerState(
        ledger_id=name,
        budget_id="b1",
        scope=state.scope,
        enforcement="hard",
        period_start=period.start.isoformat(),
        period_end=period.end.isoformat(),
        limit_pico_usd=state.limit_pico_usd,
        spent_pico_usd=usd_to_pico("4.000000000001"),
        through={},
        leases=(lease,),
        as_of_ms=server.clock.now_ms(),
    )
    server.spend.apply_bytes(0, name, LEDGER.encode(ledger))
    server.call("POST", "/budgets/b1/raises", {"amount_usd": "2", "expires_at": "2027-01-20T00:00:00Z"})
    shown = server.call("GET", "/budgets/b1").body
    assert shown["limit_usd"] == "10"
    assert shown["raises"] == [{"amount_usd": "2", "expires_at": "2027-01-20T00:00:00Z"}]
    assert shown["spend"] == {
        "period_start": "2027-01-01",
        "period_end": "2027-02-01",
        "limit_usd": "12",
        "spent_usd": "4.000000000001",
        "outstanding_usd": "1.5",
        "remaining_usd": "6.499999999999",
        "as_of": "2027-01-15T08:00:00Z",
    }
    server.spend.apply_bytes(0, name, None)
    assert server.call("GET", "/budgets/b1").body["spend"] is None


def test_a_scope_has_one_budget_for_a_period(server: AdminServer) -> None:
    new = {"scope_kind": "project", "scope_id": "p1", "limit_usd": "1"}
    reply = server.call("POST", "/budgets", new)
    assert (reply.status, reply.code, reply.param) == (409, "scope_has_budget", "scope_id")
    assert "'b1'" in reply.body["error"]["message"]
    assert server.call("POST", "/budgets", {**new, "period": "daily"}).status == 201
    free = {"organization_id": "acme", "limit_usd": "1"}
    assert server.call("POST", "/budgets", {**free, "scope_kind": "customer", "scope_id": "unknown"}).status == 201
    assert server.call("POST", "/budgets", {**free, "scope_kind": "tag", "scope_id": "team=a=b"}).status == 201
    assert server.call("POST", "/budgets", {**free, "scope_kind": "tag", "scope_id": "team"}).param == "scope_id"


def test_raises_that_are_over_go_and_others_stay(server: AdminServer) -> None:
    for day in ("16", "20"):
        server.call("POST", "/budgets/b1/raises", {"amount_usd": "1", "expires_at": f"2027-01-{day}T00:00:00Z"})
    server.clock.move(2 * 86_400)
    server.call("POST", "/budgets/b1/raises", {"amount_usd": "3", "expires_at": "2027-01-20T00:00:00Z"})
    assert [each["amount_usd"] for each in server.call("GET", "/budgets/b1").body["raises"]] == ["1", "3"]


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abc",
        "AKIA" + "B" * 16,
        "AIzaSyA1234567890",
        "hf_abcdefghijklmnopqrst",
        "a1b2c3d4" * 5,
        "th_" + "0a" * 20,
    ],
)
def test_a_secret_is_refused_where_its_name_is_wanted(server: AdminServer, secret: str) -> None:
    body = {"organization_id": "acme", "vendor": "openai", "secret_name": secret}
    before = server.snapshot()
    reply = server.call("POST", "/vendor-credentials", body)
    assert (reply.status, reply.param) == (400, "secret_name")
    assert "looks like a secret" in reply.body["error"]["message"]
    assert secret not in str(reply.body)
    assert server.snapshot() == before


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "ACME_OPENAI_KEY_2026", "_x", "key4_for_project_12_of_acme_2026_11"]
)
def test_names_of_secrets_are_taken(server: AdminServer, name: str) -> None:
    body = {"organization_id": "acme", "credential_id": "n", "vendor": "openai", "secret_name": name}
    assert server.call("POST", "/vendor-credentials", body).status == 201
    assert server.replica.state.get(VendorCredential, "n") is not None
    reply = server.call("POST", "/vendor-credentials", {**body, "credential_id": "n2"})
    assert (reply.status, reply.code) == (409, "vendor_has_credential")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://x.example/a", True),
        ("http://127.0.0.1:8/a", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://10.0.0.1/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("https://user:pass@x.example/", False),
        ("https://x.example:99999/", False),
        ("https:///a", False),
        ("http://[::1/", False),
    ],
)
def test_webhooks_go_out_encrypted_or_not_far(server: AdminServer, url: str, taken: bool) -> None:
    reply = server.call("POST", "/webhooks", {"organization_id": "acme", "url": url, "secret_name": "HOOK"})
    assert (reply.status == 201) is taken
    assert taken or reply.param == "url"


def test_collections_come_in_pages(server: AdminServer) -> None:
    for number in range(5):
        server.call("POST", "/tags", {"organization_id": "acme", "key": "n", "value": f"{number}"})
    found: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = server.call("GET", f"/tags?limit=2&key=n{'&cursor=' + cursor if cursor else ''}").body
        found += [tag["value"] for tag in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert (found, pages) == (["0", "1", "2", "3", "4"], 3)


def test_an_inactive_customer_is_known_as_such_to_the_ingress(server: AdminServer) -> None:
    server.call("PATCH", "/customers/c%2F1?organization_id=acme", {"active": False})
    customer = directory_of(server).customer("acme", "c/1")
    assert customer is not None
    assert not customer.active


def test_the_audit_asks_for_what_the_caller_may_see(server: AdminServer) -> None:
    entity = msgspec.json.encode({"api_key_id": "k", "key_sha256": "0" * 64}).decode()
    row = {
        "change_id": "chg_1",
        "at_ms": 1_800_000_000_000,
        "actor": "root",
        "action": "created",
        "kind": "api_key",
        "entity_id": "k",
        "version": 1,
        "organization_id": "acme",
        "entity": entity,
    }
    server.clickhouse.rows_to_give = [row, {**row, "change_id": "chg_0", "entity": ""}]
    page = server.call("GET", "/audit?limit=1&actor=root", key=ACME_KEY).body
    assert page["next_cursor"] == "chg_1"
    assert page["data"][0]["entity"] == {"api_key_id": "k"}, "hashes stay where they are"
    sql, parameters = server.clickhouse.asked[-1]
    assert "organization_id = {seen:String}" in sql
    assert parameters == {"limit": 2, "actor": "root", "seen": "acme"}


def test_a_key_whose_project_went_can_still_be_looked_at(server: AdminServer) -> None:
    server.call("POST", "/keys", {"project_id": "empty", "api_key_id": "orphan"})
    assert server.call("DELETE", "/projects/empty").status == 409
    server.call("POST", "/keys/orphan/revoke")
    assert server.call("DELETE", "/projects/empty").status == 200
    assert server.call("GET", "/keys/orphan", key=ACME_KEY).body["organization_id"] == "acme"
    assert server.call("DELETE", "/keys/orphan", key=ACME_KEY).status == 200
    assert isinstance(directory_of(server).find("th_x", 0), Failure)
