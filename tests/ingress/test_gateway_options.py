"""The gateway's own fields: in the body, in headers, and what is wrong with them."""

from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from ingress.gateway_options import HEADERS, Options, read_options
from ingress.surfaces.openai_chat import OpenAiChat
from ingress.surfaces.surface import GatewayFields
from schemas.envelope import RoutingOptions
from schemas.failures import Failure
from tests.ingress.http_stack import KEY, PROJECT


def read(headers: dict[str, str] | None = None, **fields: Any) -> Options | Failure:
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields})
    call = OpenAiChat().read_call(body, None, streaming=False)
    if isinstance(call, Failure):
        return call
    return read_options(call, CIMultiDict(headers or {}), KEY, PROJECT)


def good(headers: dict[str, str] | None = None, **fields: Any) -> Options:
    options = read(headers, **fields)
    assert isinstance(options, Options), options
    return options


def test_nothing_said_is_nothing_asked() -> None:
    options = good()
    assert (options.model, options.routing) == ("m", RoutingOptions())
    assert (options.attribution.customer_id, options.attribution.tags) == (None, {})


def test_the_body_says_it_all() -> None:
    options = good(
        models=["a", "m", "a", "b"],
        vendors=["x", "y"],
        tags={"team": "search"},
        customer="c1",
        project_id="proj",
        routing_policy="default",
        zero_data_retention=True,
        include_routing_metadata=True,
    )
    assert options.routing == RoutingOptions(
        fallback_models=("a", "b"), vendors=("x", "y"), zero_data_retention=True, include_metadata=True
    )
    assert (options.attribution.customer_id, options.attribution.tags) == ("c1", {"team": "search"})


def test_the_headers_say_the_same() -> None:
    options = good(
        {
            "x-tollhouse-models": "a, b",
            "X-Tollhouse-Vendor": "x",
            "X-Tollhouse-Tags": "team=search, run=4=2",
            "X-Tollhouse-Customer": "c1",
            "X-Tollhouse-Project-Id": "proj",
            "X-Tollhouse-Routing-Policy": "default",
            "X-Tollhouse-Zero-Data-Retention": "TRUE",
            "X-Tollhouse-Include-Routing-Metadata": "false",
        }
    )
    assert options.routing == RoutingOptions(fallback_models=("a", "b"), vendors=("x",), zero_data_retention=True)
    assert options.attribution.tags == {"team": "search", "run": "4=2"}


def test_the_body_counts_where_both_speak() -> None:
    said = {"X-Tollhouse-Vendors": "h", "X-Tollhouse-Customer": "h", "X-Tollhouse-Zero-Data-Retention": "true"}
    options = good(said, vendor="b", zero_data_retention=False)
    assert options.routing == RoutingOptions(vendors=("b",))
    assert options.attribution.customer_id == "h"


def test_tags_may_be_a_list() -> None:
    assert good(tags=[{"key": "team", "value": "search"}]).attribution.tags == {"team": "search"}


@pytest.mark.parametrize(
    ("headers", "fields", "param"),
    [
        ({}, {"vendor": "a", "vendors": ["b"]}, "vendor"),
        ({}, {"project_id": "another"}, "project_id"),
        ({}, {"routing_policy": "cheapest"}, "routing_policy"),
        ({}, {"models": "a"}, "models"),
        ({}, {"models": [""]}, "models[0]"),
        ({}, {"models": [f"m{number}" for number in range(17)]}, "models"),
        ({}, {"tags": {"k": 1}}, "tags[...]"),
        ({}, {"tags": [{"key": "k"}]}, "tags[0].value"),
        ({}, {"customer": ""}, "customer"),
        ({}, {"zero_data_retention": "yes"}, "zero_data_retention"),
        ({"X-Tollhouse-Zero-Data-Retention": "yes"}, {}, "X-Tollhouse-Zero-Data-Retention"),
        ({"X-Tollhouse-Tags": "team"}, {}, "X-Tollhouse-Tags"),
        ({"X-Tollhouse-Customer": "c" * 300}, {}, "headers"),
    ],
)
def test_what_is_wrong_is_named(headers: dict[str, str], fields: dict[str, Any], param: str) -> None:
    failure = read(headers, **fields)
    assert isinstance(failure, Failure)
    assert failure.param == param
    assert 400 <= failure.http_status < 500


def test_every_field_has_its_header() -> None:
    assert len(HEADERS) == len(GatewayFields.__struct_fields__)
