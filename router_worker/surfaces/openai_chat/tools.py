"""Tools, the choice among them, the form of the answer and the effort to think, of OpenAI's chat completions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router_worker.canonical.request import Effort, JsonFormat, Reasoning, Tool, ToolChoice
from router_worker.surfaces.openai_chat.parts import CacheControl, ttl_of
from router_worker.surfaces.typed_fields import untranslatable, wrong
from router_worker.vendors.json_fields import NULL

# Beyond, vendors' own parsers, and the writers of our requests, have no number for it.
Count = Annotated[int, Meta(ge=0, le=2**53)] | None
_NOT_GIVEN = msgspec.Raw(NULL)


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = _NOT_GIVEN
    strict: bool | None = None
    cache_control: CacheControl | None = None


class ToolGiven(msgspec.Struct, frozen=True):
    type: str
    function: Function | None = None
    cache_control: CacheControl | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str


class ChoiceGiven(msgspec.Struct, frozen=True):
    type: str = "function"
    function: _Named | None = None


class _Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = "answer"
    description: str | None = None
    schema: msgspec.Raw = _NOT_GIVEN
    strict: bool | None = None


class FormatGiven(msgspec.Struct, frozen=True):
    type: str
    json_schema: _Schema | None = None


class ThinkingGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anthropic's way to say it, which Z.ai, DeepSeek and LiteLLM take in this API too."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Count = None
    display: Literal["summarized", "omitted"] | None = None
    clear_thinking: bool | None = None


class ReasoningGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """OpenRouter's. https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    effort: Effort | None = None
    max_tokens: Count = None
    exclude: bool | None = None
    enabled: bool | None = None
    summary: Any = None


def read_tools(tools: list[ToolGiven] | None, functions: list[Function] | None) -> tuple[Tool, ...]:
    read: list[Tool] = []
    for number, tool in enumerate(tools or ()):
        place = f"tools[{number}]"
        if tool.type != "function":
            raise untranslatable(f"{place}.type", "Only functions can be translated.")
        if tool.function is None:
            raise wrong(f"{place}.function", "Is required.")
        read.append(_tool(tool.function, tool.cache_control, f"{place}.function"))
    read += [_tool(function, None, f"functions[{number}]") for number, function in enumerate(functions or ())]
    return tuple(read)


def _tool(function: Function, control: CacheControl | None, place: str) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=_schema(function.parameters, f"{place}.parameters"),
        strict=function.strict,
        cache=ttl_of(control or function.cache_control),
    )


def read_tool_choice(choice: str | ChoiceGiven | None, tools: tuple[Tool, ...]) -> ToolChoice | None:
    read: ToolChoice | None
    match choice:
        case None:
            return None
        case "auto" | "none":
            # Without tools both say nothing.
            return ToolChoice(mode="auto" if choice == "auto" else "none") if tools else None
        case "required" | "any":
            read = ToolChoice(mode="required")
        case str():
            raise wrong("tool_choice", "Expected 'none', 'auto', 'required' or a function to call.")
        case ChoiceGiven(type="function"):
            if choice.function is None:
                raise wrong("tool_choice.function", "Is required.")
            read = ToolChoice(mode="tool", name=choice.function.name)
        case _:
            raise untranslatable("tool_choice.type", "Only one function can be chosen for vendors of other formats.")
    if not tools:
        raise wrong("tool_choice", "There is no tool to choose.")
    if read.name is not None and all(tool.name != read.name for tool in tools):
        raise wrong("tool_choice.function.name", "No tool has this name.")
    return read


def read_function_call(choice: str | _Named | None, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """The older way to choose a tool."""
    if isinstance(choice, _Named):
        if all(tool.name != choice.name for tool in tools):
            raise wrong("function_call.name", "No function has this name.")
        return ToolChoice(mode="tool", name=choice.name)
    if choice not in (None, "auto", "none"):
        raise wrong("function_call", "Expected 'none', 'auto' or a function to call.")
    return read_tool_choice(choice, tools)


FunctionCallGiven = str | _Named


def read_format(given: FormatGiven | None) -> JsonFormat | None:
    match given:
        case None | FormatGiven(type="text"):
            return None
        case FormatGiven(type="json_object"):
            return JsonFormat()
        case FormatGiven(type="json_schema", json_schema=_Schema() as schema):
            return JsonFormat(
                schema=_schema(schema.schema, "response_format.json_schema.schema"),
                name=schema.name,
                description=schema.description,
                strict=schema.strict,
            )
        case FormatGiven(type="json_schema"):
            raise wrong("response_format.json_schema", "Is required.")
        case FormatGiven():
            raise untranslatable("response_format.type", "Expected 'text', 'json_object' or 'json_schema'.")


def read_reasoning(
    effort: Effort | None,
    reasoning: ReasoningGiven | None,
    thinking: ThinkingGiven | None,
    include: bool | None,
    dropped: set[str],
) -> Reasoning | None:
    """Of several ways to say it the plainest wins: the effort, then OpenRouter's object, then Anthropic's.

    An effort is a wish: models that cannot think are not left out for it, and wires that have no word for it drop it.
    """
    words = [effort]
    budgets: list[int | None] = []
    visible = include
    if reasoning is not None:
        words.append(reasoning.effort)
        budgets.append(reasoning.max_tokens)
        if reasoning.enabled is not None:
            words.append("medium" if reasoning.enabled and reasoning.max_tokens is None else None)
            budgets.append(None if reasoning.enabled else 0)
        if reasoning.exclude is not None:
            visible = not reasoning.exclude
        if reasoning.summary is not None:
            dropped.add("reasoning.summary")
    if thinking is not None:
        budgets.append(0 if thinking.type == "disabled" else thinking.budget_tokens)
        if thinking.type != "disabled" and thinking.budget_tokens is None:
            words.append("medium")
        if thinking.display is not None:
            visible = thinking.display != "omitted"
        if thinking.clear_thinking is not None:
            dropped.add("thinking.clear_thinking")
    word = next((word for word in words if word is not None), None)
    budget = next((budget for budget in budgets if budget is not None), None)
    if word is None and budget is None and visible is None:
        return None
    return Reasoning(effort=word, budget_tokens=budget, visible=visible)


def _schema(raw: msgspec.Raw, place: str) -> msgspec.Raw | None:
    if bytes(raw) == NULL:
        return None
    if bytes(raw)[:1] != b"{":
        raise wrong(place, "Expected an object.")
    return raw
