"""docs/matrix.md says what the code does, and every golden file belongs to a cell."""

from pathlib import Path

from tests.matrix import golden
from tests.matrix.exchanges import SCENARIOS, pairs
from tests.matrix.matrix_page import page
from tests.matrix.small_apis import EMBEDDING_SCENARIOS, EMBEDDING_WIRES

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"


def test_the_page_is_fresh() -> None:
    found = page()
    if golden.WRITE:
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "stale: write it anew with TOLLHOUSE_WRITE_GOLDEN=1"


def test_there_is_a_golden_file_for_each_cell_and_no_other() -> None:
    chat = {f"{client.name}/{wire.name}/{scenario}.json" for client, wire in pairs() for scenario in SCENARIOS}
    assert len(chat) == 4 * 6 * 8
    small = {f"openai.embeddings/{wire.name}/{each}.json" for wire in EMBEDDING_WIRES for each in EMBEDDING_SCENARIOS}
    small |= {f"anthropic.count_tokens/anthropic/{each}.json" for each in ("plain", "error")}
    assert golden.files() == chat | small
