"""Anthropic's Messages for clients that speak another format. Implements `wire.Wire`, also for Claude on Vertex."""

from collections.abc import Mapping
from typing import Any

import msgspec

from router_worker.canonical.answer import Answer
from router_worker.canonical.request import ChatRequest, JsonFormat, Tool
from router_worker.vendors.anthropic.answer import AnthropicEvents, read_message
from router_worker.vendors.anthropic.content import Conversation, Unsayable, cache_mark
from router_worker.vendors.anthropic.errors import AnthropicRefusals
from router_worker.vendors.anthropic.models import Traits, traits_of
from router_worker.vendors.anthropic.request import address
from router_worker.vendors.anthropic.schema import closed
from router_worker.vendors.anthropic.thinking import plan_thinking, sampling
from router_worker.vendors.json_fields import read_fields, to_raw, write_fields
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

_NO_WORD_FOR = ("seed", "presence_penalty", "frequency_penalty")
_CHOICES = {"auto": "auto", "required": "any", "none": "none", "tool": "tool"}
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')


class AnthropicWire(AnthropicRefusals):
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        traits = traits_of(call.vendor_model)
        try:
            fields, dropped = _fields(request, call, traits)
            built = address(fields, call, self._row)
        except Unsayable as unsayable:
            return unsayable.failure
        except (UnicodeEncodeError, msgspec.DecodeError, RecursionError):
            return Failure(
                kind=FailureKind.INVALID_REQUEST, message="A text or a schema in it cannot be written as JSON."
            )
        return VendorRequest(built.url_path, built.headers, built.body, dropped)

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        return read_message(body)

    def open_events(self, call: VendorCall) -> AnthropicEvents:
        return AnthropicEvents()


def _fields(request: ChatRequest, call: VendorCall, traits: Traits) -> tuple[dict[str, Any], tuple[str, ...]]:
    max_tokens = _max_tokens(request, call)
    thinking = plan_thinking(request, traits, max_tokens)
    drawn, not_drawn = sampling(request, traits, thinks=thinking.is_on)
    conversation = Conversation(thinks=thinking.is_on)
    dropped = [name for name in _NO_WORD_FOR if getattr(request, name) is not None]
    fields: dict[str, Any] = {"max_tokens": max_tokens, "messages": conversation.messages(request.messages)}
    system = conversation.system(request)
    if system:
        fields["system"] = system
    if request.streaming:
        fields["stream"] = True
    if request.tools:
        fields["tools"] = [_tool(tool, traits, dropped) for tool in request.tools]
        choice = _tool_choice(request, traits)
        if choice is not None:
            fields["tool_choice"] = choice
    if request.stop:
        fields["stop_sequences"] = _stop_sequences(request.stop)
    config = _output_config(request.response_format, thinking.effort, traits)
    if config:
        fields["output_config"] = config
    fields |= thinking.fields | drawn
    return fields, tuple(dict.fromkeys((*dropped, *thinking.dropped, *not_drawn, *conversation.dropped)))


def _max_tokens(request: ChatRequest, call: VendorCall) -> int:
    """Anthropic must be told one, and refuses more than the model can generate."""
    caps = (request.max_output_tokens, call.max_output_tokens, call.route_max_output_tokens)
    return min(cap for cap in caps if cap is not None)


def _tool(tool: Tool, traits: Traits, dropped: list[str]) -> dict[str, Any]:
    schema = _schema(tool.parameters)
    is_strict = tool.strict is True and traits.json_schema
    told: dict[str, Any] = {"name": tool.name, "input_schema": closed(schema) if is_strict else schema}
    if tool.description is not None:
        told["description"] = tool.description
    if is_strict:
        told["strict"] = True
    elif tool.strict:
        dropped.append("strict")
    if tool.cache is not None:
        told["cache_control"] = cache_mark(tool.cache)
    return told


def _schema(parameters: msgspec.Raw | None) -> msgspec.Raw:
    """Anthropic wants an object's schema that says so; other vendors take an empty one for a function without any."""
    fields = None if parameters is None else read_fields(bytes(parameters))
    if not fields:
        return _NO_PARAMETERS
    return msgspec.Raw(write_fields({"type": to_raw("object"), **fields}))


def _tool_choice(request: ChatRequest, traits: Traits) -> dict[str, Any] | None:
    choice = request.tool_choice
    mode = "auto" if choice is None else choice.mode
    if mode in ("required", "tool") and not traits.forced_tools:
        raise Unsayable("tool_choice", "this model cannot be made to call a tool.")
    told: dict[str, Any] = {"type": _CHOICES[mode]}
    if choice is not None and mode == "tool":
        told["name"] = choice.name
    if request.parallel_tool_calls is False and mode != "none":
        told["disable_parallel_tool_use"] = True
    return None if choice is None and len(told) == 1 else told


def _stop_sequences(stop: tuple[str, ...]) -> list[str]:
    if not all(each.strip() for each in stop):
        raise Unsayable("stop", "Anthropic takes no stop sequence of nothing but white space.")
    return list(stop)


def _output_config(wanted: JsonFormat | None, effort: str | None, traits: Traits) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if effort is not None:
        config["effort"] = effort
    if wanted is not None:
        if wanted.schema is None:
            raise Unsayable("response_format", "Anthropic writes JSON only by a schema; give one.")
        if not traits.json_schema:
            raise Unsayable("response_format", "this model does not take a JSON schema for its answer.")
        config["format"] = {"type": "json_schema", "schema": closed(wanted.schema)}
    return config
