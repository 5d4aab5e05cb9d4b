"""A chat completions request, read as OpenAI reads it: the rules over more than one field, and what it asks for."""

from typing import Any

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Tool, count_words
from deploy.local.vendors.complaints import Complaint
from deploy.local.vendors.openai_request import (
    AssistantMessage,
    ChatRequest,
    FilePart,
    FunctionChoice,
    FunctionTool,
    ImagePart,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    OpenChatRequest,
    TextPart,
    ToolMessage,
    UserMessage,
)
from deploy.local.vendors.vendor_rules import VendorRules
from deploy.local.vendors.wire import Refused


def chat_ask(request: ChatRequest, rules: VendorRules) -> Ask:
    """Raises Refused."""
    _check_together(request)
    if isinstance(request, OpenChatRequest):
        _check_own_fields(request, rules)
    cap = request.max_completion_tokens
    ask = Ask(
        model=request.model,
        stream=request.stream is True,
        wants_usage=request.stream_options is not None and request.stream_options.include_usage is True,
        max_tokens=request.max_tokens if cap is None else cap,
        choices=request.n or 1,
        prompt_tokens=0,
    )
    _read_messages(request.messages, ask)
    if request.tools:
        ask.tools = _callable_tools(request)
        ask.tool_required = request.tool_choice == "required" or isinstance(request.tool_choice, FunctionChoice)
        ask.parallel_tools = request.parallel_tool_calls is not False
    if request.stop:
        ask.stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop)
    if isinstance(request.response_format, JsonSchemaFormat):
        ask.schema = request.response_format.json_schema.schema or {}
    elif isinstance(request.response_format, JsonObjectFormat):
        ask.schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    if _thinks(request):
        ask.reasoning = "shown" if rules.reasoning_field is not None else "hidden"
    return ask


def refusal(complaint: Complaint) -> Refused:
    """In OpenAI's words."""
    param = complaint.field
    if complaint.wrong == "unknown":
        return Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if complaint.wrong == "missing":
        message = f"Missing required parameter: '{param}'."
        return Refused(400, message, param=param, code="missing_required_parameter")
    message = f"Invalid {complaint.wrong} for '{param}': {complaint.what}."
    return Refused(400, message, param=param or None, code=f"invalid_{complaint.wrong}")


def _thinks(request: ChatRequest) -> bool:
    if isinstance(request, OpenChatRequest) and request.thinking is not None:
        return request.thinking.get("type") == "enabled"
    if isinstance(request, OpenChatRequest) and request.reasoning is not None:
        return request.reasoning.get("enabled") is not False and request.reasoning.get("effort") != "none"
    return request.reasoning_effort not in (None, "none", "minimal")


def _check_own_fields(request: OpenChatRequest, rules: VendorRules) -> None:
    """Of what vendors have beside OpenAI's fields, only this one's."""
    for index, message in enumerate(request.messages):
        where = f"messages[{index}]"
        for name in ("reasoning_content", "reasoning"):
            if getattr(message, name, None) is not None and name != rules.reasoning_field:
                raise refusal(Complaint("unknown", f"{where}.{name}", ""))
        for number, part in enumerate(message.content if isinstance(message.content, list) else ()):
            if getattr(part, "cache_control", None) is not None and not rules.cache_control:
                raise refusal(Complaint("unknown", f"{where}.content[{number}].cache_control", ""))


def _check_together(request: ChatRequest) -> None:
    """Rules over more than one field."""
    if request.stream_options is not None and request.stream is not True:
        raise Refused(400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        message = "'max_tokens' and 'max_completion_tokens' cannot both be set."
        raise Refused(400, message, param="max_tokens", code="invalid_parameter_combination")
    for name in ("tool_choice", "parallel_tool_calls"):
        if getattr(request, name) is not None and request.tools is None:
            raise Refused(400, f"{name!r} is only allowed when 'tools' are given.", param=name)
    if isinstance(request.tool_choice, FunctionChoice):
        wanted = request.tool_choice.function.name
        if all(tool.function.name != wanted for tool in request.tools or () if isinstance(tool, FunctionTool)):
            raise Refused(400, f"Tool choice {wanted!r} is not among 'tools'.", param="tool_choice")
    if isinstance(request.response_format, JsonSchemaFormat) and request.response_format.json_schema.strict:
        _check_strict_schema(request.response_format.json_schema.schema or {}, "schema")


def _check_strict_schema(schema: dict[str, Any], where: str) -> None:
    """`strict` is documented to need closed objects all of whose properties are required."""
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            message = f"Invalid schema for response_format: {where} must be closed and require all its properties."
            raise Refused(400, message, param="response_format", code="invalid_json_schema")
        for name, inner in properties.items():
            _check_strict_schema(inner, f"{where}.properties.{name}")
    if isinstance(schema.get("items"), dict):
        _check_strict_schema(schema["items"], f"{where}.items")


def _read_messages(messages: list[Message], ask: Ask) -> None:
    """Raises Refused where calls and results do not pair, or an assistant message says nothing."""
    words = 0
    unanswered: set[str] = set()
    results: list[str] = []
    for index, message in enumerate(messages):
        content = message.content
        if isinstance(content, str):
            text = content
        else:
            texts = [part.text for part in content or () if isinstance(part, TextPart)]
            text = " ".join(texts)
            words += NON_TEXT_PART_TOKENS * (len(content or ()) - len(texts))
            ask.images += sum(isinstance(part, ImagePart) for part in content or ())
            ask.documents += sum(isinstance(part, FilePart) for part in content or ())
        words += count_words(text)
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in unanswered:
                where = f"messages[{index}].tool_call_id"
                message_text = f"{where} answers no open tool call of the preceding assistant message."
                raise Refused(400, message_text, param=where)
            unanswered.discard(message.tool_call_id)
            results.append(text)
            continue
        _check_answered(unanswered, index)
        results.clear()
        if isinstance(message, UserMessage):
            ask.last_user_text = text
        elif isinstance(message, AssistantMessage):
            if content is None and not (message.tool_calls or message.function_call or message.audio):
                where = f"messages[{index}].content"
                raise Refused(400, f"{where} may be null only beside 'tool_calls'.", param=where)
            unanswered.update(call.id for call in message.tool_calls or ())
    _check_answered(unanswered, len(messages))
    ask.prompt_tokens = max(1, words)
    ask.tool_results = tuple(results)


def _check_answered(unanswered: set[str], index: int) -> None:
    if unanswered:
        message = f"Tool calls without a tool message that answers them: {', '.join(sorted(unanswered))}."
        raise Refused(400, message, param=f"messages[{index}].role")


def _callable_tools(request: ChatRequest) -> tuple[Tool, ...]:
    if request.tool_choice == "none":
        return ()
    functions = [tool.function for tool in request.tools or () if isinstance(tool, FunctionTool)]
    if isinstance(request.tool_choice, FunctionChoice):
        wanted = request.tool_choice.function.name
        functions = [function for function in functions if function.name == wanted]
    return tuple(Tool(function.name, function.parameters) for function in functions)
