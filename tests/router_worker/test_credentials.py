"""Vendor accounts of projects and organizations: which key a request is paid with, and that it is never another's."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router_worker.credentials import Credentials
from router_worker.project_vendors import SECRET_HOLDS_S, ProjectVendors
from router_worker.settings import VendorSettings
from router_worker.usable_vendor import UsableVendor
from router_worker.vendor_setup import reachable_vendors, usable_vendors
from schemas.budgets import Budget
from schemas.codec import UndecodableRecord
from schemas.config_record import CONFIG, Entity, config_key, entity_id_of
from schemas.envelope import Attribution
from schemas.failures import FailureKind
from schemas.tenancy import VendorCredential
from tests.fakes.clock import HandClock
from tests.fakes.configuration import config_record
from tests.fakes.worker_stack import WorkerStack, ask, worker_stack

ATTRIBUTION = Attribution(organization_id="org", project_id="proj", api_key_id="key")


def credential(credential_id: str = "c", project_id: str | None = "proj", **fields: Any) -> VendorCredential:
    defaults = {"organization_id": "org", "vendor": "v0", "secret_name": f"SECRET_OF_{credential_id}"}
    return VendorCredential(credential_id=credential_id, project_id=project_id, **(defaults | fields))


def write(credentials: Credentials, entity: Entity, *, deleted: bool = False) -> None:
    record = config_record(entity, deleted=deleted)
    credentials.apply(0, config_key(record.kind, record.entity_id), CONFIG.encode(record))


def secret_names(credentials: Credentials, organization_id: str = "org", project_id: str = "proj") -> dict[str, str]:
    return {name: found.secret_name for name, found in credentials.find(organization_id, project_id).items()}


# The table.


def test_a_projects_credential_goes_before_its_organizations() -> None:
    credentials = Credentials()
    write(credentials, credential("a", "proj"))
    write(credentials, credential("b", None))
    write(credentials, credential("c", None, vendor="v1"))
    assert secret_names(credentials) == {"v0": "SECRET_OF_a", "v1": "SECRET_OF_c"}
    assert secret_names(credentials, project_id="other") == {"v0": "SECRET_OF_b", "v1": "SECRET_OF_c"}
    assert secret_names(credentials, organization_id="other") == {}


def test_of_several_the_same_one_is_taken_everywhere() -> None:
    one, other = Credentials(), Credentials()
    for credentials, order in ((one, "abc"), (other, "cba")):
        for name in order:
            write(credentials, credential(name))
    assert secret_names(one) == secret_names(other) == {"v0": "SECRET_OF_a"}


def test_a_credential_that_is_changed_deleted_or_gone_holds_no_more() -> None:
    credentials = Credentials()
    write(credentials, credential("a"))
    write(credentials, credential("a", organization_id="org2"))
    assert (secret_names(credentials), len(credentials)) == ({}, 1)
    assert secret_names(credentials, "org2") == {"v0": "SECRET_OF_a"}
    write(credentials, credential("a", organization_id="org2"), deleted=True)
    assert (secret_names(credentials, "org2"), len(credentials)) == ({}, 0)
    write(credentials, credential("a"))
    credentials.apply(0, config_key("vendor_credential", "a"), None)
    assert (secret_names(credentials), len(credentials)) == ({}, 0)


def test_other_records_are_passed_over_and_unreadable_ones_refused() -> None:
    credentials = Credentials()
    budget = Budget(budget_id="b", organization_id="org", scope_kind="project", scope_id="proj", limit_pico_usd=1)
    write(credentials, budget)
    credentials.apply(0, "project:proj", b"not even JSON")
    for value in (b"not JSON", CONFIG.encode(config_record(budget))):
        with pytest.raises(UndecodableRecord):
            credentials.apply(0, config_key("vendor_credential", "x"), value)
    assert len(credentials) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(["org", "org2"]),
            st.sampled_from([None, "proj", "proj2"]),
            st.sampled_from(["v0", "v1"]),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_what_is_found_is_what_is_there(changes: list[tuple[str, str, str | None, str, bool]]) -> None:
    credentials = Credentials()
    there: dict[str, VendorCredential] = {}
    for name, organization_id, project_id, vendor, deleted in changes:
        entity = credential(name, project_id, organization_id=organization_id, vendor=vendor)
        write(credentials, entity, deleted=deleted)
        there.pop(entity_id_of(entity), None)
        if not deleted:
            there[name] = entity
    for organization_id in ("org", "org2"):
        for project_id in ("proj", "proj2"):
            for vendor in ("v0", "v1"):
                fitting = [
                    (each.project_id is None, each.credential_id)
                    for each in there.values()
                    if (each.organization_id, each.vendor) == (organization_id, vendor)
                    and each.project_id in (None, project_id)
                ]
                found = credentials.find(organization_id, project_id).get(vendor)
                assert (found and (found.project_id is None, found.credential_id)) == min(fitting, default=None)


# The vendors.


class Choice:
    """Vendor v0 has a key of the gateway's, v1 has none."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.credentials = Credentials()
        self.secrets: dict[str, str] = {}
        self.asked: list[str] = []
        shared = {"v0": UsableVendor(ways={}, base_url="u0", live_key=lambda: "the gateway's")}
        reachable = {name: UsableVendor(ways={}, base_url=f"u{name[1:]}") for name in ("v0", "v1")}
        self.vendors = ProjectVendors(shared, reachable, self.credentials, self._find, self.clock)

    def _find(self, name: str) -> str | None:
        self.asked.append(name)
        return self.secrets.get(name)

    def keys(self, attribution: Attribution = ATTRIBUTION) -> dict[str, str | None]:
        return {name: vendor.key() for name, vendor in self.vendors.of(attribution).items()}


def test_a_projects_own_key_is_used_also_where_the_gateway_has_none() -> None:
    choice = Choice()
    assert choice.keys() == {"v0": "the gateway's"}
    choice.secrets |= {"SECRET_OF_a": "own 0", "SECRET_OF_b": "own 1"}
    write(choice.credentials, credential("a"))
    write(choice.credentials, credential("b", vendor="v1"))
    assert choice.keys() == {"v0": "own 0", "v1": "own 1"}
    assert all(vendor.is_own for vendor in choice.vendors.of(ATTRIBUTION).values())
    assert "own 0" not in repr(choice.vendors.of(ATTRIBUTION))
    other = msgspec.structs.replace(ATTRIBUTION, project_id="other")
    assert choice.keys(other) == {"v0": "the gateway's"}


def test_a_key_that_is_missing_is_not_replaced_by_the_gateways() -> None:
    choice = Choice()
    write(choice.credentials, credential("a"))
    write(choice.credentials, credential("b", vendor="nowhere"))
    with capture_logs() as lines:
        assert choice.keys() == choice.keys() == {}
    assert {(line["credential_id"], line["missing"]) for line in lines} == {("a", "secret"), ("b", "vendor")}
    assert len(lines) == 2, "once each, not with every request"
    choice.secrets["SECRET_OF_a"] = "here now"
    choice.clock.move(SECRET_HOLDS_S)
    assert choice.keys() == {"v0": "here now"}
    del choice.secrets["SECRET_OF_a"]
    choice.clock.move(SECRET_HOLDS_S)
    with capture_logs() as lines:
        assert choice.keys() == {}
    assert [line["credential_id"] for line in lines] == ["a"], "missing anew is told anew"


def test_secrets_are_not_looked_up_for_every_request() -> None:
    choice = Choice()
    choice.secrets["SECRET_OF_a"] = "own"
    write(choice.credentials, credential("a"))
    for _ in range(10):
        choice.keys()
    assert choice.asked == ["SECRET_OF_a"]


def test_a_vendor_is_reachable_if_it_is_somewhere() -> None:
    reachable = reachable_vendors(VendorSettings(), {"OPENAI_API_KEY": "shared"})
    assert {"openai", "anthropic", "mistral"} <= reachable.keys()
    assert "bedrock" not in reachable, "no region is given"
    assert {vendor.key() for vendor in reachable.values()} == {None}
    assert set(usable_vendors(VendorSettings(), {"OPENAI_API_KEY": "shared"})) == {"openai"}


# Through the worker.


async def test_a_vendor_without_a_key_of_the_gateways_serves_the_project_that_has_one() -> None:
    async with worker_stack("echo", keyless=["v0"]) as stack:
        await stack.serve(ask())
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.NO_ROUTE_CONFIGURED]
        write(stack.credentials, credential("a"))
        stack.secrets["SECRET_OF_a"] = "own"
        await stack.serve(ask(), request_id="req_2", stream_id=2)
        await stack.ingress.over(2)
        assert [call["outcome"] for call in stack.vendors.calls()] == ["completed"]


async def test_a_project_whose_key_is_missing_is_not_served_with_the_gateways() -> None:
    async with worker_stack("echo") as stack:
        write(stack.credentials, credential("a"))
        await stack.serve(ask())
        await stack.ingress.over()
        assert [error.kind for error in stack.ingress.errors] == [FailureKind.NO_ROUTE_CONFIGURED]
        assert stack.vendors.calls() == []


def unhealthy(stack: WorkerStack) -> list[str]:
    return list(stack.health.unhealthy_until())


@pytest.mark.parametrize("vendor_model", ["bad-key", "status:code=429"])
async def test_an_own_account_that_is_refused_says_nothing_of_the_gateways(vendor_model: str) -> None:
    async with worker_stack(vendor_model) as stack:
        stack.secrets["SECRET_OF_a"] = "own"
        write(stack.credentials, credential("a"))
        await stack.serve(ask())
        await stack.ingress.over()
        assert unhealthy(stack) == []
        write(stack.credentials, credential("a"), deleted=True)
        await stack.serve(ask(), request_id="req_2", stream_id=2)
        await stack.ingress.over(2)
        assert unhealthy(stack) == [f"v0/{vendor_model}"]
