"""A Messages request in canonical form, by the rule of `canonical.request`: dropped with its name, or refused."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Effort,
    JsonFormat,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
    UserMessage,
)
from router_worker.surfaces.anthropic.blocks import Blocks, CacheControl, texts
from router_worker.surfaces.typed_fields import BadFieldError, check_whole, is_null, read_typed, untranslatable, wrong
from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import NULL, read_fields
from schemas.failures import Failure, FailureKind

_ABSENT = msgspec.Raw(NULL)

_HINTS = ("cache_control", "diagnostics", "metadata", "service_tier", "speed", "user_profile_id")
_REFUSED = {
    "container": "code runs only at Anthropic",
    "context_management": "it is done only by Anthropic",
    "inference_geo": "where a vendor of another format computes cannot be asked for",
    "mcp_servers": "they are called only by Anthropic",
}


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: msgspec.Raw


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    """Only what a client's own tool has; those of Anthropic are told by their `type` before."""

    name: Annotated[str, Meta(min_length=1)]
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = _ABSENT
    cache_control: CacheControl | None = None
    strict: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: msgspec.Raw = _ABSENT
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class _Typed(msgspec.Struct):
    type: str | None = None


class _ToolChoice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["json_schema"]
    schema: dict[str, msgspec.Raw]


class _OutputConfig(msgspec.Struct, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """After gateway fields, hints and refused ones are gone. `output_format` is the name of before 2026."""

    model: str
    messages: list[_Message]
    max_tokens: Annotated[int, Meta(ge=0)]
    system: msgspec.Raw = _ABSENT
    stream: bool | None = None
    tools: list[msgspec.Raw] = []
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    stop_sequences: list[str] = []
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_TOOL = msgspec.json.Decoder(_Tool)
_TYPED = msgspec.json.Decoder(_Typed)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODES: dict[str, Literal["auto", "none", "required", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "tool",
    "none": "none",
}


def read_canonical(body: bytes) -> ChatRequest | Failure:
    try:
        return _read(body)
    except BadFieldError as error:
        return error.failure


def _read(body: bytes) -> ChatRequest:
    check_whole(body)
    fields = read_fields(body)
    if fields is None:
        raise BadFieldError(Failure(kind=FailureKind.INVALID_JSON))
    drop_gateway_fields(fields)
    fields = {name: value for name, value in fields.items() if not is_null(value)}
    dropped = [name for name in _HINTS if fields.pop(name, None) is not None]
    for name in fields:
        if name in _REFUSED:
            raise untranslatable(name, f"{_REFUSED[name]}, and no route of this model goes there")
        if name not in _Request.__struct_fields__:
            raise untranslatable(name[:64], "unknown here, and so without a translation for this model's vendor")
    request = read_typed(_REQUEST, msgspec.json.encode(fields), "")
    if request.max_tokens == 0:
        raise untranslatable("max_tokens", "only Anthropic takes a request that generates nothing, to fill its cache")
    blocks = Blocks()
    system = [] if is_null(request.system) else list(texts(request.system, "system"))
    messages = list(_messages(request.messages, blocks, system))
    tools = tuple(_tool(raw, f"tools[{number}]", dropped) for number, raw in enumerate(request.tools))
    choice = request.tool_choice
    return ChatRequest(
        messages=tuple(messages),
        system=tuple(system),
        streaming=request.stream is True,
        tools=tools,
        tool_choice=_tool_choice(choice),
        parallel_tool_calls=None if choice is None or choice.disable_parallel_tool_use is not True else False,
        response_format=_response_format(request),
        reasoning=_reasoning(request),
        max_output_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=tuple(request.stop_sequences),
        dropped=tuple(dropped),
    )


def _messages(given: list[_Message], blocks: Blocks, system: list[Text]) -> list[Message]:
    """Instructions in the middle of the conversation are added to `system`."""
    messages: list[Message] = []
    for number, message in enumerate(given):
        path = f"messages[{number}].content"
        if message.role == "system":
            system.extend(texts(message.content, path))
        elif message.role == "user":
            messages.append(UserMessage(parts=blocks.of_user(message.content, path)))
        else:
            messages.append(AssistantMessage(parts=blocks.of_assistant(message.content, path)))
    return messages


def _tool(raw: msgspec.Raw, path: str, dropped: list[str]) -> Tool:
    kind = read_typed(_TYPED, raw, path).type
    if kind not in (None, "custom"):
        raise untranslatable(f"{path}.type", f"'{str(kind)[:64]}' is a tool of Anthropic's, which no other vendor has")
    tool: _Tool = read_typed(_TOOL, raw, path)
    if is_null(tool.input_schema):
        raise wrong(f"{path}.input_schema", "it is required")
    read_typed(_OBJECT, tool.input_schema, f"{path}.input_schema")
    if tool.defer_loading:
        raise untranslatable(f"{path}.defer_loading", "tools are searched for only by Anthropic")
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        raise untranslatable(f"{path}.allowed_callers", "tools are called by code only at Anthropic")
    if tool.eager_input_streaming is not None:
        dropped.append(f"{path}.eager_input_streaming")
    if not is_null(tool.input_examples):
        dropped.append(f"{path}.input_examples")
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
        cache=None if tool.cache_control is None else tool.cache_control.ttl or "5m",
    )


def _tool_choice(choice: _ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.type == "tool" and not choice.name:
        raise wrong("tool_choice.name", "it is required")
    return ToolChoice(mode=_MODES[choice.type], name=choice.name if choice.type == "tool" else None)


def _response_format(request: _Request) -> JsonFormat | None:
    """`strict` stays open: schemas here may have optional fields, which OpenAI's strict ones may not."""
    config: Any = request.output_config
    found = (config.format if config is not None else None) or request.output_format
    return None if found is None else JsonFormat(schema=msgspec.Raw(msgspec.json.encode(found.schema)))


def _reasoning(request: _Request) -> Reasoning | None:
    """Effort alone asks for no thinking of a model that does not think by itself; but elsewhere it is the word for how
    much to think, so it is read as that. Anthropic's own default is "high"."""
    effort: Effort | None = None if request.output_config is None else request.output_config.effort
    thinking = request.thinking
    if thinking is None:
        return None if effort is None else Reasoning(effort=effort)
    if thinking.type in ("disabled", "between_tools"):
        return Reasoning(effort="none")
    # Who turns thinking on here is shown it unless they say otherwise; elsewhere that has to be asked for.
    visible = thinking.display != "omitted"
    if thinking.type == "adaptive":
        return Reasoning(effort=effort or "high", visible=visible)
    if thinking.budget_tokens is None:
        raise wrong("thinking.budget_tokens", "it is required")
    return Reasoning(effort=effort, budget_tokens=thinking.budget_tokens, visible=visible)
