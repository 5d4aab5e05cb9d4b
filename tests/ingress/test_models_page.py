"""One model's page: what OpenAI's clients need, and everything the catalogue knows."""

import json
from datetime import date
from decimal import Decimal

import openai.types
import pytest

from ingress.models_page import ModelsPage
from runtime.catalogue.loader import load_catalogue
from schemas.catalogue import Catalogue, Model, Price, PriceTier, Route
from schemas.failures import Failure, FailureKind
from tests.ingress.http_stack import KEY, SECRET, ingress_stack

TIERED = Price(
    start=date(2026, 1, 1),
    input=Decimal("1E-3"),
    output=Decimal("2.50"),
    cached_input=Decimal(0),
    batch_input=Decimal("0.0005"),
    tiers=(PriceTier(above_input_tokens=200_000, input=Decimal("0.002"), output=Decimal(5)),),
    source="a price list, 2026-01-02",
)
ROUTE = Route(
    vendor="v",
    vendor_model="org/Vm",
    prices=(TIERED,),
    context_tokens=1000,
    max_output_tokens=100,
    capabilities=frozenset({"vision", "tools", "streaming"}),
    zero_data_retention=True,
    region="eu",
    status="preview",
    facts_from="a list, 2026-01-03",
)
MODEL = Model(model_id="m", name="The Model", provider="maker", routes=(ROUTE,), aliases=("em",), kind="embeddings")
PAGE = ModelsPage(Catalogue((MODEL,)))


def test_all_facts_of_a_model() -> None:
    body = PAGE.one("em", KEY)
    assert isinstance(body, bytes)
    assert json.loads(body) == {
        "id": "m",
        "object": "model",
        "created": 1767225600,
        "owned_by": "maker",
        "name": "The Model",
        "kind": "embeddings",
        "aliases": ["em"],
        "routes": [
            {
                "vendor": "v",
                "vendor_model": "org/Vm",
                "context_tokens": 1000,
                "max_output_tokens": 100,
                "capabilities": ["streaming", "tools", "vision"],
                "zero_data_retention": True,
                "region": "eu",
                "status": "preview",
                "facts_from": "a list, 2026-01-03",
                "prices": [
                    {
                        "start": "2026-01-01",
                        "usd_per_million_tokens": {
                            "input": "0.001",
                            "output": "2.50",
                            "cached_input": "0",
                            "batch_input": "0.0005",
                        },
                        "tiers": [
                            {
                                "above_input_tokens": 200_000,
                                "usd_per_million_tokens": {"input": "0.002", "output": "5"},
                            }
                        ],
                        "source": "a price list, 2026-01-02",
                    }
                ],
            }
        ],
    }


def test_the_list_has_openais_fields_only() -> None:
    assert json.loads(PAGE.list_for(KEY))["data"] == [
        {"id": "m", "object": "model", "created": 1767225600, "owned_by": "maker"}
    ]


def test_no_such_model() -> None:
    missing = PAGE.one("n", KEY)
    assert isinstance(missing, Failure)
    assert (missing.kind, missing.param) == (FailureKind.MODEL_NOT_FOUND, "model")


def test_every_page_of_the_built_in_catalogue_reads_as_openais_and_has_its_prices() -> None:
    catalogue = load_catalogue([])
    page = ModelsPage(catalogue)
    for model in catalogue.models:
        body = page.one(model.model_id, KEY)
        assert isinstance(body, bytes)
        assert openai.types.Model.model_validate_json(body).id == model.model_id
        for shown, route in zip(json.loads(body)["routes"], model.routes, strict=True):
            usd = shown["prices"][-1]["usd_per_million_tokens"]
            assert Decimal(usd["input"]) == route.prices[-1].input
            assert "E" not in "".join(usd.values())


@pytest.mark.parametrize("name", ["m", "The%20Model"])
async def test_over_http(name: str) -> None:
    async with ingress_stack() as stack, stack.client.get(f"/v1/models/{name}") as response:
        page = await response.json()
        assert (response.status, page["id"], page["name"], page["kind"]) == (200, "m", "The Model", "chat")
        (route,) = page["routes"]
        assert route["prices"][0]["usd_per_million_tokens"] == {"input": "1", "output": "2"}
        assert SECRET not in json.dumps(page)
