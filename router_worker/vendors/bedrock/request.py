"""From a canonical request to the body of Converse and ConverseStream (API reference "Converse", 2023-09-30)."""

from dataclasses import replace
from typing import Any

import msgspec

from router_worker.canonical.reasoning import effort
from router_worker.canonical.request import ChatRequest
from router_worker.vendors.anthropic.models import Traits
from router_worker.vendors.anthropic.thinking import plan_thinking, sampling
from router_worker.vendors.bedrock.messages import MessageWriter
from router_worker.vendors.bedrock.models import ModelTraits
from router_worker.vendors.bedrock.notes import Block, CannotSay, Notes
from router_worker.vendors.bedrock.tools import asks_to_think, json_tool_config, json_way, text_format, tool_config
from router_worker.vendors.vendor import VendorCall

_NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


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
        by_budget = traits.claude is not None and traits.claude.thinking == "budget"
        if asks_to_think(request) and (by_budget or traits.nova_thinks):
            # A model that must call a tool cannot think first; the shape of the answer matters more.
            settings = replace(settings, reasoning=None)
            notes.drop("reasoning")
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
    """Writes how much to think; gives the request back with the settings that go with it."""
    if traits.claude is not None:
        return _think_as_claude(request, traits.claude, call, notes, body, own)
    if request.reasoning is None or not asks_to_think(request):
        return request
    if not traits.nova_thinks:
        raise CannotSay("reasoning", "this model on Bedrock does not reason")
    word = _NOVA_EFFORTS[effort(request.reasoning)]
    # Nova refuses its high effort together with a cap or sampling. A cap must hold, so then the effort yields.
    if word == "high" and not (request.max_output_tokens is request.temperature is request.top_p is None):
        word = "medium"
        notes.drop("reasoning_effort")
    own["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": word}
    return request


def _think_as_claude(
    request: ChatRequest, claude: Traits, call: VendorCall, notes: Notes, body: Block, own: Block
) -> ChatRequest:
    """By the rules of `anthropic.thinking`, which are the model's own. A budget wants a cap above it."""
    if asks_to_think(request) and claude.thinking == "none":
        raise CannotSay("reasoning", "this model on Bedrock does not reason")
    cap = request.max_output_tokens or call.route_max_output_tokens
    plan = plan_thinking(request, claude, cap)
    own.update(plan.fields)
    if plan.effort is not None and claude.thinking == "adaptive":
        body.setdefault("outputConfig", {})["effort"] = plan.effort
    drawn, not_drawn = sampling(request, claude, thinks=plan.is_on)
    for name in (*plan.dropped, *not_drawn):
        notes.drop(name)
    by_budget = plan.fields.get("thinking", {}).get("type") == "enabled"
    return replace(
        request,
        max_output_tokens=cap if by_budget else request.max_output_tokens,
        temperature=drawn.get("temperature"),
        top_p=drawn.get("top_p"),
        top_k=drawn.get("top_k"),
    )


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
