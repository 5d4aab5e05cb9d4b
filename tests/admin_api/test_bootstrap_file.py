"""The bootstrap file: what it may say, all that is wrong with it at once, and what is left alone."""

from itertools import count

import pytest

from admin_api.bootstrap_file import InvalidBootstrap, load_bootstrap, read_bootstrap
from admin_api.bootstrap_plan import plan_bootstrap
from admin_api.config_state import ConfigState
from admin_api.drafts import Author, draft, draft_deletion
from schemas.budgets import Budget
from schemas.tenancy import ApiKey, ManagementKey, Organization, Project, VendorCredential

_numbers = count(1)
AUTHOR = Author("bootstrap", 1_800_000_000_000, lambda size: next(_numbers).to_bytes(size, "big"))
A, B = "a" * 64, "b" * 64

WHOLE = f"""
[[organizations]]
organization_id = "acme"
name = "Acme"

[[projects]]
project_id = "web"
organization_id = "acme"
budget_usd = "100"

[[projects]]
project_id = "side"
organization_id = "unlisted"

[[api_keys]]
api_key_id = "backend"
project_id = "web"
key_sha256 = "{A}"
budget_usd = "0.5"
models = ["gpt-5"]
limits = {{ requests_per_minute = 60 }}

[[management_keys]]
management_key_id = "ops"
key_sha256 = "{B}"

[[customers]]
customer_id = "c/1"
organization_id = "acme"

[[tags]]
organization_id = "acme"
key = "team"
value = "search"

[[budgets]]
budget_id = "month"
organization_id = "acme"
scope_kind = "organization"
scope_id = "acme"
limit_usd = "2500.000000000001"
raises = [{{ amount_usd = "10", expires_at_ms = 1900000000000 }}]

[[vendor_credentials]]
credential_id = "own"
organization_id = "acme"
vendor = "openai"
secret_name = "ACME_OPENAI"

[[webhooks]]
webhook_id = "alerts"
organization_id = "acme"
url = "https://alerts.example/"
secret_name = "HOOK"
"""


def applied(state: ConfigState, text: str) -> tuple[ConfigState, list[str], list[str]]:
    plan = plan_bootstrap(state, read_bootstrap(text, "file"), AUTHOR)
    after = state.copy()
    for record in plan.records:
        after.apply(record)
    return after, list(plan.made), list(plan.left)


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidBootstrap) as invalid:
        applied(ConfigState(), text)
    return invalid.value.problems


def test_everything_that_it_may_say_is_made() -> None:
    state, made, left = applied(ConfigState(), WHOLE)
    assert len(made) == 13
    assert left == []
    assert state.get(Organization, "unlisted") == Organization(organization_id="unlisted")
    assert state.get(Project, "side") == Project(project_id="side", organization_id="unlisted")
    key = state.get(ApiKey, "backend")
    assert key is not None
    assert (key.models, key.limits.requests_per_minute) == (("gpt-5",), 60)
    month = state.get(Budget, "month")
    assert month is not None
    assert month.limit_pico_usd == 2_500_000_000_000_001
    assert month.limit_at(0) == 2_510_000_000_000_001
    short = state.get(Budget, "key.backend")
    assert short is not None
    assert (short.organization_id, short.scope, short.limit_pico_usd) == ("acme", "api_key:backend", 5 * 10**11)
    assert state.get(ManagementKey, "ops") is not None
    assert state.get(VendorCredential, "own") is not None


def test_a_second_time_makes_nothing() -> None:
    state, made, _ = applied(ConfigState(), WHOLE)
    _, again, left = applied(state, WHOLE)
    assert again == []
    assert len(left) == len(made)


def test_what_was_changed_or_deleted_since_stays_so() -> None:
    state, _, _ = applied(ConfigState(), WHOLE)
    key = state.get(ApiKey, "backend")
    budget = state.get(Budget, "project.web")
    assert key is not None
    assert budget is not None
    state.apply(draft_deletion(state, key, AUTHOR))
    state.apply(draft_deletion(state, budget, AUTHOR))
    other = Budget(
        budget_id="mine", organization_id="acme", scope_kind="api_key", scope_id="x", limit_pico_usd=1, period="total"
    )
    state.apply(draft(state, other, "created", AUTHOR))
    after, made, left = applied(state, WHOLE)
    assert made == []
    assert "API key 'backend': was deleted, left as it is" in left
    assert "budget 'project.web': was deleted, left as it is" in left
    assert after.get(ApiKey, "backend") is None


def test_a_scope_that_has_a_budget_keeps_it() -> None:
    state, _, _ = applied(ConfigState(), '[[projects]]\nproject_id = "p"\norganization_id = "o"\n')
    own = Budget(
        budget_id="own", organization_id="o", scope_kind="project", scope_id="p", limit_pico_usd=1, period="total"
    )
    state.apply(draft(state, own, "created", AUTHOR))
    _, made, left = applied(state, '[[projects]]\nproject_id = "p"\norganization_id = "o"\nbudget_usd = "5"\n')
    assert made == []
    assert left[-1] == "budget 'project.p': its scope and period have the budget 'own', left as it is"


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = problems(
        f"""
        surprise = 1
        [[projects]]
        project_id = "a b"
        organization_id = "o"
        [[projects]]
        project_id = "p"
        organization_id = "o"
        budget_usd = 10
        [[api_keys]]
        api_key_id = "k"
        project_id = "p"
        key_sha256 = "{A}"
        budget_usd = "-1"
        [[budgets]]
        budget_id = "b"
        organization_id = "o"
        scope_kind = "organization"
        scope_id = "o"
        [[management_keys]]
        management_key_id = "m"
        key_sha256 = "{A}"
        nonsense = 1
        [[webhooks]]
        webhook_id = "w"
        """
    )
    assert [problem.partition(": ")[2].partition(":")[0] for problem in found] == [
        "unknown section 'surprise'",
        "projects number 1",
        "projects number 2",
        "api_keys number 1",
        "management_keys number 1",
        "budgets number 1",
        "webhooks number 1",
    ]
    assert "budget_usd must be a string" in found[2]
    assert "`limit_usd`" in found[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[projects]\n", "file: "),
        ("projects = 1", "projects must be written as tables, each headed [[projects]]"),
        (f'[[api_keys]]\napi_key_id = "k"\nproject_id = "no"\nkey_sha256 = "{A}"', "There is no project 'no'."),
        ('[[customers]]\ncustomer_id = "c"\norganization_id = "no"', "There is no organization 'no'."),
        ('[[organizations]]\norganization_id = "o"\n' * 2, "the organization 'o' is there twice"),
        (
            "".join(f'[[management_keys]]\nmanagement_key_id = "{name}"\nkey_sha256 = "{A}"\n' for name in "mn"),
            f"key_sha256 '{A}' is there twice",
        ),
        (
            '[[projects]]\nproject_id = "' + "p" * 60 + '"\norganization_id = "o"\nbudget_usd = "1"',
            "needs a shorter id",
        ),
        (
            f'[[management_keys]]\nmanagement_key_id = "m"\nkey_sha256 = "{A}"\nexpires_at_ms = 10000000000000000',
            "before the year 9999",
        ),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert said in found[0]


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidBootstrap, match=r"nowhere\.toml: No such file"):
        load_bootstrap("nowhere.toml")
