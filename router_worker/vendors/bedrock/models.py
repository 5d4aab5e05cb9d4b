"""What the families of models on Bedrock take, as data: Converse is one format, but not every model takes all of it.

What Claude takes wherever it runs (thinking, sampling, forced tools) stands in `anthropic.models`. Sources: the Bedrock
user guide (supported models and features, prompt caching, structured output), the Nova 2 guide; for structured output
also what users of other clients met in 2026: Haiku 4.5 that refuses it in some accounts, Sonnet 4.6 that fills up its
cap with blanks, Opus 4.7 and later that refuse it.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from router_worker.vendors.anthropic.models import Traits
from router_worker.vendors.anthropic.models import traits_of as of_any_platform

Family = Literal["claude", "nova", "command", "other"]
JsonWay = Literal["native", "tool", "tool_else_native", "no"]
"""How an answer is made to be JSON of a shape. native: `outputConfig.textFormat`. tool: the model must call the one
tool that it is given, whose parameters are that shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """top_k: where it stands among the model's own fields. caches: where a cache point may stand; hour_cache: it may be
    kept for an hour. own_choice: takes Anthropic's `tool_choice`, which knows more than Converse's `toolChoice`.
    penalties: takes seed and penalties among its own fields. claude: what is true of this Claude on every platform."""

    family: Family
    claude: Traits | None = None
    nova_thinks: bool = False
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


_OTHER = ModelTraits(family="other")
_COMMAND = ModelTraits(family="command", json="no", forced_tool=False, top_k=("k",), penalties=True)
_NOVA = ModelTraits(
    family="nova",
    json="tool",
    result_status=True,
    caches=frozenset({"system", "messages"}),
    top_k=("inferenceConfig", "topK"),
)
_NOVA_2 = replace(_NOVA, nova_thinks=True)
_CLAUDE = re.compile(r"claude-(?:(?P<kind>[a-z]+)-)?(?P<major>\d)(?:-(?P<minor>\d{1,2}))?(?!\d)")
_NATIVE_JSON = frozenset({("sonnet", (4, 5)), ("opus", (4, 5)), ("opus", (4, 6))})
_NATIVE_JSON_AT_NEED = frozenset({("haiku", (4, 5)), ("sonnet", (4, 6))})


def traits_of(vendor_model: str, model_id: str) -> ModelTraits:
    """By Bedrock's id of the model; where that is an ARN of the user's own, by the catalogue's name of it."""
    for name in (vendor_model.lower(), model_id.lower()):
        if "claude" in name:
            return _claude(name[name.index("claude") :].replace(".", "-"))
        if "nova-2" in name:
            return _NOVA_2
        if "nova" in name:
            return _NOVA
        if "command" in name:
            return _COMMAND
    return _OTHER


def _claude(name: str) -> ModelTraits:
    """Of names like claude-opus-4-6-v1, claude-sonnet-4-20250514-v1:0, claude-3-haiku-20240307-v1:0, claude-v2:1."""
    found = _CLAUDE.match(name)
    kind = found["kind"] if found is not None else None
    version = (int(found["major"]), int(found["minor"] or 0)) if found is not None else (2, 0)
    claude = of_any_platform(name if version >= (3, 0) else "claude-3")
    json: JsonWay = "tool"
    if (kind, version) in _NATIVE_JSON or not claude.forced_tools:
        json = "native"
    elif (kind, version) in _NATIVE_JSON_AT_NEED:
        json = "tool_else_native"
    return ModelTraits(
        family="claude",
        claude=claude,
        json=json,
        forced_tool=claude.forced_tools is not False,
        strict_tools=json != "tool",
        own_choice=version >= (4, 5),
        result_status=True,
        caches=frozenset({"tools", "system", "messages"}),
        hour_cache=version >= (4, 5),
        top_k=("top_k",),
        says_stop_sequence=True,
    )
