"""Whatever is sent: no mistake of ours comes to light, what is refused changed nothing, and a field is named."""

import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_api.operation import BASE_PATH
from tests.admin_api.admin_server import ACME_KEY, ROOT_KEY, VIEWER_KEY, AdminServer, Reply, admin_server, encoded
from tests.admin_api.contract_samples import OF_CLICKHOUSE, SAMPLES, fill
from tests.admin_api.json_schema import problems_of
from tests.admin_api.test_contract import described

_FILLED_IN: dict[str, list[str | None]] = {
    "organization_id": ["acme", "other", "nope"],
    "project_id": ["p1", "empty", "other-project", None],
    "api_key_id": ["k1", "k2"],
    "scope_kind": ["organization", "project", "api_key", "customer", "tag"],
    "scope_id": ["acme", "p1", "k1", "c/1", "env=prod"],
    "expires_at": ["2027-06-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", None],
    "limit_usd": ["0", "1.000000000001", "999999999999.999999999999", "1\n", "१"],
}
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
_known_ids = st.sampled_from(["acme", "other", "p1", "k1", "b1", "v1", "w1", "viewer", "c/1", "env=prod"])
_ids = _known_ids | st.text(min_size=1, max_size=8)
_keys = st.sampled_from([ROOT_KEY] * 6 + [ACME_KEY, ACME_KEY, VIEWER_KEY])


@st.composite
def bodies(draw: st.DrawFn, operation_id: str) -> Any:
    """Mostly a valid body with some fields out of place."""
    valid = dict(SAMPLES[operation_id].body or {})
    wrong = SAMPLES[operation_id].wrong
    for name in draw(st.lists(st.sampled_from(sorted({*valid, *wrong, *_FILLED_IN, "nonsense"})), max_size=3)):
        choices = [st.just("drop"), _anything]
        if name in wrong:
            choices.append(st.just(wrong[name]))
        if name in _FILLED_IN:
            choices.append(st.sampled_from(_FILLED_IN[name]))
        value = draw(st.one_of(choices))
        if value == "drop":
            valid.pop(name, None)
        else:
            valid[name] = value
    return draw(st.one_of([st.just(valid)] * 8 + [_anything]))


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[AdminServer, dict[str, Any]]]:
    with admin_server() as server:
        fill(server)
        yield server, server.call("GET", "/openapi.json", key=None).body


_QUERY = st.dictionaries(
    st.sampled_from(["limit", "cursor", "organization_id", "revoked", "start", "group_by", "x"]) | st.text(max_size=4),
    st.sampled_from(["1", "acme", "true", "", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]) | st.text(max_size=8),
    max_size=2,
)


@pytest.mark.parametrize("operation_id", [name for name in SAMPLES if name != "get_openapi"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_sent_is_answered_in_order(
    filled: tuple[AdminServer, dict[str, Any]], operation_id: str, data: st.DataObject
) -> None:
    server, document = filled
    method, path, operation = described(document, operation_id)
    body = data.draw(bodies(operation_id)) if SAMPLES[operation_id].body is not None else None
    segments = [
        encoded(data.draw(_ids)) if segment.startswith("{") else segment
        for segment in path.removeprefix(BASE_PATH).split("/")
    ]
    query = data.draw(_QUERY | st.just({}))
    asked = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query.items())
    target = "/".join(segments) + (f"?{asked}" if asked else "")
    if any(segment in (".", "..") for segment in segments):
        return  # the client itself would walk the path
    before = server.snapshot()
    reply = server.call(method, target, body, key=data.draw(_keys))
    _check(document, operation, reply, operation_id, server.snapshot() - before)


def _check(document: dict[str, Any], operation: dict[str, Any], reply: Reply, operation_id: str, written: int) -> None:
    if reply.status == 503:
        assert operation_id in OF_CLICKHOUSE, reply
    else:
        assert reply.status < 500, reply
    schema = operation["responses"][str(reply.status)]["content"]["application/json"]["schema"]
    assert problems_of(reply.body, schema, document) == []
    if reply.status >= 400:
        assert written == 0
        if reply.status == 400 and reply.code in ("unknown_field", "missing_field"):
            assert reply.param is not None
    else:
        assert written <= (0 if operation_id.startswith(("get", "list")) else 1)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=80) | st.text(alphabet=string.printable, max_size=80).map(str.encode))
def test_bytes_that_are_no_json_at_all(filled: tuple[AdminServer, dict[str, Any]], raw: bytes) -> None:
    server, _ = filled
    before = server.snapshot()
    reply = server.call("POST", "/projects", raw=raw)
    assert reply.status == 400
    assert server.snapshot() == before
