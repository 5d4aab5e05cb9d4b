"""Keys, budgets and limits as their users see them: made by the admin API, held on every replica, exact to the end."""

import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.admin import admin
from tests.e2e.stack import HELLO, Stack, eventually

pytestmark = pytest.mark.e2e

LIMIT = "0.01"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("budgets") / "stack"
    stack = Stack(directory, ["--ingress", "2", "--workers", "1"], {"TOLLHOUSE_INGRESS_BUDGET_WAIT_S": "5"})
    stack.up()
    try:
        yield stack
    finally:
        stack.down()


def new_key(stack: Stack, project: str, **fields: Any) -> dict[str, Any]:
    admin(stack, "POST", "/projects", {"project_id": project, "organization_id": "local"})
    key: dict[str, Any] = admin(stack, "POST", "/keys", {"project_id": project, **fields})
    return key


def client_of(stack: Stack, secret: str, replica: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.info['api_urls'][replica]}/v1", api_key=secret, max_retries=0)


def ask(client: openai.OpenAI, **fields: Any) -> Mapping[str, str] | openai.APIStatusError:
    """The answer's headers, or the refusal."""
    question: Any = {"model": "e2e-echo", "messages": HELLO, **fields}
    try:
        return client.chat.completions.with_raw_response.create(**question).headers
    except openai.APIStatusError as error:
        return error


def test_a_hard_budget_is_spent_to_its_end_and_not_beyond(fleet: Stack) -> None:
    # Given a project that may spend a cent in all,
    secret = new_key(fleet, "cent")["secret"]
    budget = {"budget_id": "cent", "organization_id": "local", "scope_kind": "project", "scope_id": "cent"}
    admin(fleet, "POST", "/budgets", {**budget, "limit_usd": LIMIT, "period": "total", "enforcement": "hard"})
    fleet.clear_ledger()
    clients = [client_of(fleet, secret, replica) for replica in (0, 1)]

    # when its clients go on asking both replicas, for rather long answers,
    answered, refused = 0, None
    while refused is None:
        for client in clients:
            found = ask(client, max_tokens=400)
            if isinstance(found, openai.APIStatusError):
                refused = found
                break
            answered += 1
            assert Decimal(found["X-Tollhouse-Budget-Limit-Usd"]) == Decimal(LIMIT)
    # then at last the budget does not suffice for one more, and says whose it is.
    assert refused.status_code == 402
    assert refused.code == "project_budget_exceeded"
    assert answered > 20
    spent = fleet.ledger_total()[1]
    assert spent <= Decimal(LIMIT)
    # The authority's figure is the vendors' own, exactly, and nothing is left on a lease for long.
    eventually(
        "the spend state is the ledger's",
        lambda: Decimal(admin(fleet, "GET", "/budgets/cent")["spend"]["spent_usd"]) == spent,
    )

    # And when the budget is raised, then the same key works again.
    admin(fleet, "PATCH", "/budgets/cent", {"limit_usd": "0.02"})
    eventually("an answer", lambda: not isinstance(ask(clients[0], max_tokens=400), openai.APIStatusError))


def test_without_a_cap_of_its_own_a_request_gets_one_that_the_budget_covers(fleet: Stack) -> None:
    secret = new_key(fleet, "small")["secret"]
    budget = {"budget_id": "small", "organization_id": "local", "scope_kind": "project", "scope_id": "small"}
    admin(fleet, "POST", "/budgets", {**budget, "limit_usd": "0.004", "period": "daily", "enforcement": "hard"})
    answer = ask(client_of(fleet, secret))
    assert not isinstance(answer, openai.APIStatusError), answer
    # 0.004 USD less what reading it can cost, at 2 USD per million.
    assert 64 <= int(answer["X-Tollhouse-Output-Cap-Tokens"]) < 2000


def test_a_revoked_key_stops_working_on_every_replica(fleet: Stack) -> None:
    key = new_key(fleet, "revoked")
    clients = [client_of(fleet, key["secret"], replica) for replica in (0, 1)]
    for client in clients:
        assert not isinstance(ask(client), openai.APIStatusError)
    started_s = time.monotonic()
    admin(fleet, "POST", f"/keys/{key['api_key_id']}/revoke")
    for client in clients:
        eventually("the key is refused", lambda client=client: isinstance(ask(client), openai.AuthenticationError))  # type: ignore[misc]
    print(f"\na revoked key was refused by both replicas after {time.monotonic() - started_s:.3f} s")


def test_a_rate_limit_is_told_in_the_usual_headers(fleet: Stack) -> None:
    secret = new_key(fleet, "limited", limits={"requests_per_minute": 6})["secret"]
    clients = [client_of(fleet, secret, replica) for replica in (0, 1)]
    found = [ask(clients[number % 2]) for number in range(12)]
    answers = [one for one in found if not isinstance(one, openai.APIStatusError)]
    refusals = [one for one in found if isinstance(one, openai.APIStatusError)]
    assert 1 <= len(answers) <= 6
    assert answers[0]["x-ratelimit-limit-requests"] == "6"
    assert {(one.status_code, one.code) for one in refusals} == {(429, "requests_per_minute")}
    assert all(int(one.response.headers["Retry-After"]) >= 1 for one in refusals)
