"""A Messages request, read as Anthropic reads it: the rules over more than one field, and what it asks for.

Stricter than Anthropic in one point: turns have to alternate, where Anthropic joins what does not. What a gateway
translates shall be one turn already.
"""

import base64
from collections.abc import Iterator
from typing import Any

from deploy.local.vendors import anthropic_request as types
from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Tool, count_words
from deploy.local.vendors.signatures import sign
from deploy.local.vendors.wire import Refused

_MAX_CACHE_MARKS = 4
# (prompt tokens of a block, its cache mark)
_Counted = tuple[int, types.CacheControl | None]


def messages_ask(request: types.CountRequest) -> Ask:
    """Raises Refused, naming the field (`messages[1].content[0].id`)."""
    ask = Ask(model=request.model, prompt_tokens=0, task="count")
    _check_tools(request)
    _read_turns(request, ask)
    _count(request, ask)
    if request.tools and not isinstance(request.tool_choice, types.NoneChoice):
        ask.tools, ask.tool_required = _callable_tools(request)
        choice = request.tool_choice
        ask.parallel_tools = choice is None or not choice.disable_parallel_tool_use
    if request.output_config is not None and request.output_config.format is not None:
        ask.schema = request.output_config.format.schema
        _check_closed(ask.schema, "output_config.format.schema")
    if isinstance(request, types.MessagesRequest):
        ask.task = "generate"
        ask.stream = request.stream
        ask.max_tokens = request.max_tokens
        ask.stop = tuple(request.stop_sequences or ())
        for index, stop in enumerate(ask.stop):
            if not stop.strip():
                raise _wrong(f"stop_sequences[{index}]", "each stop sequence must contain non-whitespace")
        _check_thinking(request)
    thinking = request.thinking
    if isinstance(thinking, types.ThinkingEnabled | types.ThinkingAdaptive):
        ask.reasoning = "hidden" if thinking.display == "omitted" else "shown"
        ask.reasoning_cap = thinking.budget_tokens if isinstance(thinking, types.ThinkingEnabled) else None
    return ask


def _wrong(field: str, what: str) -> Refused:
    return Refused(400, what, param=field)


def _check_tools(request: types.CountRequest) -> None:
    names = [tool.name for tool in request.tools or ()]
    if len(set(names)) < len(names):
        raise _wrong("tools", "Tool names must be unique.")
    for index, tool in enumerate(request.tools or ()):
        if tool.input_schema.get("type") != "object":
            raise _wrong(f"tools[{index}].input_schema.type", "Input should be 'object'")
    choice = request.tool_choice
    if choice is not None and not request.tools:
        raise _wrong("tool_choice", "may only be specified while providing tools")
    if isinstance(choice, types.NamedChoice) and choice.name not in names:
        raise _wrong("tool_choice.name", f"Tool '{choice.name}' not found in provided tools")


def _callable_tools(request: types.CountRequest) -> tuple[tuple[Tool, ...], bool]:
    choice = request.tool_choice
    wanted = choice.name if isinstance(choice, types.NamedChoice) else None
    tools = tuple(Tool(tool.name, tool.input_schema) for tool in request.tools or () if wanted in (None, tool.name))
    return tools, isinstance(choice, types.AnyChoice | types.NamedChoice)


def _check_closed(schema: Any, where: str) -> None:
    """Structured output is documented for closed objects only."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise _wrong(where, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    properties = schema.get("properties") or {}
    if not isinstance(properties, dict):
        raise _wrong(f"{where}.properties", "Input should be a valid dictionary")
    for name, inner in properties.items():
        _check_closed(inner, f"{where}.properties.{name}")
    _check_closed(schema.get("items"), f"{where}.items")


def _check_thinking(request: types.MessagesRequest) -> None:
    thinking = request.thinking
    if thinking is None or isinstance(thinking, types.ThinkingDisabled):
        return
    if isinstance(thinking, types.ThinkingEnabled) and thinking.budget_tokens >= request.max_tokens:
        raise _wrong("max_tokens", "must be greater than thinking.budget_tokens")
    if request.temperature not in (None, 1):
        raise _wrong("temperature", "may only be set to 1 when thinking is enabled")
    if request.top_k is not None:
        raise _wrong("top_k", "must be unset when thinking is enabled")
    if request.top_p is not None and request.top_p < 0.95:
        raise _wrong("top_p", "must be greater than or equal to 0.95 when thinking is enabled")
    if isinstance(request.tool_choice, types.AnyChoice | types.NamedChoice):
        raise _wrong("tool_choice", "Thinking may not be enabled when tool_choice forces tool use.")


def _read_turns(request: types.CountRequest, ask: Ask) -> None:
    messages = request.messages
    if not isinstance(messages[0], types.UserMessage):
        raise _wrong("messages[0].role", "the first message must use the user role")
    called: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if index and type(message) is type(messages[index - 1]):
            raise _wrong(f"{where}.role", "roles must alternate between 'user' and 'assistant'")
        if isinstance(message, types.UserMessage):
            _read_user(message, where, called, ask)
            called = set()
        else:
            called = _read_assistant(message, where)
    last = messages[-1]
    if called:
        raise _wrong(f"messages[{len(messages) - 1}]", _unanswered(called))
    if isinstance(last, types.AssistantMessage):
        text = last.content if isinstance(last.content, str) else getattr(last.content[-1], "text", "")
        if text != text.rstrip():
            raise _wrong("messages", "final assistant content cannot end with trailing whitespace")
    elif ask.tool_results and isinstance(request.thinking, types.ThinkingEnabled):
        _check_thought_before_tools(messages)


def _read_user(message: types.UserMessage, where: str, called: set[str], ask: Ask) -> None:
    blocks = [types.TextBlock(text=message.content)] if isinstance(message.content, str) else message.content
    results: list[str] = []
    unanswered = set(called)
    for number, block in enumerate(blocks):
        field = f"{where}.content[{number}]"
        if isinstance(block, types.ToolResultBlock):
            if block.tool_use_id not in unanswered:
                raise _wrong(
                    f"{field}.tool_use_id",
                    f"unexpected tool_use_id found in tool_result blocks: {block.tool_use_id}. Each tool_result block "
                    "must have a corresponding tool_use block in the previous message.",
                )
            if number != len(results):
                raise _wrong(field, "tool_result blocks must come before any other content")
            unanswered.discard(block.tool_use_id)
            inner = [types.TextBlock(text=block.content)] if isinstance(block.content, str) else block.content
            results.append(" ".join(part.text for part in inner if isinstance(part, types.TextBlock)))
            for position, part in enumerate(inner):
                _see(part, f"{field}.content[{position}]", ask)
        else:
            _see(block, field, ask)
    if unanswered:
        raise _wrong(where, _unanswered(unanswered))
    texts = [block.text for block in blocks if isinstance(block, types.TextBlock)]
    if texts or not results:
        ask.last_user_text = " ".join(texts)
    ask.tool_results = tuple(results)


def _unanswered(ids: set[str]) -> str:
    return f"tool_use ids were found without tool_result blocks immediately after: {', '.join(sorted(ids))}"


def _read_assistant(message: types.AssistantMessage, where: str) -> set[str]:
    called: set[str] = set()
    for number, block in enumerate(() if isinstance(message.content, str) else message.content):
        field = f"{where}.content[{number}]"
        if isinstance(block, types.ThinkingBlock) and block.signature != sign(block.thinking):
            raise _wrong(f"{field}.signature", "Invalid `signature` in `thinking` block")
        if isinstance(block, types.ToolUseBlock):
            if block.id in called:
                raise _wrong(f"{field}.id", "`tool_use` ids must be unique")
            called.add(block.id)
    return called


def _check_thought_before_tools(messages: list[types.Message]) -> None:
    content = messages[-2].content
    if isinstance(content, str) or not isinstance(content[0], types.ThinkingBlock | types.RedactedThinkingBlock):
        raise _wrong(
            f"messages[{len(messages) - 2}].content[0].type",
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, an "
            "assistant message whose tools were used must start with a thinking block.",
        )


def _see(block: types.TextBlock | types.ImageBlock | types.DocumentBlock, field: str, ask: Ask) -> None:
    """Counts images and documents, and looks into them."""
    if isinstance(block, types.TextBlock):
        return
    ask.images += isinstance(block, types.ImageBlock)
    ask.documents += isinstance(block, types.DocumentBlock)
    source = block.source
    if isinstance(source, types.LinkedSource) and not source.url.startswith("https://"):
        raise _wrong(f"{field}.source.url", "Only HTTPS URLs are supported.")
    if isinstance(source, types.Base64Image | types.Base64Pdf):
        try:
            base64.b64decode(source.data, validate=True)
        except ValueError:
            raise _wrong(f"{field}.source.data", "invalid base64 data") from None


def _count(request: types.CountRequest, ask: Ask) -> None:
    """All of the prompt's words; those up to a cache mark are written to the cache."""
    counted = list(_counted_blocks(request))
    if request.cache_control is not None:
        counted[-1] = (counted[-1][0], counted[-1][1] or request.cache_control)
    marks = 0
    so_far = long = short = 0
    for tokens, mark in counted:
        so_far += tokens
        if mark is None:
            continue
        marks += 1
        if mark.ttl == "1h":
            if short:
                raise _wrong("cache_control.ttl", "a ttl='1h' block must not come after a ttl='5m' block")
            long = so_far
        else:
            short = so_far - long
    if marks > _MAX_CACHE_MARKS:
        raise _wrong("cache_control", f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    ask.prompt_tokens = max(1, so_far)
    ask.cache_write_1h_tokens, ask.cache_write_tokens = long, short


def _counted_blocks(request: types.CountRequest) -> Iterator[_Counted]:
    for tool in request.tools or ():
        yield 1 + count_words(tool.description or ""), tool.cache_control
    if isinstance(request.system, str):
        yield count_words(request.system), None
    else:
        for text in request.system or ():
            yield count_words(text.text), text.cache_control
    for message in request.messages:
        if isinstance(message.content, str):
            yield count_words(message.content), None
            continue
        for block in message.content:
            yield _tokens(block), getattr(block, "cache_control", None)


def _tokens(block: types.UserBlock | types.AssistantBlock) -> int:
    match block:
        case types.TextBlock():
            return count_words(block.text)
        case types.ToolResultBlock():
            return count_words(block.content) if isinstance(block.content, str) else sum(map(_tokens, block.content))
        case types.DocumentBlock(source=types.PlainText(data=text)):
            return count_words(text)
        case types.ImageBlock() | types.DocumentBlock():
            return NON_TEXT_PART_TOKENS
        case types.ThinkingBlock():
            return count_words(block.thinking)
        case _:
            return 1
