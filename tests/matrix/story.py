"""What every vendor says in answer to each question, piece by piece; each wire's module writes it in its format."""

import json
from dataclasses import dataclass

from tests.matrix.meaning import (
    ANNOUNCED,
    ARGUMENTS,
    PIECES,
    STRUCTURED,
    THOUGHTS,
    TOOL,
    Call,
    Finish,
    Json,
    Said,
    Scenario,
)


@dataclass(frozen=True)
class Talk:
    """Text, or a thought."""

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class ToolUse:
    """`pieces` of the JSON text of the arguments."""

    name: str
    arguments: Json
    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class Story:
    thought: Talk | None = None
    text: Talk | None = None
    uses: tuple[ToolUse, ...] = ()
    is_cut_off: bool = False

    @property
    def finish(self) -> Finish:
        if self.is_cut_off:
            return "length"
        return "tool_calls" if self.uses else "stop"

    def said(self, ids: tuple[str | None, ...]) -> Said:
        """What a client must hear, with the vendor's ids of the calls."""
        return Said(
            text="" if self.text is None else self.text.text,
            thoughts="" if self.thought is None else self.thought.text,
            calls=tuple(Call(call_id, use.name, use.arguments) for call_id, use in zip(ids, self.uses, strict=True)),
            finish=self.finish,
        )


def story(scenario: Scenario, *, thinks: bool) -> Story:
    """`thinks`: the vendor shows what its model thought."""
    match scenario:
        case "plain":
            return Story(thought=Talk(THOUGHTS) if thinks else None, text=Talk(PIECES))
        case "cut_off":
            return Story(text=Talk(PIECES[:2]), is_cut_off=True)
        case "tool_calls":
            uses = tuple(ToolUse(TOOL, arguments, _cut(arguments)) for arguments in ARGUMENTS)
            return Story(thought=Talk(THOUGHTS) if thinks else None, text=Talk(ANNOUNCED), uses=uses)
        case "structured_output":
            return Story(text=Talk(_cut(STRUCTURED)))
        case "image":
            return Story(text=Talk(("Ein Punkt", ".")))
        case "tool_results":
            return Story(text=Talk(("Köln: 18 °C; ", "Rio: 31 °C.")))


def _cut(value: Json) -> tuple[str, ...]:
    """JSON text, cut where it hurts: within a key, and before a quote."""
    text = json.dumps(value, ensure_ascii=False)
    return text[:3], text[3:-4], text[-4:]
