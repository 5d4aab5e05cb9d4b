"""The parts that answer without a worker: the models page, keys, and what a key may do."""

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingress.directory import Caller
from ingress.models_page import ModelsPage
from ingress.surfaces.surface import bearer
from schemas.failures import Failure, FailureKind
from schemas.tenancy import Customer
from tests.fakes.configuration import config_record, directory_of
from tests.ingress.http_stack import CATALOGUE, CHAT, KEY, PROJECT, SECRET, chat, ingress_stack


def test_the_list_is_in_openais_form() -> None:
    page = msgspec.json.decode(ModelsPage(CATALOGUE).list_for(KEY))
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


DIRECTORY = directory_of(PROJECT, KEY)


def caller(authorization: str | None) -> Caller | Failure:
    secret = bearer({} if authorization is None else {"Authorization": authorization})
    return secret if isinstance(secret, Failure) else DIRECTORY.find(secret, 0)


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
    assert (found.key.api_key_id, found.project.project_id) == ("key", "proj")
    assert caller(None) == Failure(kind=FailureKind.MISSING_API_KEY)


async def test_a_key_with_a_list_of_models_sees_and_calls_no_others() -> None:
    async with ingress_stack() as stack:
        stack.change(msgspec.structs.replace(KEY, models=("The Model",)))
        async with stack.client.get("/v1/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["m"]
        async with stack.client.get("/v1/models/org/deep:v1") as response:
            assert response.status == 404
        for body in (chat(model="org/deep:v1"), chat(models=["org/deep:v1"])):
            async with stack.client.post(CHAT, json=body) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"]) == (403, "model_not_allowed")
                assert error["param"] == ("models[0]" if "models" in body else "model")
        assert stack.kafka.requests() == []


async def test_a_change_of_a_key_holds_for_the_next_request() -> None:
    async with ingress_stack() as stack:

        async def status() -> int:
            async with stack.client.get("/v1/models") as response:
                return response.status

        assert await status() == 200
        stack.change(msgspec.structs.replace(KEY, revoked=True))
        assert await status() == 401
        stack.change(KEY)
        assert await status() == 200
        stack.change(msgspec.structs.replace(KEY, expires_at_ms=1))
        assert await status() == 401
        stack.directory.apply(config_record(KEY, deleted=True))
        assert await status() == 401


def test_after_a_rotation_the_old_secret_is_good_until_its_time() -> None:
    rotated = msgspec.structs.replace(
        KEY, key_sha256="0" * 64, previous_key_sha256=KEY.key_sha256, previous_valid_until_ms=1000
    )
    directory = directory_of(PROJECT, KEY, rotated)
    assert not isinstance(directory.find(SECRET, 999), Failure)
    assert isinstance(directory.find(SECRET, 1000), Failure)
    assert directory.api_keys == 1


async def test_what_a_key_or_project_fixes_holds_whatever_is_asked() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        stack.change(
            msgspec.structs.replace(KEY, customer_id="c1"), msgspec.structs.replace(PROJECT, zero_data_retention=True)
        )
        async with stack.client.post(CHAT, json=chat(customer="c2")) as response:
            assert (response.status, (await response.json())["error"]["param"]) == (403, "customer")
        call = tasks.create_task(stack.client.post(CHAT, json=chat()))
        sent = await stack.request()
        assert (sent.attribution.customer_id, sent.routing.zero_data_retention, sent.body) == ("c1", True, "held")
        await stack.worker.answer(sent, b"{}")
        assert (await call).status == 200


async def test_requests_of_an_inactive_customer_are_refused() -> None:
    async with ingress_stack() as stack:
        stack.change(Customer(customer_id="gone", organization_id="org", active=False))
        async with stack.client.post(CHAT, json=chat(customer="gone")) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (403, "customer_inactive")


def test_a_management_key_is_told_what_it_is() -> None:
    found = DIRECTORY.find("thm_" + "0" * 40, 0)
    assert isinstance(found, Failure)
    assert "This is a management key" in found.text
