"""Tools, the choice among them, and the answer as JSON, which for many models is a tool in disguise."""

from typing import Any, Literal

import msgspec

from router_worker.canonical.reasoning import effort
from router_worker.canonical.request import ChatRequest, JsonFormat, Tool, ToolCall, ToolResult
from router_worker.vendors.bedrock.messages import checked_tool_name
from router_worker.vendors.bedrock.models import ModelTraits
from router_worker.vendors.bedrock.notes import Block, CannotSay, Notes

_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')
_JSON_TOOL = "answer"
_JSON_TOOL_TEXT = "Gives the answer. Its parameters are the shape that the answer must have."


def json_way(request: ChatRequest, traits: ModelTraits) -> Literal["native", "tool"] | None:
    """How the JSON asked for is to be had; None if none was. The reader of the answer asks this too.

    The rule: by the model's own structured output where that is documented and known to work, else by a forced tool.
    A forced tool excludes other tools, which is refused, and most models' thinking, which is then left out. Schemas
    that structured output refuses (objects not closed) go by the tool where it can be had. Raises CannotSay.
    """
    wanted = request.response_format
    if wanted is None:
        return None
    if wanted.schema is None:
        raise CannotSay("response_format", "on Bedrock JSON needs a schema")
    schema = _read(wanted.schema)
    by_tool = (
        traits.json != "no"
        and traits.forced_tool
        and not request.tools
        and not holds_tools(request)
        and isinstance(schema, dict)
        and schema.get("type") == "object"
    )
    if traits.json == "native":
        return "tool" if by_tool and not _is_closed(schema) and not asks_to_think(request) else "native"
    if by_tool and not (traits.json == "tool_else_native" and asks_to_think(request)):
        return "tool"
    if traits.json == "tool_else_native":
        return "native"
    if traits.json == "no":
        raise CannotSay("response_format", "this model on Bedrock cannot be held to a JSON schema")
    raise CannotSay(
        "response_format",
        "this model on Bedrock is held to a schema by a forced tool: it must be an object, without other tools",
    )


def asks_to_think(request: ChatRequest) -> bool:
    wanted = request.reasoning
    return wanted is not None and wanted.budget_tokens != 0 and effort(wanted) != "none"


def holds_tools(request: ChatRequest) -> bool:
    return any(isinstance(part, ToolCall | ToolResult) for message in request.messages for part in message.parts)


def text_format(wanted: JsonFormat) -> Block:
    assert wanted.schema is not None, "json_way refuses JSON without a schema"
    shape: Block = {"schema": bytes(wanted.schema).decode(), "name": wanted.name}
    if wanted.description:
        shape["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": shape}}


def json_tool_config(wanted: JsonFormat) -> Block:
    """`any` with a single tool is more widely taken than that tool by its name."""
    assert wanted.schema is not None, "json_way refuses JSON without a schema"
    tool = Tool(name=_JSON_TOOL, description=wanted.description or _JSON_TOOL_TEXT, parameters=wanted.schema)
    return {"tools": [{"toolSpec": _spec(tool)}], "toolChoice": {"any": {}}}


def tool_config(request: ChatRequest, traits: ModelTraits, notes: Notes) -> tuple[Block | None, Block | None]:
    """`toolConfig`, and Anthropic's `tool_choice` where Converse's own cannot say what is asked. Never both choices:
    Bedrock refuses a request in which they could contradict each other."""
    choice = request.tool_choice
    mode = choice.mode if choice is not None else "auto"
    if mode == "none" and not holds_tools(request):
        return None, None
    if not request.tools:
        if holds_tools(request):
            raise CannotSay("tools", "Bedrock wants the tools that the conversation has used to be given again")
        return None, None
    blocks: list[Block] = []
    for tool in request.tools:
        spec = _spec(tool)
        if tool.strict and traits.strict_tools:
            spec["strict"] = True
        elif tool.strict:
            notes.drop("strict")
        blocks.append({"toolSpec": spec})
        notes.cache(blocks, tool.cache, "tools")
    config: Block = {"tools": blocks}
    one_at_a_time = request.parallel_tool_calls is False
    if mode == "none" or (one_at_a_time and traits.own_choice):
        if not traits.own_choice:
            raise CannotSay("tool_choice", "this model on Bedrock cannot be kept from tools that it has used")
        return config, _own_choice(request, mode, one_at_a_time=one_at_a_time)
    if one_at_a_time and request.names_a_tool:
        notes.drop("parallel_tool_calls")
    elif one_at_a_time:
        raise CannotSay("parallel_tool_calls", "this model on Bedrock cannot be held to one call at a time")
    if mode in ("required", "tool") and not traits.forced_tool:
        raise CannotSay("tool_choice", "this model on Bedrock cannot be made to call a tool")
    if mode == "required":
        config["toolChoice"] = {"any": {}}
    elif mode == "tool" and choice is not None and choice.name is not None:
        config["toolChoice"] = {"tool": {"name": choice.name}}
    elif choice is not None:
        config["toolChoice"] = {"auto": {}}
    return config, None


def _own_choice(request: ChatRequest, mode: str, *, one_at_a_time: bool) -> Block:
    own: Block = {"type": {"required": "any"}.get(mode, mode)}
    if mode == "tool" and request.tool_choice is not None:
        own["name"] = request.tool_choice.name
    if one_at_a_time and mode != "none":
        own["disable_parallel_tool_use"] = True
    return own


def _spec(tool: Tool) -> Block:
    spec: Block = {"name": checked_tool_name(tool.name)}
    if tool.description and tool.description.strip():
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": tool.parameters if tool.parameters is not None else _NO_PARAMETERS}
    return spec


def _read(schema: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(schema)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise CannotSay("response_format", "the schema is not JSON that can be read") from None


def _is_closed(schema: object) -> bool:
    """Every object in it says `"additionalProperties": false`, without which structured output refuses it."""
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(map(_is_closed, schema.values()))
