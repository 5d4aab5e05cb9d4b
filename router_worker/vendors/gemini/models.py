"""In what Gemini's models differ, by the beginning of their names.

Sources: Gemini API "Gemini thinking" and "Gemini 3 developer guide"; Vertex AI "Thinking". Read in November 2026.
"""

from dataclasses import dataclass
from typing import Literal

from router_worker.canonical.reasoning import budget_tokens, effort
from router_worker.canonical.request import Effort, Reasoning

Level = Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]

_RANKS: dict[Level, int] = {"MINIMAL": 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3}
_WANTED: dict[Effort, int] = {"none": 0, "minimal": 0, "low": 1, "medium": 2, "high": 3, "xhigh": 3, "max": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`thinks`: not at all, by a budget of tokens within `least`..`most`, or by a word of `levels`. can_stop: a budget
    of 0 is taken. penalties: presence and frequency penalties are taken; others answer 400 to them."""

    thinks: Literal["no", "by_budget", "by_level"]
    least: int = 0
    most: int = 0
    can_stop: bool = False
    levels: tuple[Level, ...] = ()
    penalties: bool = False

    @property
    def is_third_generation(self) -> bool:
        """Takes tools together with JSON answers, media in tool results, and wants signatures of calls."""
        return self.thinks == "by_level"

    def budget(self, reasoning: Reasoning, max_output_tokens: int) -> int:
        wanted = budget_tokens(reasoning, max_output_tokens, least=self.least, most=self.most)
        if wanted == 0 and self.can_stop:
            return 0
        # Below the least it is refused; a cap that leaves no room for an answer beside it is the client's own doing.
        return max(wanted, self.least)

    def level(self, reasoning: Reasoning) -> Level:
        """The least that is not less than asked for. None of these models can be told not to think."""
        rank = _WANTED[effort(reasoning)]
        return next((level for level in self.levels if _RANKS[level] >= rank), self.levels[-1])


_NO = Traits(thinks="no")
_ALL_LEVELS: tuple[Level, ...] = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_TABLE: tuple[tuple[str, Traits], ...] = (
    ("gemini-1", _NO),
    ("gemini-2.0", Traits(thinks="no", penalties=True)),
    ("gemma", _NO),
    ("learnlm", _NO),
    ("gemini-2.5-flash-lite", Traits(thinks="by_budget", least=512, most=24576, can_stop=True)),
    ("gemini-2.5-flash-image", _NO),
    ("gemini-2.5-flash", Traits(thinks="by_budget", least=1, most=24576, can_stop=True)),
    ("gemini-2.5", Traits(thinks="by_budget", least=128, most=32768)),
    ("gemini-robotics-er-1.5", Traits(thinks="by_budget", least=1, most=24576, can_stop=True)),
    ("gemini-3-pro", Traits(thinks="by_level", levels=("LOW", "HIGH"))),
    ("gemini-3-flash", Traits(thinks="by_level", levels=_ALL_LEVELS)),
    ("gemini-3.1-flash", Traits(thinks="by_level", levels=_ALL_LEVELS)),
)
# What all later models take.
_LATER = Traits(thinks="by_level", levels=("LOW", "MEDIUM", "HIGH"))


def traits_of(vendor_model: str) -> Traits:
    name = vendor_model.removeprefix("models/")
    return next((traits for prefix, traits in _TABLE if name.startswith(prefix)), _LATER)
