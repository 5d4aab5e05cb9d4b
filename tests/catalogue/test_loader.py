"""Operators' files over the built-in catalogue, and their mistakes. What is built in: test_built_in.py."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.catalogue import loader
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from schemas.catalogue import Catalogue, PriceTier

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
TIER = '{ above_input_tokens = 9, input = "1", output = "1" }'


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


def test_a_built_models_further_name_gives_way_to_an_operators_model(tmp_path: Path) -> None:
    built = load_catalogue([]).find("gpt-4o-mini-2024-07-18")
    assert built is not None
    assert built.model_id == "gpt-4o-mini"
    catalogue = load(tmp_path, MINE.replace('"my-alias"', '"GPT-4o-mini-2024-07-18"'))
    for name, model_id in (("gpt-4o-mini-2024-07-18", "mine"), ("gpt-4o-mini", "gpt-4o-mini")):
        found = catalogue.find(name)
        assert found is not None
        assert found.model_id == model_id


def test_a_built_model_is_replaced_with_all_its_routes(tmp_path: Path) -> None:
    catalogue = load(tmp_path, MINE.replace("models.mine", 'models."gpt-4o"'))
    model = catalogue.find("gpt-4o")
    assert model is not None
    assert [route.vendor for route in model.routes] == ["v"]
    assert [each.model_id for each in catalogue.models].count("gpt-4o") == 1


def test_every_field_can_be_written_by_hand(tmp_path: Path) -> None:
    whole = """
[models.whole]
name = "Whole"
provider = "me"
kind = "speech"
[[models.whole.routes]]
vendor = "v"
vendor_model = "m"
context_tokens = 10
max_output_tokens = 5
capabilities = []
zero_data_retention = true
region = "eu"
status = "preview"
facts_from = "me, today"
[[models.whole.routes.prices]]
start = 2026-03-01
input = "1"
output = "2"
cache_write = "1.25"
cache_write_1h = "2"
reasoning = "3"
batch_input = "0.5"
batch_output = "1"
source = "s"
tiers = [{ above_input_tokens = 200000, input = "2", output = "3.5", cached_input = "0.2" }]
"""
    model = load(tmp_path, whole).find("whole")
    assert model is not None
    (route,) = model.routes
    assert (model.kind, route.region, route.status, route.facts_from) == ("speech", "eu", "preview", "me, today")
    (price,) = route.prices
    assert (price.cache_write_1h, price.batch_output) == (Decimal(2), Decimal(1))
    (tier,) = price.tiers
    assert tier == PriceTier(
        above_input_tokens=200_000, input=Decimal(2), output=Decimal("3.5"), cached_input=Decimal("0.2")
    )


@pytest.mark.parametrize(
    ("tiers", "problem"),
    [
        ('[{ above_input_tokens = 0, input = 2.5, output = "1" }]', "tiers[0]: input: write money as a string"),
        ('[{ above_input_tokens = 0, output = "1" }]', "tiers[0]: input: is required"),
        ('[{ above_input_tokens = 9, input = "1", output = "1", typo = 1 }]', "tiers[0]: typo: there is no such field"),
        (f"[{TIER}, {TIER}]", "tiers: two tiers begin above 9"),
        (TIER, "tiers: expected a list"),
    ],
)
def test_tiers_are_held_to_the_same_rules(tmp_path: Path, tiers: str, problem: str) -> None:
    text = MINE.replace('cached_input = "0.01",', f'cached_input = "0.01", tiers = {tiers},')
    (found,) = problems(tmp_path, text)
    assert found.startswith("0.toml: mine: routes[0]: prices[1]: ")
    assert problem in found


@pytest.mark.parametrize("content", [None, b"{", b'{"sources": [], "read_on": "2026-01-01", "models": [{}]}'])
def test_a_damaged_built_file_is_told_together_with_the_operators_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr(loader, "BUILT_FILE", tmp_path / "models.json")
    if content is not None:
        (tmp_path / "models.json").write_bytes(content)
    found = problems(tmp_path, "nonsense = 1")
    assert [problem.split(":")[0] for problem in found] == ["models.json", "0.toml"]


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


def test_a_replaced_model_keeps_its_further_names_unless_it_is_given_others(tmp_path: Path) -> None:
    kept = MINE.replace("models.mine", 'models."gpt-4o-mini"').replace('aliases = ["my-alias"]\n', "")
    found = load(tmp_path, kept).find("gpt-4o-mini-2024-07-18")
    assert found is not None
    assert (found.model_id, [route.vendor for route in found.routes]) == ("gpt-4o-mini", ["v"])
    given = load(tmp_path, MINE.replace("models.mine", 'models."gpt-4o-mini"'))
    assert given.find("gpt-4o-mini-2024-07-18") is None
    both = kept + MINE.replace("models.mine", "models.other").replace("Mine", "Other").replace(
        '"my-alias"', '"gpt-4o-mini-2024-07-18"'
    )
    other = load(tmp_path, both).find("gpt-4o-mini-2024-07-18")
    assert other is not None
    assert other.model_id == "other"
