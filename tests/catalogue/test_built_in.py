"""What is built in: the generated models with our overrides on top."""

from datetime import date
from decimal import Decimal

import pytest

from catalogue_build.candidates import VENDORS
from catalogue_build.pins import PRICE_SOURCE, READ_ON
from router_worker.vendors.table import BUILT_IN
from runtime.catalogue.loader import BUILT_FILE, load_catalogue, read_built
from schemas.catalogue import Model, Price, Route

CATALOGUE = load_catalogue([])
ROUTES = [(model, route) for model in CATALOGUE.models for route in model.routes]

# The names under which the seed list's models must be found: as the list writes them, and the vendors' ids.
SEED = {
    "glm-4-32b-0414-128k": ("zai", "GLM-4-32B-0414-128K"),
    "nova-2-lite": ("bedrock", "Amazon Nova 2 Lite", "us.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
    "nova-lite": ("bedrock", "Amazon Nova Lite", "Nova Lite", "us.amazon.nova-lite-v1:0"),
    "nova-micro": ("bedrock", "Amazon Nova Micro", "Nova Micro", "amazon.nova-micro-v1:0"),
    "nova-pro": ("bedrock", "Amazon Nova Pro", "Nova Pro", "us.amazon.nova-pro-v1:0"),
    "nova-premier": ("bedrock", "Amazon Nova Premier", "Nova Premier", "us.amazon.nova-premier-v1:0"),
    "nova-2-sonic": ("bedrock", "Amazon Nova 2 Sonic", "Amazon.Nova 2 Sonic V1:0", "amazon.nova-2-sonic-v1:0"),
    "trinity-large-thinking": ("arcee", "Trinity-Large-Thinking", "arcee-ai/Trinity-Large-Thinking"),
    "ui-tars-1.5-7b": ("openrouter", "UI-TARS-1.5-7B", "ByteDance-Seed/UI-TARS-1.5-7B", "bytedance/ui-tars-1.5-7b"),
    "claude-haiku-4-5": ("anthropic", "Claude Haiku 4.5 20251001", "claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
    "claude-opus-4": ("anthropic", "Claude Opus 4", "claude-opus-4-20250514", "claude-opus-4-0"),
    "claude-opus-4-1": (
        "anthropic",
        "Claude Opus 4.1 20250805",
        "Claude Opus 4 1 20250805",
        "claude-opus-4-1-20250805",
    ),
    "claude-opus-4-5": (
        "anthropic",
        "Claude Opus 4.5 20251101",
        "Claude Opus 4 5 20251101",
        "claude-opus-4-5-20251101",
    ),
    "claude-opus-4-6": ("anthropic", "Claude Opus 4.6", "Claude Opus 4 6"),
    "claude-opus-4-7": ("anthropic", "Claude Opus 4.7"),
    "claude-opus-4-8": ("anthropic", "Claude Opus 4.8"),
    "claude-sonnet-4": ("anthropic", "Claude Sonnet 4 20250514", "claude-sonnet-4-20250514"),
    "claude-sonnet-4-5": ("anthropic", "Claude Sonnet 4.5 20250929", "claude-sonnet-4-5-20250929"),
    "claude-sonnet-4-6": ("anthropic", "Claude Sonnet 4.6", "Claude Sonnet 4 6"),
    "codestral": ("mistral", "Codestral", "codestral-latest"),
    "codestral-2508": ("mistral", "Codestral 2508"),
    "command-a-03-2025": ("cohere", "Command A 03 2025"),
    "command-r-08-2024": ("cohere", "Command R 08 2024"),
    "command-r7b-12-2024": ("cohere", "Command R7B 12 2024"),
    "command-r-plus-08-2024": ("cohere", "Command R Plus 08 2024"),
}
# Documents and operators' notes name these.
KNOWN_SINCE_THE_FIRST_CATALOGUE = (
    "glm-5.2",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.2",
    "gpt-oss-120b",
    "gpt-oss-20b",
    "mistral-small-2603",
    "mistral-large-2512",
    "grok-4-1-fast-reasoning",
    "kimi-k3",
    "deepseek-v4-pro-0813",
    "deepseek-v3.2",
)


def found(name: str) -> Model:
    model = CATALOGUE.find(name)
    assert model is not None, name
    return model


def route_of(model: Model, vendor: str) -> Route:
    return next(route for route in model.routes if route.vendor == vendor)


def today(route: Route) -> Price:
    price = route.price_at(READ_ON)
    assert price is not None
    return price


@pytest.mark.parametrize("model_id", SEED)
def test_the_seed_list(model_id: str) -> None:
    vendor, *names = SEED[model_id]
    model = found(model_id)
    assert {found(name).model_id for name in names} == {model_id}
    assert today(route_of(model, vendor)).input > 0


def test_the_first_seed_model() -> None:
    model = found("GLM-4-32B-0414-128K")
    assert (model.model_id, model.provider) == ("glm-4-32b-0414-128k", "zai")
    (route,) = model.routes
    assert (route.vendor, route.context_tokens, route.zero_data_retention) == ("zai", 128_000, False)
    assert route.capabilities == {"streaming", "tools", "tool_choice"}
    assert route.price_at(date(2026, 11, 22)) == Price(
        start=date(2025, 1, 1), input=Decimal("0.10"), output=Decimal("0.10"), source=PRICE_SOURCE
    )


@pytest.mark.parametrize("model_id", KNOWN_SINCE_THE_FIRST_CATALOGUE)
def test_models_keep_their_ids(model_id: str) -> None:
    assert found(model_id).model_id == model_id


def test_every_route_is_sound() -> None:
    assert len(CATALOGUE.models) > 200
    for model, route in ROUTES:
        assert route.vendor in VENDORS, model.model_id
        assert route.vendor in BUILT_IN, model.model_id
        assert 0 < route.max_output_tokens <= route.context_tokens, model.model_id
        assert route.facts_from, model.model_id
        starts = [price.start for price in route.prices]
        assert starts == sorted(set(starts)), model.model_id
        assert starts[0] <= READ_ON, model.model_id
        for price in route.prices:
            assert price.source.endswith(READ_ON.isoformat()), model.model_id
            assert max(price.input, price.output) > 0, model.model_id
            bounds = [tier.above_input_tokens for tier in price.tiers]
            assert bounds == sorted(set(bounds)), model.model_id


def test_generated_prices_are_those_of_genai_prices() -> None:
    built = read_built(BUILT_FILE)
    assert built.read_on == READ_ON
    for model in built.models:
        assert all(price.source.startswith("genai-prices ") for route in model.routes for price in route.prices)


def test_no_name_means_two_models() -> None:
    for model in CATALOGUE.models:
        for name in (model.model_id, f"{model.provider}/{model.model_id}", model.name, *model.aliases):
            assert CATALOGUE.find(name) is model, name


def test_one_model_at_several_vendors_is_one_model() -> None:
    wanted = {
        "claude-haiku-4-5": {"anthropic", "bedrock", "vertex-anthropic"},
        "gpt-4o": {"openai", "azure"},
        "gemini-2.5-pro": {"gemini", "vertex"},
        "glm-5.2": {"zai", "together", "fireworks"},
        "llama-3.3-70b-instruct": {"bedrock", "together"},
        "gpt-oss-120b": {"groq", "together", "fireworks", "bedrock"},
        "text-embedding-3-small": {"openai", "azure"},
    }
    for model_id, vendors in wanted.items():
        assert vendors <= {route.vendor for route in found(model_id).routes}, model_id


def test_a_makers_own_vendor_comes_first_and_what_is_retired_last() -> None:
    own = {"openai", "anthropic", "cohere", "mistral", "zai", "xai", "arcee"} | {"google", "amazon"}
    at = {"google": "gemini", "amazon": "bedrock"}
    for model in CATALOGUE.models:
        retired = [route.status == "deprecated" for route in model.routes]
        assert retired == sorted(retired), model.model_id
        vendors = [route.vendor for route in model.routes if route.status != "deprecated"]
        maker = at.get(model.provider, model.provider)
        if model.provider in own and maker in vendors:
            assert vendors[0] == maker, model.model_id


def test_snapshots_are_never_served_for_one_another() -> None:
    for name in ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"):
        assert {route.vendor_model.removeprefix("openai/") for route in found(name).routes} == {name}


def test_bedrock_is_called_by_its_inference_profiles() -> None:
    regions = {
        route.vendor_model: route.region for route in found("claude-haiku-4-5").routes if route.vendor == "bedrock"
    }
    assert regions == {
        "us.anthropic.claude-haiku-4-5-20251001-v1:0": "us",
        "global.anthropic.claude-haiku-4-5-20251001-v1:0": "global",
    }
    for model, route in ROUTES:
        assert route.zero_data_retention == (route.vendor == "bedrock"), model.model_id


def test_kinds() -> None:
    embeddings = {model.model_id for model in CATALOGUE.models if model.kind == "embeddings"}
    assert {
        "text-embedding-3-small",
        "text-embedding-3-large",
        "gemini-embedding-001",
        "embed-v4.0",
        "embed-english-v3.0",
        "mistral-embed",
        "codestral-embed",
    } <= embeddings
    for model, route in ROUTES:
        assert (model.kind == "embeddings") == (not route.capabilities), model.model_id
        if model.kind == "embeddings":
            assert today(route).output == 0, model.model_id
    assert [model.model_id for model in CATALOGUE.models if model.kind == "speech"] == ["nova-2-sonic"]


@pytest.mark.parametrize(
    ("name", "vendor", "field", "usd"),
    [
        ("claude-haiku-4-5", "anthropic", "cached_input", "0.1"),
        ("claude-haiku-4-5", "anthropic", "cache_write", "1.25"),
        ("claude-haiku-4-5", "anthropic", "cache_write_1h", "2"),
        ("claude-haiku-4-5", "anthropic", "batch_output", "2.5"),
        ("claude-haiku-4-5", "bedrock", "input", "1.1"),
        ("gpt-4o", "openai", "cached_input", "1.25"),
        ("command-r7b-12-2024", "cohere", "input", "0.0375"),
    ],
)
def test_prices_that_were_looked_up_by_hand(name: str, vendor: str, field: str, usd: str) -> None:
    assert getattr(today(route_of(found(name), vendor)), field) == Decimal(usd)


def test_dated_and_tiered_prices() -> None:
    opus = route_of(found("claude-opus-4-6"), "anthropic")
    assert [bool(price.tiers) for price in opus.prices] == [True, *[False] * (len(opus.prices) - 1)]
    assert len(opus.prices) > 1
    (tier,) = today(route_of(found("gemini-2.5-pro"), "gemini")).tiers
    assert (tier.above_input_tokens, tier.input, tier.output) == (200_000, Decimal("2.5"), Decimal(15))
    assert tier.cached_input == Decimal("0.25")
