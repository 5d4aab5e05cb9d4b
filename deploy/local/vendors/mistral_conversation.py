"""What Mistral asks of a chat request as a whole, and what it then has to answer.

Source: the messages that callers report of its refusals, with their types and codes.
"""

import re
from typing import Any

import orjson

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Tool, count_words
from deploy.local.vendors.mistral_request import (
    AssistantMessage,
    ChatRequest,
    DocumentChunk,
    FimRequest,
    FunctionCall,
    Message,
    NamedToolChoice,
    ReferenceChunk,
    TextChunk,
    ThinkChunk,
    ToolMessage,
    UserMessage,
)
from deploy.local.vendors.wire import Refused

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_MAY_FOLLOW = {
    "system": {"system", "user", "assistant"},
    "user": {"system", "user", "assistant"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"assistant", "tool"},
}
# Types of errors by their code.
ERROR_TYPES = {
    "3210": "invalid_request_tool",
    "3230": "invalid_request_message_order",
    "3240": "invalid_request_assistant_message",
    "3280": "invalid_function_call",
}


def read_chat(request: ChatRequest) -> Ask:
    """Raises Refused."""
    _check_order(request.messages)
    _check_calls(request.messages)
    ask = Ask(
        model=request.model,
        prompt_tokens=0,
        stream=request.stream,
        max_tokens=request.max_tokens,
        choices=request.n or 1,
        stop=_stops(request.stop),
        schema=_schema(request),
        tool_results=_results(request.messages),
    )
    if request.tools:
        ask.tools, ask.tool_required = _callable_tools(request)
        ask.parallel_tools = request.parallel_tool_calls
    elif request.tool_choice not in (None, "none", "auto"):
        raise Refused(400, "Tool choice requires tools.", param="tool_choice", code="3210")
    if request.prompt_mode or "magistral" in request.model or request.reasoning_effort not in (None, "none"):
        ask.reasoning = "shown"
    for message in request.messages:
        text = _read(message, ask)
        ask.prompt_tokens += count_words(text)
        if isinstance(message, UserMessage):
            ask.last_user_text = text
    ask.prompt_tokens = max(1, ask.prompt_tokens)
    return ask


def read_fim(request: FimRequest) -> Ask:
    text = f"{request.prompt} {request.suffix or ''}"
    return Ask(
        model=request.model,
        prompt_tokens=max(1, count_words(text)),
        stream=request.stream,
        max_tokens=request.max_tokens,
        last_user_text=text,
        stop=_stops(request.stop),
    )


def _read(message: Message, ask: Ask) -> str:
    """The message's text; what is no text is counted into `ask`."""
    content = message.content
    texts = []
    for chunk in [TextChunk(text=content)] if isinstance(content, str) else content or ():
        match chunk:
            case TextChunk():
                texts.append(chunk.text)
            case ThinkChunk():
                texts += [part.text for part in chunk.thinking if isinstance(part, TextChunk)]
            case ReferenceChunk():
                pass
            case _:
                ask.prompt_tokens += NON_TEXT_PART_TOKENS
                if isinstance(chunk, DocumentChunk):
                    ask.documents += 1
                else:
                    ask.images += 1
    if isinstance(message, AssistantMessage):
        texts += [_arguments(call.function) for call in message.tool_calls or ()]
    return " ".join(texts)


def _arguments(call: FunctionCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else orjson.dumps(call.arguments).decode()


def _role(message: Message) -> str:
    return str(message.__struct_config__.tag)


def _check_order(messages: list[Message]) -> None:
    before = None
    for index, message in enumerate(messages):
        role = _role(message)
        if before is None and role == "tool":
            raise Refused(400, f"Unexpected role {role!r} at the start.", param="messages[0].role", code="3230")
        if before is not None and role not in _MAY_FOLLOW[before]:
            problem = f"Unexpected role {role!r} after role {before!r}"
            raise Refused(400, problem, param=f"messages[{index}].role", code="3230")
        if isinstance(message, AssistantMessage):
            place = f"messages[{index}]"
            if not message.content and not message.tool_calls:
                problem = "Assistant message must have either content or tool_calls, but not none."
                raise Refused(400, problem, param=f"{place}.content", code="3240")
            if message.prefix and index < len(messages) - 1:
                problem = "Only the last message may be an assistant message with prefix True."
                raise Refused(400, problem, param=f"{place}.prefix", code="3240")
        before = role
    last = messages[-1]
    if _role(last) == "system" or (isinstance(last, AssistantMessage) and not last.prefix):
        problem = f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {_role(last)}"
        raise Refused(400, problem, param=f"messages[{len(messages) - 1}].role", code="3230")


def _check_calls(messages: list[Message]) -> None:
    """Every tool call is answered, under its own id, before anybody else speaks."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                problem = f"Unexpected tool call id {message.tool_call_id} in tool results"
                raise Refused(400, problem, param=f"{place}.tool_call_id", code="3230")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            raise Refused(400, "Not the same number of function calls and responses", param=place, code="3230")
        for call in message.tool_calls or () if isinstance(message, AssistantMessage) else ():
            if _CALL_ID.fullmatch(call.id) is None:
                problem = f"Tool call id was {call.id} but must be a-z, A-Z, 0-9, with a length of 9."
                raise Refused(400, problem, param=f"{place}.tool_calls", code="3280")
            waiting.append(call.id)
        if len(set(waiting)) != len(waiting):
            raise Refused(400, "Duplicate tool call id in assistant message", param=f"{place}.tool_calls", code="3280")
    if waiting:
        raise Refused(400, "Not the same number of function calls and responses", param="messages", code="3230")


def _callable_tools(request: ChatRequest) -> tuple[tuple[Tool, ...], bool]:
    tools = [tool.function for tool in request.tools or ()]
    choice = request.tool_choice
    if choice == "none":
        return (), False
    if isinstance(choice, NamedToolChoice):
        tools = [tool for tool in tools if tool.name == choice.function.name]
        if not tools:
            problem = f"Tool choice {choice.function.name!r} is not among the tools."
            raise Refused(400, problem, param="tool_choice", code="3210")
    forced = choice in ("any", "required") or isinstance(choice, NamedToolChoice)
    return tuple(Tool(tool.name, tool.parameters) for tool in tools), forced


def _results(messages: list[Message]) -> tuple[str, ...]:
    """Of the tool messages that stand last."""
    results: list[str] = []
    aside = Ask(model="", prompt_tokens=0)
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        results.insert(0, _read(message, aside))
    return tuple(results)


def _schema(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    return wanted.json_schema.schema if wanted.json_schema is not None else {}


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)
