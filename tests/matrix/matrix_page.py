"""The page of all cells, out of what the code does."""

from collections.abc import Iterable

from router_worker.ways import ways_of
from schemas.envelope import Surface
from tests.matrix.cells import CLIENTS, WIRES, Client, WireSamples, samples
from tests.matrix.exchanges import SCENARIOS, Cell, CellScenario, tell
from tests.matrix.features import FEATURES, UNHEEDED, Feature, fate
from tests.matrix.small_apis import (
    COUNTING_WIRE,
    EMBEDDING_WIRES,
    CountScenario,
    EmbeddingScenario,
    tell_count,
    tell_embeddings,
)

_TITLES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "bedrock": "Bedrock",
    "cohere": "Cohere",
    "mistral": "Mistral",
}
_SCENARIOS: dict[CellScenario, str] = {
    "plain": "plain answer",
    "streaming": "streaming",
    "cut_off": "answer cut off at the cap",
    "tool_round_trip": "tools: two calls at once, and their results",
    "image": "image input",
    "structured_output": "structured output (JSON schema)",
    "error": "the vendor's 429 and 400",
    "truncated_stream": "truncated stream",
}
_HEAD = """\
# Every client API to every vendor format

Written by `TOLLHOUSE_WRITE_GOLDEN=1 pytest tests/matrix` out of what the code does; do not edit. A test fails while it
is stale. Each cell below is a golden file under `tests/matrix/golden/`: the client's request, what the vendor is sent,
what it answers, and what the client gets, with tokens and cost.

What holds in every cell that works:

- The client understands the same text, thoughts, tool calls and usage as the vendor meant, streaming or not, wherever
  the network cuts the stream.
- Results of tool calls reach the vendor under the ids that it gave, and its signed thoughts go back to it; to Gemini
  from an Anthropic client without the mark of a call, for which that API has no place.
- The cost is exact for cached input, cache writes of both kinds, and reasoning, where the vendor counts them apart.
- A stream that ends before the vendor has said why it stopped ends for the client with an error of its own API, without
  an end marker. One that ends after that reason, but without the marker behind it, is whole; without figures its cost
  is an estimate.
- No field meant for the gateway reaches a vendor.

"Passed through" means that client and vendor speak the same format: the body is changed only where it must be.
"""
_FEATURES_HEAD = """\
## What of a request each vendor format can say

When client and vendor speak different formats. Dropped: the answer comes without it, and `X-Tollhouse-Dropped-Fields`
names the field. Refused: 400 with the words below, unless another route can say it. For one model of each vendor
({models}); others differ, Claude's and Bedrock's most of all.
"""


class _Notes:
    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        return f"[{self._numbers.setdefault(text, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        return [f"{number}. {text}" for text, number in self._numbers.items()]


def page() -> str:
    lines = [_HEAD]
    notes = _Notes()
    for client in CLIENTS:
        lines += [f"## {client.name}", "", *_table("", _chat_rows(client, notes))]
    lines += ["## openai.embeddings, anthropic.count_tokens", "", *_table("", _small_rows())]
    lines += _footnotes(notes)
    models = ", ".join(f"`{wire.vendor_model}`" for wire in WIRES)
    notes = _Notes()
    lines += [_FEATURES_HEAD.format(models=models)]
    lines += _table("", [(feature.name, [_fate(wire, feature, notes) for wire in WIRES]) for feature in FEATURES])
    lines += _footnotes(notes)
    return "\n".join(lines).rstrip() + "\n"


def _table(corner: str, rows: Iterable[tuple[str, list[str]]]) -> list[str]:
    titles = [_TITLES[wire.name] for wire in WIRES]
    lines = [f"| {corner} | {' | '.join(titles)} |", "| --- " * (len(titles) + 1) + "|"]
    for name, cells in rows:
        assert all(cells), f"a blank cell: {name}"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _footnotes(notes: _Notes) -> list[str]:
    lines = notes.lines()
    return [*lines, ""] if lines else []


def _chat_rows(client: Client, notes: _Notes) -> list[tuple[str, list[str]]]:
    ways = [ways_of(wire.row)[client.name] for wire in WIRES]
    rows = [("way", ["translated" if way.translated else "passed through" for way in ways])]
    for scenario in SCENARIOS:
        cells = [_cell(tell(client, samples(client, wire), scenario), notes) for wire in WIRES]
        rows.append((_SCENARIOS[scenario], cells))
    return rows


def _cell(cell: Cell, notes: _Notes) -> str:
    if cell.refused is not None:
        return f"refused {notes.mark(cell.refused)}"
    dropped = sorted({name for each in cell.exchanges for name in each["vendor_request"]["dropped"]})
    return f"works, without {', '.join(f'`{name}`' for name in dropped)}" if dropped else "works"


def _small_rows() -> list[tuple[str, list[str]]]:
    embedding = {wire.name: wire for wire in EMBEDDING_WIRES}
    rows: list[tuple[str, list[str]]] = []
    titles: dict[EmbeddingScenario, str] = {
        "plain": "embeddings",
        "base64": "embeddings in base64",
        "error": "their errors",
    }
    for scenario, title in titles.items():
        cells = []
        for wire in WIRES:
            if wire.name in embedding:
                assert tell_embeddings(embedding[wire.name], scenario)
            cells.append(_offered(wire, "openai.embeddings", tested=wire.name in embedding))
        rows.append((title, cells))
    counting: dict[CountScenario, str] = {"plain": "count of tokens", "error": "its errors"}
    for count_scenario, title in counting.items():
        assert tell_count(count_scenario)
        cells = [_offered(wire, "anthropic.count_tokens", tested=wire.name == COUNTING_WIRE.name) for wire in WIRES]
        rows.append((title, cells))
    return rows


def _offered(wire: WireSamples, surface: Surface, *, tested: bool) -> str:
    offered = surface in ways_of(wire.row)
    assert offered == tested, f"{surface} to {wire.name} is offered, but not tested, or the other way round"
    return "works" if offered else "not offered: no route is planned"


def _fate(wire: WireSamples, feature: Feature, notes: _Notes) -> str:
    found = fate(wire, feature)
    match found.verdict:
        case "kept":
            return "kept"
        case "dropped":
            return f"dropped: `{found.says}`"
        case "refused":
            return f"refused {notes.mark(found.says)}"
        case "lost":
            return f"as without it {notes.mark(UNHEEDED[feature.name, wire.name])}"
