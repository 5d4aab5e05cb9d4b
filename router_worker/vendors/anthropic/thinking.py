"""Thinking and sampling as Anthropic takes them, which depends on the model. Source: Claude docs, "Thinking".

Where thinking by a budget cannot be had, the request goes without it, and "reasoning" is among what was dropped:

- a tool must be called: Anthropic refuses both together;
- the conversation stands at a tool's result, and the turn that called it does not start with a thought of Claude's own
  (another vendor made that turn, or the client's format does not carry thoughts): Anthropic refuses that, too;
- the cap on the output leaves no room for the least budget.

A model that takes adaptive thinking has of these rules at most the first (`Traits.forced_tools`).
"""

from typing import Any, NamedTuple

from router_worker.canonical.reasoning import budget_tokens, effort
from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Message,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
)
from router_worker.vendors.anthropic.models import Traits
from router_worker.vendors.anthropic.request import LEAST_BUDGET_TOKENS

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class ThinkingPlan(NamedTuple):
    """`is_on`: the model may think, so thoughts of earlier turns go along, and sampling is restricted."""

    is_on: bool
    fields: dict[str, Any]
    effort: str | None
    dropped: tuple[str, ...]


def is_claudes(thought: Thinking) -> bool:
    """Anthropic takes back only thoughts that bear its signature; those made at Bedrock bear the same."""
    return thought.made_by in ("anthropic", "bedrock") and bool(thought.signature or thought.encrypted)


def plan_thinking(request: ChatRequest, traits: Traits, max_tokens: int) -> ThinkingPlan:
    wanted = request.reasoning
    if wanted is None:
        return ThinkingPlan(traits.unless_asked, {}, None, ())
    word = effort(wanted)
    if word == "none" or wanted.budget_tokens == 0:
        return _turned_off(traits)
    if traits.thinking == "none":
        return _without()
    if traits.forced_tools == "without_thinking" and _must_call_a_tool(request):
        return _without()
    fields: dict[str, Any] = {"type": "adaptive"}
    if traits.thinking == "budget":
        budget = budget_tokens(wanted, max_tokens, least=LEAST_BUDGET_TOKENS, most=max_tokens)
        if budget < LEAST_BUDGET_TOKENS or _must_call_a_tool(request) or _calls_without_a_thought(request.messages):
            return _without()
        fields = {"type": "enabled", "budget_tokens": budget}
    if wanted.visible is False:
        fields["display"] = "omitted"
    elif wanted.visible and traits.thinking == "adaptive":
        # Some of these do not show it by default; those with a budget all do.
        fields["display"] = "summarized"
    asked = traits.thinking == "adaptive" or wanted.effort is not None
    return ThinkingPlan(True, {"thinking": fields}, _nearest(word, traits.efforts) if asked else None, ())


def sampling(request: ChatRequest, traits: Traits, *, thinks: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields to send, and the names of those left out. Anthropic's temperatures end at 1, which is its default,
    so a higher one is left out."""
    given = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    allowed = dict(fields)
    if traits.sampling == "none":
        allowed = {}
    elif thinks:
        allowed = {"top_p": fields["top_p"]} if 0.95 <= fields.get("top_p", 0) <= 1 else {}
    else:
        if allowed.get("temperature", 0) > 1:
            del allowed["temperature"]
        if traits.sampling == "one" and "temperature" in allowed:
            allowed.pop("top_p", None)
    dropped = tuple(name for name in fields if name not in allowed and (name, fields[name]) != ("temperature", 1))
    return allowed, dropped


def _turned_off(traits: Traits) -> ThinkingPlan:
    if traits.off == "never":
        return ThinkingPlan(True, {}, _nearest("none", traits.efforts), ("reasoning",))
    if traits.off == "omit":
        return ThinkingPlan(False, {}, None, ())
    return ThinkingPlan(False, {"thinking": {"type": traits.off}}, None, ())


def _without() -> ThinkingPlan:
    return ThinkingPlan(False, {}, None, ("reasoning",))


def _must_call_a_tool(request: ChatRequest) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode in ("required", "tool")


def _calls_without_a_thought(messages: tuple[Message, ...]) -> bool:
    """Of the turn whose tools' results the conversation ends with. Neighbours of one role are one turn."""
    turn: list[AssistantMessage] = []
    results = False
    for message in reversed(messages):
        if isinstance(message, AssistantMessage):
            turn.append(message)
        elif turn:
            break
        else:
            assert isinstance(message, UserMessage)
            results = results or any(isinstance(part, ToolResult) for part in message.parts)
    if not results:
        return False
    parts = [part for message in reversed(turn) for part in message.parts]
    called = any(isinstance(part, ToolCall) for part in parts)
    first = next((part for part in parts if not isinstance(part, Thinking) or is_claudes(part)), None)
    return called and not isinstance(first, Thinking)


def _nearest(word: str, efforts: tuple[str, ...]) -> str | None:
    """The word itself, else the next lower one that the model takes, else its lowest; None if it takes none."""
    below = [each for each in efforts if _EFFORTS.index(each) <= _EFFORTS.index(word)]
    return below[-1] if below else next(iter(efforts), None)
