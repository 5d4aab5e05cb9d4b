"""The edge: who is let in, what is refused before any handler, and that every answer says so in one shape."""

import pytest

from schemas.tenancy import ManagementKey, hash_api_key
from tests.admin_api.admin_server import ACME_KEY, VIEWER_KEY, AdminServer


@pytest.mark.parametrize(
    ("headers", "code", "said"),
    [
        ({}, "missing_management_key", "Authorization: Bearer thm_"),
        ({"Authorization": "Basic dGhtXzp4"}, "missing_management_key", "Bearer"),
        ({"Authorization": "Bearer th_" + "a" * 40}, "wrong_kind_of_key", "This is an API key"),
        ({"Authorization": "Bearer sk-something"}, "wrong_kind_of_key", "management key"),
        ({"Authorization": "Bearer thm_" + "f" * 40}, "invalid_management_key", "not valid"),
    ],
)
def test_only_management_keys_open(server: AdminServer, headers: dict[str, str], code: str, said: str) -> None:
    reply = server.call("GET", "/projects", key=None, headers=headers)
    assert (reply.status, reply.code) == (401, code)
    assert said in reply.body["error"]["message"]
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.headers["X-Request-Id"].startswith("req_")


def test_a_viewer_looks_and_changes_nothing(server: AdminServer) -> None:
    assert server.call("GET", "/projects", key=VIEWER_KEY).status == 200
    reply = server.call("POST", "/projects", {"organization_id": "acme"}, key=VIEWER_KEY)
    assert (reply.status, reply.code) == (403, "read_only_key")


def test_an_expired_key_opens_nothing(server: AdminServer) -> None:
    made = server.call("POST", "/management-keys", {"expires_at": "2027-02-01T00:00:00+01:00"}).body
    assert made["expires_at"] == "2027-01-31T23:00:00Z"
    assert server.call("GET", "/projects", key=made["secret"]).status == 200
    server.clock.move(60 * 86_400)
    assert server.call("GET", "/projects", key=made["secret"]).code == "expired_management_key"


def test_paths_and_methods_that_are_not_there(server: AdminServer) -> None:
    reply = server.call("GET", "/nothing")
    assert (reply.status, reply.code) == (404, "unknown_path")
    reply = server.call("PUT", "/projects")
    assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "method_not_allowed", "GET, POST")


def test_bodies_that_cannot_be_read(server: AdminServer) -> None:
    too_large = b'{"name": "' + b"x" * 5000 + b'"}'
    for raw, status, code in (
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"name": ' + b"[" * 4000, 400, "invalid_value"),
        (b'"text"', 400, "invalid_value"),
        (too_large, 413, "body_too_large"),
    ):
        reply = server.call("POST", "/organizations", raw=raw)
        assert (reply.status, reply.code) == (status, code), raw[:20]
    reply = server.call("GET", "/organizations", {"limit": 3})
    assert (reply.status, reply.code) == (400, "invalid_value")


def test_query_parameters_are_checked_by_name(server: AdminServer) -> None:
    for query, param in (
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("nonsense=1", "nonsense"),
        ("limit=1&limit=2", "limit"),
    ):
        reply = server.call("GET", f"/projects?{query}")
        assert (reply.status, reply.param) == (400, param), query
    assert server.call("GET", "/projects/none?x=1").param == "x"


def test_nobody_is_let_in_on_a_configuration_that_may_be_old(server: AdminServer) -> None:
    server.replica.stale_s = 16.0
    reply = server.call("GET", "/projects")
    assert (reply.status, reply.code) == (503, "configuration_stale")
    assert server.call("GET", "/openapi.json", key=None).status == 200


def test_a_change_that_kafka_does_not_confirm_is_said_to_be_open(server: AdminServer) -> None:
    server.replica.hangs = True
    reply = server.call("POST", "/organizations", {"organization_id": "late"})
    assert (reply.status, reply.code) == (503, "outcome_unknown")
    server.replica.hangs = False
    assert server.call("POST", "/organizations", {"organization_id": "late"}).status == 201


def test_the_last_key_that_can_change_everything_stays(server: AdminServer) -> None:
    for method, path, body in (
        ("POST", "/management-keys/root/revoke", None),
        ("DELETE", "/management-keys/root", None),
        ("PATCH", "/management-keys/root", {"role": "viewer"}),
        ("PATCH", "/management-keys/root", {"expires_at": "2030-01-01T00:00:00Z"}),
    ):
        reply = server.call(method, path, body)
        assert (reply.status, reply.code) == (409, "last_admin_key"), (method, path)
    assert server.call("POST", "/management-keys", {"management_key_id": "second"}).status == 201
    assert server.call("POST", "/management-keys/root/revoke").status == 200
    assert server.call("GET", "/projects").status == 401


def test_management_keys_rotate_like_api_keys(server: AdminServer) -> None:
    rotated = server.call("POST", "/management-keys/acme/rotate", {"overlap_s": 60}).body
    for secret in (ACME_KEY, rotated["secret"]):
        assert server.call("GET", "/projects", key=secret).status == 200
    server.clock.move(61)
    assert server.call("GET", "/projects", key=ACME_KEY).status == 401
    assert server.call("GET", "/projects", key=rotated["secret"]).status == 200
    held = server.replica.state.get(ManagementKey, "acme")
    assert held is not None
    assert held.key_sha256 == hash_api_key(rotated["secret"])
