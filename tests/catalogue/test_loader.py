"""The built-in catalogue, an operator's files over it, and their mistakes."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from router_worker.vendors.table import BUILT_IN
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from schemas.catalogue import Catalogue, Price

MINE = """
[models.mine]
name = "Mine"
provider = "me"
aliases = ["my-alias"]
created = 2026-02-03

[[models.mine.routes]]
vendor = "v"
vendor_model = "org/Mine"
context_tokens = 10
max_output_tokens = 5
prices = [
  { start = 2026-03-01, input = "0.2", output = "1", source = "s" },
  { start = 2026-01-01, input = "0.1", output = "1", cached_input = "0.01", source = "s" },
]
"""


def load(tmp_path: Path, *texts: str) -> Catalogue:
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.toml")
        files[-1].write_text(text, encoding="utf-8")
    return load_catalogue(files)


def problems(tmp_path: Path, *texts: str) -> list[str]:
    with pytest.raises(InvalidCatalogue) as raised:
        load(tmp_path, *texts)
    return [problem.replace(f"{tmp_path}/", "") for problem in raised.value.problems]


def test_the_seed_model() -> None:
    model = load_catalogue([]).find("GLM-4-32B-0414-128K")
    assert model is not None
    assert (model.model_id, model.provider) == ("glm-4-32b-0414-128k", "zai")
    (route,) = model.routes
    assert (route.vendor, route.context_tokens, route.zero_data_retention) == ("zai", 128_000, False)
    assert route.capabilities == {"streaming", "tools", "tool_choice"}
    assert route.price_at(date(2026, 11, 22)) == Price(
        start=date(2025, 1, 1), input=Decimal("0.10"), output=Decimal("0.10"), source="genai-prices 0.2.3"
    )


def test_the_built_in_catalogue_is_sound() -> None:
    catalogue = load_catalogue([])
    assert len(catalogue.models) > 12
    for model in catalogue.models:
        for route in model.routes:
            assert route.vendor in BUILT_IN
            assert route.max_output_tokens <= route.context_tokens
            assert all(price.source.startswith("genai-prices ") for price in route.prices)
    assert any(len(model.routes) > 2 for model in catalogue.models)


def test_an_overlay_adds_models_and_prices_are_in_order(tmp_path: Path) -> None:
    catalogue = load(tmp_path, MINE)
    model = catalogue.find("my-alias")
    assert model is not None
    assert model is catalogue.find("ME/MINE")
    assert model.created == date(2026, 2, 3)
    assert [price.start.month for price in model.routes[0].prices] == [1, 3]
    assert model.routes[0].prices[0].cached_input == Decimal("0.01")
    assert catalogue.find("gpt-4o") is not None


def test_the_last_file_wins_with_the_whole_model(tmp_path: Path) -> None:
    model = load(tmp_path, MINE, MINE.replace('"Mine"', '"Newer"').replace("aliases", "# aliases")).find("mine")
    assert model is not None
    assert (model.name, model.aliases) == ("Newer", ())


def test_all_problems_at_once_each_with_file_model_and_field(tmp_path: Path) -> None:
    bad = """
[nonsense]
[models.a]
provider = 5
typo = 1
routes = []
[models.Bad]
name = "B"
provider = "p"
model_id = "x"
[[models.Bad.routes]]
vendor = "v"
context_tokens = 0
max_output_tokens = "many"
capabilities = ["flying"]
prices = [
  { start = 2026-01-01, input = 0.1, output = "-1", source = "s" },
  { start = "soon", input = "x", output = "NaN", cached_input = true, source = "s" },
]
"""
    wanted = [
        "0.toml: nonsense:",
        "0.toml: a: name:",
        "0.toml: a: provider:",
        "0.toml: a: typo:",
        "0.toml: a: routes:",
        "0.toml: Bad: a model's id",
        "0.toml: Bad: model_id:",
        "0.toml: Bad: routes[0]: vendor_model:",
        "0.toml: Bad: routes[0]: max_output_tokens:",
        "0.toml: Bad: routes[0]: capabilities:",
        "0.toml: Bad: routes[0]: prices[0]: input:",
        "0.toml: Bad: routes[0]: prices[0]: output:",
        "0.toml: Bad: routes[0]: prices[1]: start:",
        "0.toml: Bad: routes[0]: prices[1]: input:",
        "0.toml: Bad: routes[0]: prices[1]: output:",
        "0.toml: Bad: routes[0]: prices[1]: cached_input:",
    ]
    found = problems(tmp_path, bad)
    assert len(found) == len(wanted)
    for place in wanted:
        assert sum(problem.startswith(place) for problem in found) == 1, place


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"my-alias"', '"GPT-4o"'), "0.toml: mine: the name 'gpt-4o' is that of 'gpt-4o' already"),
        (("2026-03-01", "2026-01-01"), "0.toml: mine: routes[0]: prices: two prices start on 2026-01-01"),
        (("context_tokens = 10", "context_tokens = 0"), "0.toml: mine: routes[0].context_tokens: must be positive"),
    ],
)
def test_sound_types_but_no_sense(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    assert problems(tmp_path, MINE.replace(*change)) == [problem]


def test_the_same_route_twice(tmp_path: Path) -> None:
    twice = MINE + MINE[MINE.index("[[models") :]
    assert problems(tmp_path, twice) == ["0.toml: mine: routes[1]: the model has this vendor and vendor_model already"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[models", encoding="utf-8")
    with pytest.raises(InvalidCatalogue) as raised:
        load_catalogue([tmp_path / "none.toml", tmp_path / "bad.toml"])
    assert [problem.split(": ")[0].rsplit("/", 1)[-1] for problem in raised.value.problems] == ["none.toml", "bad.toml"]
