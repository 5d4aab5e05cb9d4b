"""Every client API with every vendor format: each cell as in its golden file, and as both sides meant it."""

import dataclasses

import pytest

from tests.matrix import golden
from tests.matrix.cells import SAMPLES, Client, WireSamples
from tests.matrix.exchanges import SCENARIOS, CellScenario, pairs, tell

CELLS = [
    pytest.param(client, wire, scenario, id=f"{client.name}-{wire.name}-{scenario}")
    for client, wire in pairs()
    for scenario in SCENARIOS
]


# What each vendor tells apart in its usage, by its documentation.
COUNTED = {
    "openai": {"cached", "written", "reasoning"},
    "anthropic": {"cached", "written", "written_1h", "reasoning"},
    "gemini": {"cached", "reasoning"},
    "bedrock": {"cached", "written", "written_1h"},
    "cohere": {"cached"},
    "mistral": {"cached"},
}


@pytest.mark.parametrize("wire", SAMPLES, ids=lambda wire: type(wire).__name__)
def test_samples_hold_every_kind_of_token(wire: WireSamples) -> None:
    """Else a cell could be right by chance."""
    figures = dataclasses.asdict(wire.answer("plain", {}).figures)
    assert {name for name, count in figures.items() if count} == COUNTED[wire.name] | {"input", "output"}
    assert len(set(figures.values()) - {0}) == len(COUNTED[wire.name]) + 2, "each figure is another"


@pytest.mark.parametrize(("client", "wire", "scenario"), CELLS)
def test_cell(client: Client, wire: WireSamples, scenario: CellScenario) -> None:
    cell = tell(client, wire, scenario)
    golden.compare(f"{client.name}/{wire.name}/{scenario}.json", {"refused": cell.refused, "exchanges": cell.exchanges})
