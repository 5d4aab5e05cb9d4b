"""What a vendor gets to see of a client's body."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.gateway_fields import GATEWAY_FIELDS
from router_worker.vendors.vendor import VendorCall, VendorRequest
from tests.router_worker.openai_samples import call, vendor


def built(body: bytes | dict[str, Any], name: str = "openai", **changes: Any) -> bytes:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    request = vendor(name).build_request(call(data, **changes))
    assert isinstance(request, VendorRequest)
    return request.body


def test_only_the_model_changes_and_every_other_byte_stays() -> None:
    body = (
        b'{"messages":[ {"role":"user","content":"\\u00e9 \\"model\\":\\"x\\""} ],"model":"cat-1",'
        b'"temperature":1.50,"seed":12345678901234567890123,"x_unknown":{"b":1,"a":[1e2,  2]},"stop":null}'
    )
    assert built(body) == body.replace(b'"model":"cat-1"', b'"model":"vendor/one"')


def test_gateway_fields_go_and_only_those() -> None:
    body = {"model": "m", **dict.fromkeys(GATEWAY_FIELDS, "x"), "user": "u", "nested": {"tags": 1}}
    assert orjson.loads(built(body)) == {"model": "vendor/one", "user": "u", "nested": {"tags": 1}}


def test_a_model_that_was_not_given_is_added() -> None:
    assert orjson.loads(built({"messages": []}))["model"] == "vendor/one"


def test_of_a_field_given_twice_the_last_counts_so_that_vendor_and_gateway_read_the_same() -> None:
    assert built(b'{"model":"a","max_tokens":5,"n":1,"n":2}', "zai") == b'{"model":"vendor/one","max_tokens":5,"n":2}'


@pytest.mark.parametrize(
    ("given_options", "sent"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_usage_is_asked_for_in_every_stream(given_options: Any, sent: Any) -> None:
    body = {"model": "m", "stream": True, "stream_options": given_options}
    assert orjson.loads(built(body, streaming=True))["stream_options"] == sent
    del body["stream_options"]
    assert orjson.loads(built(body, streaming=True))["stream_options"] == {"include_usage": True}


def test_mistral_gets_no_stream_options_and_its_own_names() -> None:
    body = {"seed": 1, "model": "m", "stream": True, "max_completion_tokens": 9, "user": "u", "store": False}
    sent = built(body, "mistral", streaming=True)
    assert sent == b'{"random_seed":1,"model":"vendor/one","stream":true,"max_tokens":9}'


def test_a_plain_call_gets_no_stream_options() -> None:
    assert "stream_options" not in orjson.loads(built({"model": "m"}))


@pytest.mark.parametrize(
    ("row", "given_fields", "cap", "sent"),
    [
        ("zai", {}, None, {}),
        ("zai", {}, 50, {"max_tokens": 50}),
        ("zai", {"max_tokens": 40}, 50, {"max_tokens": 40}),
        ("zai", {"max_tokens": 60}, 50, {"max_tokens": 50}),
        ("zai", {"max_tokens": None}, 50, {"max_tokens": 50}),
        ("zai", {"max_completion_tokens": 40}, None, {"max_tokens": 40}),
        ("zai", {"max_completion_tokens": 60}, 50, {"max_tokens": 50}),
        ("zai", {"max_completion_tokens": 60, "max_tokens": 70}, None, {"max_tokens": 60}),
        ("zai", {"max_completion_tokens": 60, "max_tokens": 20}, 50, {"max_tokens": 20}),
        ("zai", {"max_completion_tokens": 60, "max_tokens": None}, None, {"max_tokens": 60}),
        ("openai", {}, 50, {"max_completion_tokens": 50}),
        ("openai", {"max_tokens": 60}, 50, {"max_completion_tokens": 50}),
        ("openai", {"max_tokens": 40}, None, {"max_completion_tokens": 40}),
    ],
)
def test_the_cap_goes_under_the_vendors_one_name(
    row: str, given_fields: dict[str, Any], cap: int | None, sent: dict[str, Any]
) -> None:
    fields = orjson.loads(built({"model": "m", **given_fields}, row, max_output_tokens=cap))
    del fields["model"]
    assert fields == sent


def test_a_service_tier_is_not_passed_on_because_its_price_is_not_in_the_catalogue() -> None:
    assert b"service_tier" not in built({"model": "m", "service_tier": "priority"})


def request_of(given: VendorCall) -> VendorRequest:
    request = vendor().build_request(given)
    assert isinstance(request, VendorRequest)
    return request


def test_headers() -> None:
    headers = request_of(call(attempt_id="r.0.1", streaming=True)).headers
    assert headers["Authorization"] == "Bearer secret"
    assert headers["X-Tollhouse-Attempt-Id"] == "r.0.1"
    assert headers["Accept"] == "text/event-stream"
    assert "Authorization" not in request_of(call(api_key=None)).headers
    assert request_of(call()).url_path == "/chat/completions"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_TOUCHED = {*GATEWAY_FIELDS, "model", "max_tokens", "max_completion_tokens", "stream_options", "service_tier"}


@given(
    before=st.dictionaries(st.text().filter(lambda name: name not in _TOUCHED), _JSON, max_size=4),
    after=st.dictionaries(st.text().filter(lambda name: name not in _TOUCHED), _JSON, max_size=4),
    ascii_only=st.booleans(),
)
def test_unknown_fields_keep_their_order_and_their_bytes(
    before: dict[str, Any], after: dict[str, Any], ascii_only: bool
) -> None:
    fields = {**before, "model": "cat-1", **after}
    try:
        body = json.dumps(fields, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return
    sent = built(body)
    assert list(json.loads(sent)) == list(fields)
    for name, value in fields.items():
        if name != "model":
            assert json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode() in sent
    assert json.loads(sent) == fields | {"model": "vendor/one"}


def test_what_a_row_leaves_out_is_named() -> None:
    body = {"model": "m", "service_tier": "flex", "user": "u", "store": None}
    request = vendor("mistral").build_request(call(orjson.dumps(body)))
    assert isinstance(request, VendorRequest)
    assert request.dropped == ("service_tier", "user")
