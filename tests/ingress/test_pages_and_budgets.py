"""The parts that answer without a worker: the models page, keys, and what is left of a budget."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.admission import SpendAdmission
from ingress.authenticate import authenticate
from ingress.models_page import ModelsPage
from ingress.spend_view import SpendView
from ingress.surfaces.surface import bearer
from schemas.codec import UndecodableRecord
from schemas.failures import Failure, FailureKind
from schemas.spend import SPEND, Scope, SpendState
from schemas.tenancy import ApiKey, Project
from tests.ingress.http_stack import CATALOGUE, SECRET, TENANTS, ingress_stack


def test_the_list_is_in_openais_form() -> None:
    page = msgspec.json.decode(ModelsPage(CATALOGUE).list_body)
    assert page["object"] == "list"
    assert page["data"] == [
        {"id": "m", "object": "model", "created": 1714521600, "owned_by": "maker"},
        {"id": "org/deep:v1", "object": "model", "created": 1577836800, "owned_by": "other"},
    ]


async def test_models_over_http() -> None:
    async with ingress_stack() as stack:
        async with stack.client.get("/v1/models") as response:
            assert response.status == 200
            assert len((await response.json())["data"]) == 2
        for name in ("m", "M", "maker/m", "The%20Model"):
            async with stack.client.get(f"/v1/models/{name}") as response:
                assert (await response.json())["id"] == "m"
        async with stack.client.get("/v1/models/org/deep:v1") as response:
            assert (await response.json())["id"] == "org/deep:v1"


def caller(authorization: str | None) -> tuple[ApiKey, Project] | Failure:
    secret = bearer({} if authorization is None else {"Authorization": authorization})
    return secret if isinstance(secret, Failure) else authenticate(secret, TENANTS)


@given(st.text(max_size=20))
def test_no_other_header_is_a_key(text: str) -> None:
    for header in (text, f"Bearer {text}", f"bearer{text}"):
        assert isinstance(caller(header), Failure)


@given(st.binary(max_size=20))
def test_bytes_that_are_no_text_are_no_key(raw: bytes) -> None:
    found = caller("Bearer " + raw.decode("utf-8", "surrogateescape"))
    assert isinstance(found, Failure)


def test_the_right_key() -> None:
    found = caller(f"Bearer {SECRET}")
    assert not isinstance(found, Failure)
    assert (found[0].api_key_id, found[1].project_id) == ("key", "proj")
    assert caller(None) == Failure(kind=FailureKind.MISSING_API_KEY)


def spent(view: SpendView, scope: Scope, scope_id: str, pico_usd: int) -> None:
    view.apply(SPEND.encode(SpendState(scope=scope, scope_id=scope_id, spent_pico_usd=pico_usd, as_of_ms=0)))


def test_the_last_total_counts() -> None:
    view = SpendView()
    assert view.spent_pico_usd("project", "p") == 0
    spent(view, "project", "p", 9)
    spent(view, "api_key", "p", 4)
    spent(view, "project", "p", 7)
    assert (view.spent_pico_usd("project", "p"), view.spent_pico_usd("api_key", "p")) == (7, 4)
    with pytest.raises(UndecodableRecord):
        view.apply(b"{}")
    assert view.spent_pico_usd("project", "p") == 7


@given(st.none() | st.integers(0, 5), st.none() | st.integers(0, 5), st.integers(0, 6), st.integers(0, 6))
def test_a_budget_is_spent_when_its_limit_is_reached(
    key_limit: int | None, project_limit: int | None, key_spent: int, project_spent: int
) -> None:
    view = SpendView()
    spent(view, "api_key", "k", key_spent)
    spent(view, "project", "p", project_spent)
    key = ApiKey(api_key_id="k", project_id="p", key_sha256="", budget_pico_usd=key_limit)
    project = Project(project_id="p", organization_id="o", budget_pico_usd=project_limit)
    admitted = SpendAdmission(view).admit(key, project)
    kind = admitted.kind if isinstance(admitted, Failure) else None
    if key_limit is not None and key_spent >= key_limit:
        assert kind is FailureKind.API_KEY_BUDGET_EXCEEDED
    elif project_limit is not None and project_spent >= project_limit:
        assert kind is FailureKind.PROJECT_BUDGET_EXCEEDED
    else:
        assert kind is None
