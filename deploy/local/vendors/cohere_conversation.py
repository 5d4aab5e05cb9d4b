"""What Cohere asks of a chat request as a whole, and what it then has to answer.

Sources: Cohere's API v2 reference (the notes beside each parameter) and its list of errors.
"""

from typing import Any

import orjson

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Reasoning, Tool, count_words
from deploy.local.vendors.cohere_request import (
    AssistantMessage,
    ChatRequest,
    DocumentBlock,
    ImageBlock,
    JsonFormat,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolMessage,
    UserMessage,
)
from deploy.local.vendors.wire import Refused


def read_request(request: ChatRequest) -> Ask:
    """Raises Refused, naming the place."""
    _check_together(request)
    _check_tool_turns(request.messages)
    words = images = 0
    last_user_text = ""
    for message in request.messages:
        text, pictures = _read_message(message)
        words += count_words(text) + NON_TEXT_PART_TOKENS * pictures
        images += pictures
        if isinstance(message, UserMessage):
            last_user_text = text
    documents = request.documents or []
    reasoning, cap = _reasoning(request)
    return Ask(
        model=request.model,
        prompt_tokens=max(1, words + NON_TEXT_PART_TOKENS * len(documents)),
        stream=request.stream,
        max_tokens=request.max_tokens,
        last_user_text=last_user_text,
        tools=() if request.tool_choice == "NONE" else _tools(request),
        tool_required=request.tool_choice == "REQUIRED",
        tool_results=_results(request.messages),
        stop=tuple(request.stop_sequences or ()),
        schema=_schema(request),
        reasoning=reasoning,
        reasoning_cap=cap,
        images=images,
        documents=len(documents),
    )


def _read_message(message: Message) -> tuple[str, int]:
    """Its text, of thinking and tool calls too, and how many images it holds."""
    content = message.content
    texts: list[str] = []
    images = 0
    for block in [TextBlock(content)] if isinstance(content, str) else content or ():
        match block:
            case TextBlock():
                texts.append(block.text)
            case ThinkingBlock():
                texts.append(block.thinking)
            case DocumentBlock():
                texts.append(orjson.dumps(block.document.data).decode())
            case ImageBlock():
                images += 1
    if isinstance(message, AssistantMessage):
        texts += [call.function.arguments for call in message.tool_calls or ()]
    return " ".join(texts), images


def _check_together(request: ChatRequest) -> None:
    """Rules over more than one field."""
    if request.frequency_penalty and request.presence_penalty:
        raise _invalid("frequency_penalty", "cannot specify both frequency_penalty and presence_penalty")
    for name in ("tool_choice", "strict_tools"):
        if getattr(request, name) is not None and not request.tools:
            raise _invalid(name, f"{name} can only be specified with tools")
    beside = next((name for name in ("tools", "documents") if getattr(request, name)), None)
    if beside is not None and request.safety_mode is not None:
        raise _invalid("safety_mode", f"safety_mode is not supported with {beside}")
    if beside is not None and isinstance(request.response_format, JsonFormat):
        raise _invalid("response_format", f"response_format is not supported with {beside}")
    for index, tool in enumerate(request.tools or ()):
        # Tools with optional parameters only are documented not to go with strict_tools.
        if request.strict_tools and not tool.function.parameters.get("required"):
            place = f"tools[{index}].function.parameters.required"
            raise _invalid(place, f"{place} must name at least one parameter with strict_tools")


def _check_tool_turns(messages: list[Message]) -> None:
    """Every tool call is answered before anybody else speaks; every answer has its call."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise _invalid(f"{place}.tool_call_id", f"no tool call of the id '{message.tool_call_id}' to answer")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            raise _invalid(place, f"tool call '{waiting[0]}' has no tool message that answers it before {place}")
        if isinstance(message, AssistantMessage):
            if not message.content and not message.tool_calls:
                raise _invalid(f"{place}.content", "message must have content or tool_calls")
            for number, call in enumerate(message.tool_calls or ()):
                _check_arguments(f"{place}.tool_calls[{number}].function.arguments", call.function.arguments)
                waiting.append(call.id)
            if len(set(waiting)) != len(waiting):
                raise _invalid(f"{place}.tool_calls", "tool call ids must be unique")
    if waiting:
        raise _invalid(f"messages[{len(messages)}]", f"tool call '{waiting[0]}' has no tool message that answers it")


def _check_arguments(place: str, arguments: str) -> None:
    try:
        is_object = isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        is_object = False
    if not is_object:
        raise _invalid(place, "arguments must be a JSON object written out as a string")


def _tools(request: ChatRequest) -> tuple[Tool, ...]:
    return tuple(Tool(tool.function.name, tool.function.parameters) for tool in request.tools or ())


def _results(messages: list[Message]) -> tuple[str, ...]:
    """Of the tool messages that stand last."""
    results: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        results.insert(0, _read_message(message)[0])
    return tuple(results)


def _schema(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    if not isinstance(wanted, JsonFormat):
        return None
    schema = wanted.json_schema
    if schema is None:
        return {}
    place = "response_format.json_schema"
    if schema.get("type") != "object":
        raise _invalid(place, f"{place}.type must be object")
    if not schema.get("required"):
        raise _invalid(place, f"{place} must have at least one required property")
    return schema


def _reasoning(request: ChatRequest) -> tuple[Reasoning, int | None]:
    """A model made for it reasons unless it is told not to."""
    if request.thinking is None:
        return ("shown" if "reasoning" in request.model else "none"), None
    if request.thinking.type == "disabled":
        if request.thinking.token_budget is not None:
            raise _invalid("thinking.token_budget", "token_budget cannot be set when thinking is disabled")
        return "none", None
    return "shown", request.thinking.token_budget


def _invalid(place: str, problem: str) -> Refused:
    return Refused(400, f"{problem} (at {place})", param=place)
