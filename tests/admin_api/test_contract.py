"""The served document is the contract: every operation of it is called over HTTP, rightly and wrongly."""

from typing import Any

import pytest

from admin_api.operation import BASE_PATH
from tests.admin_api.admin_server import VIEWER_KEY, AdminServer, Reply
from tests.admin_api.contract_samples import OF_CLICKHOUSE, SAMPLES, fill
from tests.admin_api.json_schema import problems_of


@pytest.fixture
def document(server: AdminServer) -> dict[str, Any]:
    fill(server)
    served = server.call("GET", "/openapi.json", key=None)
    assert served.status == 200
    found: dict[str, Any] = served.body
    return found


def described(document: dict[str, Any], operation_id: str) -> tuple[str, str, dict[str, Any]]:
    """Method, path and description of an operation."""
    return next(
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == operation_id
    )


def assert_as_described(document: dict[str, Any], operation: dict[str, Any], reply: Reply) -> None:
    responses = operation["responses"]
    assert str(reply.status) in responses, (reply, sorted(responses))
    schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
    assert problems_of(reply.body, schema, document) == []


def test_every_operation_has_a_sample(document: dict[str, Any]) -> None:
    operations = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert sorted(operations) == sorted(SAMPLES)
    assert document["openapi"] == "3.1.0"


@pytest.mark.parametrize("operation_id", SAMPLES)
def test_a_valid_call_is_answered_as_described(
    server: AdminServer, document: dict[str, Any], operation_id: str
) -> None:
    method, path, operation = described(document, operation_id)
    sample = SAMPLES[operation_id]
    assert path.count("/") == (BASE_PATH + sample.path.partition("?")[0]).count("/")
    reply = server.call(method, sample.path, sample.body)
    if operation_id in OF_CLICKHOUSE:
        assert (reply.status, reply.code) == (503, "clickhouse_unavailable")
    else:
        assert reply.status < 300, reply.body
    assert_as_described(document, operation, reply)
    if "requestBody" in operation:
        body_schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert problems_of(sample.body, body_schema, document) == []


@pytest.mark.parametrize("operation_id", SAMPLES)
def test_a_wrong_call_is_refused_and_changes_nothing(
    server: AdminServer, document: dict[str, Any], operation_id: str
) -> None:
    method, _, operation = described(document, operation_id)
    sample = SAMPLES[operation_id]
    before = server.snapshot()

    def refused(reply: Reply, param: str | None) -> None:
        assert_as_described(document, operation, reply)
        assert server.snapshot() == before
        assert (reply.status, reply.param) == (400, param), reply.body

    joint = "&" if "?" in sample.path else "?"
    refused(server.call(method, f"{sample.path}{joint}nonsense=1", sample.body), "nonsense")
    if operation["security"]:
        reply = server.call(method, sample.path, sample.body, key=None)
        assert reply.status == 401
        assert_as_described(document, operation, reply)
    if method != "GET":
        reply = server.call(method, sample.path, sample.body, key=VIEWER_KEY)
        assert reply.status == 403
        assert_as_described(document, operation, reply)
    if sample.body is None:
        refused(server.call(method, sample.path, {"nonsense": 1}), None)
    else:
        refused(server.call(method, sample.path, {**sample.body, "nonsense": 1}), "nonsense")
        assert sample.wrong, "say which values are wrong"
    for field, value in sample.wrong.items():
        refused(server.call(method, sample.path, {**(sample.body or {}), field: value}), field)
    if method in ("PATCH", "DELETE"):
        refused(server.call(method, sample.path, sample.body, headers={"If-Match": "x"}), "If-Match")
        reply = server.call(method, sample.path, sample.body, headers={"If-Match": '"7"'})
        assert (reply.status, reply.code) == (409, "version_mismatch")
        assert_as_described(document, operation, reply)
    if "{" in described(document, operation_id)[1] and operation_id not in OF_CLICKHOUSE:
        path, _, query = sample.path.partition("?")
        segments = path.split("/")
        segments[2] = "none=none"
        reply = server.call(method, "/".join(segments) + (f"?{query}" if query else ""), sample.body)
        assert reply.status == 404, reply
        assert_as_described(document, operation, reply)
    assert server.snapshot() == before


@pytest.mark.parametrize("operation_id", [name for name in SAMPLES if name.startswith("create_")])
def test_required_fields_are_asked_for_by_name(
    server: AdminServer, document: dict[str, Any], operation_id: str
) -> None:
    method, _, operation = described(document, operation_id)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for field in named.get("required", ()):
        body = {name: value for name, value in (SAMPLES[operation_id].body or {}).items() if name != field}
        reply = server.call(method, SAMPLES[operation_id].path, body)
        assert (reply.status, reply.code, reply.param) == (400, "missing_field", field)
