"""Embeddings and the count of tokens: each cell as in its golden file, and as both sides meant it."""

import pytest

from tests.matrix import golden
from tests.matrix.cells import WireSamples
from tests.matrix.small_apis import (
    COUNTING_WIRE,
    EMBEDDING_SCENARIOS,
    EMBEDDING_WIRES,
    CountScenario,
    EmbeddingScenario,
    tell_count,
    tell_embeddings,
)


@pytest.mark.parametrize("scenario", EMBEDDING_SCENARIOS)
@pytest.mark.parametrize("wire", EMBEDDING_WIRES, ids=lambda wire: str(wire.name))
def test_embeddings(wire: WireSamples, scenario: EmbeddingScenario) -> None:
    told = tell_embeddings(wire, scenario)
    golden.compare(f"openai.embeddings/{wire.name}/{scenario}.json", {"exchanges": told})


@pytest.mark.parametrize("scenario", ["plain", "error"])
def test_count_of_tokens(scenario: CountScenario) -> None:
    told = tell_count(scenario)
    golden.compare(f"anthropic.count_tokens/{COUNTING_WIRE.name}/{scenario}.json", {"exchanges": told})
