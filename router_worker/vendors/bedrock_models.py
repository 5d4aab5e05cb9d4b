"""What the families of models on Bedrock take, as data: Converse is one format, but not every model takes all of it.

Sources: the Bedrock user guide (supported models and features, prompt caching, structured output, adaptive thinking)
and the Nova 2 guide (extended thinking); for structured output also what users of other clients met in 2026: Haiku 4.5
that refuses it in some accounts, Sonnet 4.6 that fills up its cap with blanks, Opus 4.7 and later that refuse it.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

Family = Literal["claude", "nova", "command", "other"]
Thinks = Literal["no", "by_budget", "by_either", "by_effort", "nova"]
"""by_budget: Claude until 4.5. by_either: Claude 4.6. by_effort: later ones. nova: three words of its own."""

JsonWay = Literal["native", "tool", "tool_else_native", "no"]
"""How an answer is made to be JSON of a shape. native: `outputConfig.textFormat`. tool: the model must call the one
tool that it is given, whose parameters are that shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """top_k: where it stands among the model's own fields. caches: where a cache point may stand; hour_cache: it may be
    kept for an hour. own_choice: takes Anthropic's `tool_choice`, which knows more than Converse's `toolChoice`.
    efforts: the words for `outputConfig.effort`. penalties: takes seed and penalties among its own fields."""

    family: Family
    thinks: Thinks = "no"
    json: JsonWay = "native"
    forced_tool: bool = True
    strict_tools: bool = False
    own_choice: bool = False
    result_status: bool = False
    caches: frozenset[Literal["tools", "system", "messages"]] = frozenset()
    hour_cache: bool = False
    top_k: tuple[str, ...] | None = None
    penalties: bool = False
    says_stop_sequence: bool = False
    efforts: frozenset[str] = frozenset()


_OTHER = ModelTraits(family="other")
_COMMAND = ModelTraits(family="command", json="no", forced_tool=False, top_k=("k",), penalties=True)
_NOVA = ModelTraits(
    family="nova",
    json="tool",
    result_status=True,
    caches=frozenset({"system", "messages"}),
    top_k=("inferenceConfig", "topK"),
)
_NOVA_2 = replace(_NOVA, thinks="nova")
_CLAUDE = re.compile(
    r"claude-(?:(?P<first>[a-z]+)-)?(?P<major>\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?(?:-(?P<last>[a-z]+))?"
)
_NATIVE_JSON = frozenset({("sonnet", (4, 5)), ("opus", (4, 5)), ("opus", (4, 6))})
_NATIVE_JSON_AT_NEED = frozenset({("haiku", (4, 5)), ("sonnet", (4, 6))})
_ALWAYS_THINKING = frozenset({"fable", "mythos"})


def traits_of(vendor_model: str, model_id: str) -> ModelTraits:
    """By Bedrock's id of the model; where that is an ARN of the user's own, by the catalogue's name of it."""
    for name in (vendor_model.lower(), model_id.lower()):
        if (claude := _CLAUDE.search(name)) is not None:
            version = int(claude["major"]), int(claude["minor"] or 0)
            return _claude(claude["first"] or claude["last"] or "", version)
        if "claude" in name:
            return _claude("", (3, 0))
        if "nova-2" in name:
            return _NOVA_2
        if "nova" in name:
            return _NOVA
        if "command" in name:
            return _COMMAND
    return _OTHER


def _claude(name: str, version: tuple[int, int]) -> ModelTraits:
    json: JsonWay = "tool"
    if (name, version) in _NATIVE_JSON or name in _ALWAYS_THINKING:
        json = "native"
    elif (name, version) in _NATIVE_JSON_AT_NEED:
        json = "tool_else_native"
    efforts: frozenset[str] = frozenset()
    thinks: Thinks = "no"
    if version >= (4, 7) or name in _ALWAYS_THINKING:
        thinks, efforts = "by_effort", frozenset({"low", "medium", "high", "xhigh", "max"})
    elif version >= (4, 6):
        thinks, efforts = "by_either", frozenset({"low", "medium", "high", "max"})
    elif version >= (3, 7):
        thinks = "by_budget"
    return ModelTraits(
        family="claude",
        thinks=thinks,
        json=json,
        forced_tool=name not in _ALWAYS_THINKING,
        strict_tools=json in ("native", "tool_else_native"),
        own_choice=version >= (4, 5),
        result_status=True,
        caches=frozenset({"tools", "system", "messages"}),
        hour_cache=version >= (4, 5),
        top_k=("top_k",),
        says_stop_sequence=True,
        efforts=efforts,
    )
