"""From a canonical request to the body of Converse and ConverseStream (API reference "Converse", 2023-09-30)."""

from dataclasses import replace
from typing import Any

import msgspec

from router_worker.canonical.reasoning import budget_tokens, effort
from router_worker.canonical.request import ChatRequest, Reasoning
from router_worker.vendors.bedrock_messages import MessageWriter
from router_worker.vendors.bedrock_models import ModelTraits
from router_worker.vendors.bedrock_notes import Block, CannotSay, Notes
from router_worker.vendors.bedrock_tools import asks_to_think, json_tool_config, json_way, text_format, tool_config
from router_worker.vendors.vendor import VendorCall

LEAST_BUDGET_TOKENS = 1024

_NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_LESS_EFFORT = {"minimal": "low", "xhigh": "high", "max": "high"}


def converse_body(request: ChatRequest, call: VendorCall, traits: ModelTraits) -> tuple[bytes, tuple[str, ...]]:
    """The JSON and the names of the hints that were left out. Raises CannotSay."""
    if call.choices != 1:
        raise CannotSay("n", "Bedrock gives one answer at a time")
    notes = Notes(request, traits)
    caps = [cap for cap in (request.max_output_tokens, call.max_output_tokens) if cap is not None]
    settings = replace(request, max_output_tokens=min(caps, default=None))
    body: Block = {}
    own: Block = {}
    way = json_way(request, traits)
    wanted = request.response_format
    if way == "tool" and wanted is not None:
        body["toolConfig"] = json_tool_config(wanted)
    else:
        config, own_choice = tool_config(request, traits, notes)
        if config is not None:
            body["toolConfig"] = config
        if own_choice is not None:
            own["tool_choice"] = own_choice
    if way == "native" and wanted is not None:
        body["outputConfig"] = {"textFormat": text_format(wanted)}
    system: list[Block] = []
    for text in request.system:
        if text.text.strip():
            system.append({"text": text.text})
        notes.cache(system, text.cache, "system")
    if system:
        body["system"] = system
    body["messages"] = MessageWriter(traits, notes).write(request)
    settings = _think(settings, call, traits, notes, body, own)
    _sample(settings, traits, notes, body, own)
    if own:
        body["additionalModelRequestFields"] = own
    if request.stop and traits.says_stop_sequence:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    return msgspec.json.encode(body), notes.dropped


def _think(
    request: ChatRequest, call: VendorCall, traits: ModelTraits, notes: Notes, body: Block, own: Block
) -> ChatRequest:
    """Writes how much to think; gives the request back, with what of its settings thinking changes."""
    reasoning = request.reasoning
    if reasoning is None or not asks_to_think(request):
        return request
    match traits.thinks:
        case "no":
            raise CannotSay("reasoning", "this model on Bedrock does not reason")
        case "nova":
            return _think_as_nova(request, reasoning, notes, own)
        case "by_budget":
            return _think_by_budget(request, reasoning, call, notes, own)
        case "by_either" if reasoning.budget_tokens is not None and reasoning.effort is None:
            return _think_by_budget(request, reasoning, call, notes, own)
        case "by_either" | "by_effort":
            own["thinking"] = {"type": "adaptive"}
            if reasoning.visible is not None:
                own["thinking"]["display"] = "summarized" if reasoning.visible else "omitted"
            word = effort(reasoning)
            body.setdefault("outputConfig", {})["effort"] = word if word in traits.efforts else _LESS_EFFORT[word]
            return request


def _think_as_nova(request: ChatRequest, reasoning: Reasoning, notes: Notes, own: Block) -> ChatRequest:
    """Nova refuses its high effort together with a cap or sampling. A cap must hold, so then the effort yields."""
    word = _NOVA_EFFORTS[effort(reasoning)]
    if word == "high" and not (request.max_output_tokens is request.temperature is request.top_p is None):
        word = "medium"
        notes.drop("high reasoning effort")
    own["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": word}
    return request


def _think_by_budget(
    request: ChatRequest, reasoning: Reasoning, call: VendorCall, notes: Notes, own: Block
) -> ChatRequest:
    """Claude wants a cap above the budget, and 1024 tokens of budget at least: below that it cannot think."""
    cap = request.max_output_tokens or call.route_max_output_tokens
    budget = budget_tokens(reasoning, cap, least=LEAST_BUDGET_TOKENS, most=cap)
    if budget < LEAST_BUDGET_TOKENS:
        notes.drop("reasoning")
        return request
    own["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return replace(request, max_output_tokens=cap)


def _sample(request: ChatRequest, traits: ModelTraits, notes: Notes, body: Block, own: Block) -> None:
    config: Block = {}
    if request.max_output_tokens is not None:
        config["maxTokens"] = request.max_output_tokens
    for name, field, value in (
        ("temperature", "temperature", request.temperature),
        ("topP", "top_p", request.top_p),
    ):
        if value is None:
            continue
        if not 0 <= value <= 1:
            raise CannotSay(field, "Bedrock takes 0 to 1")
        config[name] = value
    if request.stop:
        config["stopSequences"] = request.stop
    if config:
        body["inferenceConfig"] = config
    if request.top_k is not None:
        if traits.top_k is None:
            raise CannotSay("top_k", "this model on Bedrock does not take it")
        *places, name = traits.top_k
        at: dict[str, Any] = own
        for place in places:
            at = at.setdefault(place, {})
        at[name] = request.top_k
    for name, hint in (
        ("seed", request.seed),
        ("presence_penalty", request.presence_penalty),
        ("frequency_penalty", request.frequency_penalty),
    ):
        if hint is not None and traits.penalties:
            own[name] = hint
        elif hint is not None:
            notes.drop(name)
