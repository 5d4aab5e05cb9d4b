"""A canonical request as the body of OpenAI's chat completions, in the vendor's own names."""

from typing import Any

import msgspec

from router_worker.canonical.reasoning import effort
from router_worker.canonical.request import ChatRequest, JsonFormat, Reasoning, Tool, ToolChoice
from router_worker.vendors.json_fields import to_raw, write_fields
from router_worker.vendors.openai.messages import Json, MessageWriter
from router_worker.vendors.openai.request import with_vendor_names
from router_worker.vendors.row import Quirks
from router_worker.vendors.vendor import VendorCall
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

# Some vendors refuse a function without parameters.
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')


def translated_body(request: ChatRequest, call: VendorCall, quirks: Quirks) -> tuple[bytes, tuple[str, ...]] | Failure:
    """The body, and what was left out of it, in canonical terms."""
    writer = MessageWriter(quirks)
    messages = writer.write(request)
    if isinstance(messages, Failure):
        return messages
    if not request.tools and request.tool_choice is not None and request.tool_choice.mode in ("required", "tool"):
        return cannot_say("tool_choice", "There is no tool to choose.")
    dropped = set(writer.dropped)
    body: Json = {"model": call.vendor_model, "messages": messages}
    if call.streaming:
        body["stream"] = True
        if quirks.stream_usage == "asked":
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body |= _tools(request, quirks)
        if any(tool.cache is not None for tool in request.tools):
            dropped.add("cache_control")
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    if request.reasoning is not None:
        told = _reasoning(request.reasoning, quirks)
        if not told:
            dropped.add("reasoning")
        body |= told
    sampling: Json = {
        "max_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if not quirks.top_k and sampling.pop("top_k") is not None:
        dropped.add("top_k")
    body |= {name: value for name, value in sampling.items() if value is not None}
    dropped |= quirks.dropped & body.keys()
    fields = {name: to_raw(value) for name, value in body.items() if name not in quirks.dropped}
    return write_fields(with_vendor_names(fields, quirks, call.max_output_tokens)), tuple(sorted(dropped))


def _tools(request: ChatRequest, quirks: Quirks) -> Json:
    fields: Json = {"tools": [_tool(tool) for tool in request.tools]}
    if request.tool_choice is not None:
        fields["tool_choice"] = _tool_choice(request.tool_choice, quirks)
    if request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def _tool(tool: Tool) -> Json:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or _NO_PARAMETERS}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice, quirks: Quirks) -> str | Json:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return quirks.tool_choice_required if choice.mode == "required" else choice.mode


def _response_format(wanted: JsonFormat) -> Json:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: Json = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _reasoning(wanted: Reasoning, quirks: Quirks) -> Json:
    """Empty if the vendor has no word for any of it."""
    word = effort(wanted)
    has_amount = wanted.effort is not None or wanted.budget_tokens is not None
    switch = {"thinking": {"type": "disabled" if word == "none" else "enabled"}}
    match quirks.reasoning:
        case "effort":
            return {"reasoning_effort": word} if has_amount else {}
        case "thinking":
            return switch if has_amount else {}
        case "thinking_and_effort":
            if not has_amount:
                return {}
            return switch if word == "none" else {**switch, "reasoning_effort": word}
        case "object":
            told: Json = {}
            if wanted.budget_tokens is not None and wanted.effort is None and wanted.budget_tokens > 0:
                told["max_tokens"] = wanted.budget_tokens
            elif has_amount:
                told["effort"] = word
            if wanted.visible is not None:
                told["exclude"] = not wanted.visible
            return {"reasoning": told} if told else {}
        case _:
            return {}
