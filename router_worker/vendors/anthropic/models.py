"""What models behind Anthropic's API take, as data. A new model needs a row only if it differs from the newest.

Sources, read 2026-11: Claude docs, "Thinking", "Effort", "Structured outputs", "Migration guide"; litellm's model data
(supports_adaptive_thinking, supports_sampling_params, supports_forced_tool_use); pydantic-ai's profiles; langchain-aws
pull requests 1141 and 1151 (forced tools and adaptive thinking: refused up to 4.7).
"""

from typing import Literal, NamedTuple

_TO_HIGH = ("low", "medium", "high")
_TO_MAX = (*_TO_HIGH, "max")
_ALL = (*_TO_HIGH, "xhigh", "max")


class Traits(NamedTuple):
    """thinking: how it is asked for, by a budget of tokens or by a word ("adaptive"). efforts: the words it takes.
    unless_asked: whether it thinks when nothing is said. off: how to say that it shall not ("never": it cannot be said;
    "omit": by saying nothing). sampling: how many of temperature and top_p it takes at once ("none": nor top_k).
    json_schema: structured output, and strict tools. forced_tools: tool_choice may name a tool, or demand one; with
    "without_thinking" only while the model does not think."""

    thinking: Literal["none", "budget", "adaptive"] = "adaptive"
    efforts: tuple[str, ...] = _ALL
    unless_asked: bool = False
    off: Literal["omit", "disabled", "between_tools", "never"] = "omit"
    sampling: Literal["both", "one", "none"] = "none"
    json_schema: bool = True
    forced_tools: bool | Literal["without_thinking"] = True


_BUDGET = Traits(thinking="budget", efforts=(), sampling="both", json_schema=False)
_BUDGET_4_5 = Traits(thinking="budget", efforts=(), sampling="one")
_ADAPTIVE_4_6 = Traits(efforts=_TO_MAX, sampling="one", forced_tools="without_thinking")
_ALWAYS = Traits(unless_asked=True, off="never")
_CAN_BE_TURNED_OFF = Traits(unless_asked=True, off="disabled")

_BY_PREFIX: dict[str, Traits] = {
    "": _BUDGET,  # other makers' models behind the same API: they follow what most clients send
    "claude-": Traits(),
    "claude-3": Traits(thinking="none", efforts=(), sampling="both", json_schema=False),
    "claude-3-7": _BUDGET,
    "claude-opus-4-0": _BUDGET,
    "claude-opus-4-2": _BUDGET,  # claude-opus-4-20250514
    "claude-opus-4@": _BUDGET,
    "claude-sonnet-4-0": _BUDGET,
    "claude-sonnet-4-2": _BUDGET,
    "claude-sonnet-4@": _BUDGET,
    "claude-opus-4-1": _BUDGET_4_5,
    "claude-haiku-4-5": _BUDGET_4_5,
    "claude-sonnet-4-5": _BUDGET_4_5,
    "claude-opus-4-5": Traits(thinking="budget", efforts=_TO_HIGH, sampling="one"),
    "claude-opus-4-6": _ADAPTIVE_4_6,
    "claude-sonnet-4-6": _ADAPTIVE_4_6,
    "claude-opus-4-7": Traits(forced_tools="without_thinking"),
    "claude-opus-5": _CAN_BE_TURNED_OFF,
    "claude-opus-5-5": _ALWAYS._replace(forced_tools=False),
    "claude-sonnet-5": _CAN_BE_TURNED_OFF,
    "claude-sonnet-5-5": Traits(unless_asked=True, off="between_tools", forced_tools=False),
    "claude-haiku-5-5": _CAN_BE_TURNED_OFF,
    "claude-fable-5": _ALWAYS,
    "claude-fable-5-1": _ALWAYS._replace(forced_tools=False),
    "claude-fable-5-2": _ALWAYS._replace(forced_tools=False),
    "claude-mythos-": _ALWAYS,
    "claude-mythos-5-1": _ALWAYS._replace(forced_tools=False),
    "claude-mythos-5-2": _ALWAYS._replace(forced_tools=False),
}


def traits_of(vendor_model: str) -> Traits:
    """By the longest prefix that fits; what stands before the last "/" is a vendor's own."""
    name = vendor_model.rpartition("/")[2].lower()
    return _BY_PREFIX[max((prefix for prefix in _BY_PREFIX if name.startswith(prefix)), key=len)]
