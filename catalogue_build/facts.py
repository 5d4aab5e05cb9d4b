"""What a route can do: window, longest answer, capabilities, status. litellm's word, mostly. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from catalogue_build.genai_data import GenaiModel
from catalogue_build.litellm_data import Row
from schemas.catalogue import Capability, ModelKind, RouteStatus

_FLAGS: Mapping[Capability, tuple[str, ...]] = {
    "tools": ("supports_function_calling",),
    "tool_choice": ("supports_tool_choice",),
    "structured_output": ("supports_response_schema", "supports_native_structured_output"),
    "vision": ("supports_vision",),
    "documents": ("supports_pdf_input",),
    "reasoning": ("supports_reasoning",),
}
# What litellm does not say, or says wrongly: route → (what it can do besides, what it cannot).
_CORRECTED: Mapping[str, tuple[frozenset[Capability], frozenset[Capability]]] = {
    # Cohere's API reference: response_format takes a JSON schema since Command R 08-2024; tool_choice came with R7B.
    "cohere/command-a-03-2025": (frozenset({"structured_output"}), frozenset()),
    "cohere/command-r-08-2024": (frozenset({"structured_output"}), frozenset({"tool_choice"})),
    "cohere/command-r-plus-08-2024": (frozenset({"structured_output"}), frozenset({"tool_choice"})),
    "cohere/command-r7b-12-2024": (frozenset({"structured_output"}), frozenset()),
    # A reasoning model everywhere else.
    "together/deepseek-ai/DeepSeek-V4-Pro-0813": (frozenset({"reasoning"}), frozenset()),
}
# Vendors put retirement off, and publish "not before" dates: shortly after its date a route is tried still, but last.
GRACE = timedelta(days=180)


@dataclass(frozen=True)
class Window:
    """`beaten`: what genai-prices says, if it says another thing about the same."""

    tokens: int
    beaten: int | None = None


@dataclass(frozen=True)
class Facts:
    context_tokens: int
    max_output_tokens: int
    capabilities: frozenset[Capability]
    status: RouteStatus = "active"


class Unusable(Exception):
    """Why a route cannot be in the catalogue: one of the headings of the report."""


def window_of(row: Row | None, model: GenaiModel) -> Window | None:
    """litellm has the window per vendor, genai-prices often rounded or for the model in general: so litellm wins. But
    its figure is of the input alone, and where input and output share the window, the window is their sum."""
    input_tokens = None if row is None else row.get("max_input_tokens")
    stated = model.context_window
    if not input_tokens:
        return None if not stated else Window(stated)
    output_tokens = (row or {}).get("max_output_tokens") or 0
    if stated and stated == input_tokens + output_tokens and output_tokens < input_tokens:
        return Window(stated)
    if stated and stated != input_tokens:
        return Window(input_tokens, stated)
    return Window(input_tokens)


def facts_of(row: Row, window_tokens: int, kind: ModelKind, route: str, deprecated: bool, today: date) -> Facts:
    """`route`: vendor/vendor_model. Raises Unusable for a route that was retired long ago.

    Where the longest answer is not known it is the window, which bounds it: a request without a cap is reserved at it,
    so too much is safe and too little is not.
    """
    capabilities: set[Capability] = set()
    if kind != "embeddings":
        capabilities = {each for each, flags in _FLAGS.items() if any(row.get(flag) is True for flag in flags)}
        if row.get("supports_native_streaming") is not False:
            capabilities.add("streaming")
        also, never = _CORRECTED.get(route, (frozenset(), frozenset()))
        capabilities = (capabilities | also) - never
    return Facts(
        context_tokens=window_tokens,
        max_output_tokens=min(row.get("max_output_tokens") or window_tokens, window_tokens),
        capabilities=frozenset(capabilities),
        status=_status(row, route, deprecated, today),
    )


def _status(row: Row, route: str, deprecated: bool, today: date) -> RouteStatus:
    given = row.get("deprecation_date")
    retired_on = date.fromisoformat(given) if given else None
    if retired_on is not None and retired_on + GRACE < today:
        raise Unusable("retired more than half a year ago")
    if deprecated or (retired_on is not None and retired_on <= today):
        return "deprecated"
    return "preview" if "preview" in route or "-exp" in route else "active"


def borrowed(known: Iterable[Facts], stated_window: int | None, deprecated: bool) -> Facts | None:
    """For a route that litellm does not know: what all other routes of the same model can do. None if there is none."""
    others = list(known)
    if not others:
        return None
    window = stated_window or min(each.context_tokens for each in others)
    shared = Facts(
        context_tokens=window,
        max_output_tokens=min(window, *(each.max_output_tokens for each in others)),
        capabilities=frozenset.intersection(*(each.capabilities for each in others)),
    )
    return replace(shared, status="deprecated") if deprecated else shared
