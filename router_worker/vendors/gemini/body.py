"""From a canonical request to the body of generateContent. Format: Gemini API reference, "GenerateContentRequest"."""

from typing import Any

import msgspec

from router_worker.canonical.request import ChatRequest, Image, Thinking, Tool, ToolResult, UserMessage
from router_worker.vendors.gemini.models import Traits
from router_worker.vendors.gemini.turns import CannotSay, contents
from router_worker.vendors.vendor import VendorCall

MAX_STOP_SEQUENCES = 5


def generate_body(request: ChatRequest, call: VendorCall, traits: Traits) -> tuple[bytes, tuple[str, ...]]:
    """The JSON and the names of the hints that were left out. Raises CannotSay."""
    if call.choices != 1:
        raise CannotSay("n", "one answer at a time is asked of Gemini")
    body: dict[str, Any] = {"contents": contents(request, traits)}
    system = [{"text": text.text} for text in request.system if text.text]
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        calling = _calling(request)
        if calling is not None:
            body["toolConfig"] = {"functionCallingConfig": calling}
    config, dropped = _config(request, call, traits)
    if config:
        body["generationConfig"] = config
    return msgspec.json.encode(body), (*dropped, *_hints(request))


def _declaration(tool: Tool) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        declaration["parametersJsonSchema"] = tool.parameters
    return declaration


def _calling(request: ChatRequest) -> dict[str, Any] | None:
    choice = request.tool_choice
    mode = choice.mode if choice is not None else "auto"
    if request.parallel_tool_calls is False and mode not in ("none", "tool"):
        raise CannotSay("parallel_tool_calls", "Gemini cannot be told to make one call at a time")
    if mode == "auto" and any(tool.strict for tool in request.tools):
        # Arguments are then held to the schema, as they always are in mode ANY.
        return {"mode": "VALIDATED"}
    if choice is None:
        return None
    match choice.mode:
        case "auto":
            return {"mode": "AUTO"}
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "tool":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}


def _config(request: ChatRequest, call: VendorCall, traits: Traits) -> tuple[dict[str, Any], list[str]]:
    if len(request.stop) > MAX_STOP_SEQUENCES:
        raise CannotSay("stop", f"Gemini takes at most {MAX_STOP_SEQUENCES} stop sequences")
    caps = [cap for cap in (request.max_output_tokens, call.max_output_tokens) if cap is not None]
    cap = min(caps, default=None)
    config: dict[str, Any] = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "maxOutputTokens": cap,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
        "thinkingConfig": _thinking(request, traits, cap or call.route_max_output_tokens),
    }
    dropped: list[str] = []
    penalties = {"presence_penalty": request.presence_penalty, "frequency_penalty": request.frequency_penalty}
    for (name, value), name_there in zip(penalties.items(), ("presencePenalty", "frequencyPenalty"), strict=True):
        if value and not traits.penalties:
            dropped.append(name)
        elif value:
            config[name_there] = value
    wanted = request.response_format
    if wanted is not None:
        choosing = request.tool_choice is None or request.tool_choice.mode != "none"
        if request.tools and choosing and not traits.is_third_generation:
            raise CannotSay("response_format", "this model does not answer in JSON while it has tools to call")
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = wanted.schema
    return {name: value for name, value in config.items() if value is not None}, dropped


def _thinking(request: ChatRequest, traits: Traits, max_output_tokens: int) -> dict[str, Any] | None:
    reasoning = request.reasoning
    if reasoning is None:
        return None
    says_how_much = reasoning.effort is not None or reasoning.budget_tokens is not None
    if traits.thinks == "no":
        not_at_all = reasoning.effort == "none" or reasoning.budget_tokens == 0
        if (says_how_much and not not_at_all) or reasoning.visible:
            raise CannotSay("reasoning", "this model does not reason")
        return None
    config: dict[str, Any] = {}
    if says_how_much:
        if traits.thinks == "by_budget":
            config["thinkingBudget"] = traits.budget(reasoning, max_output_tokens)
        else:
            config["thinkingLevel"] = traits.level(reasoning)
    if reasoning.visible is not None:
        config["includeThoughts"] = reasoning.visible
    return config or None


def _hints(request: ChatRequest) -> list[str]:
    """What Gemini has no word for: it caches by itself, and looks at all images as finely as it is set to."""
    parts: list[object] = [*request.system, *request.tools]
    for message in request.messages:
        parts += message.parts
        if isinstance(message, UserMessage):
            parts += [inner for part in message.parts if isinstance(part, ToolResult) for inner in part.parts]
    hints = ["cache_control"] if any(getattr(part, "cache", None) is not None for part in parts) else []
    if request.parallel_tool_calls is False and request.names_a_tool:
        hints.append("parallel_tool_calls")
    if any(isinstance(part, Image) and part.detail in ("low", "high") for part in parts):
        hints.append("detail")
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    if any(thought.made_by != "gemini" or thought.encrypted is not None for thought in thoughts):
        hints.append("thinking")
    return hints
