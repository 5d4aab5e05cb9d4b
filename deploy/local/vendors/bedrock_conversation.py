"""What Converse asks of a request as a whole: turns, tool results, cache points; and what a model family adds.

The wording of a refusal follows the messages that Bedrock sends, because callers and gateways read them.
"""

import base64
import hashlib
from typing import Any

import msgspec
import orjson
from msgspec import UNSET

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Reasoning, Tool, count_words
from deploy.local.vendors.bedrock_model_fields import OwnToolChoice, check_model_fields
from deploy.local.vendors.bedrock_request import (
    CachePoint,
    ContentBlock,
    ConverseRequest,
    Message,
    ToolConfig,
    ToolResult,
)
from deploy.local.vendors.wire import Refused

MAX_IMAGES = 20
MAX_DOCUMENTS = 5
MAX_CACHE_POINTS = 4
_ASSISTANT_ONLY = ("tool_use", "reasoning_content")
_USER_ONLY = ("tool_result", "image", "document", "video", "guard_content")


def read_request(model: str, stream: bool, request: ConverseRequest) -> Ask:
    """Raises Refused, naming the place."""
    reading = _Reading(signs_thinking(model))
    if request.tool_config is not UNSET:
        _check_tools(request.tool_config)
        for tool in request.tool_config.tools:
            reading.cache_point(tool.cache_point)
    for index, block in enumerate(request.system if request.system is not UNSET else ()):
        if block.cache_point is not UNSET and index == 0:
            raise _invalid("system.0.cachePoint", "A cache point must follow the content that it caches")
        reading.words(block.text if block.text is not UNSET else "")
        reading.cache_point(block.cache_point)
    _check_turns(request.messages, request.tool_config is not UNSET)
    for index, message in enumerate(request.messages):
        reading.message(f"messages.{index}", message)
    if reading.cache_points > MAX_CACHE_POINTS:
        raise _invalid("messages", f"A request may hold {MAX_CACHE_POINTS} cache points, not {reading.cache_points}")

    config = request.inference_config
    max_tokens = config.max_tokens if config is not UNSET and config.max_tokens is not UNSET else None
    stop = config.stop_sequences if config is not UNSET and config.stop_sequences is not UNSET else []
    fields = request.additional_model_request_fields
    wishes = check_model_fields(model, request, {} if fields is UNSET else fields)
    own_choice = wishes.tool_choice
    reasoning: Reasoning = "shown" if wishes.reasons else "none"
    tools, required = _callable_tools(request.tool_config, own_choice)
    paths = request.additional_model_response_field_paths
    return Ask(
        model=model,
        prompt_tokens=max(1, reading.prompt_tokens),
        stream=stream,
        max_tokens=max_tokens,
        last_user_text=reading.last_user_text,
        tools=tools,
        tool_required=required,
        parallel_tools=own_choice is None or own_choice.disable_parallel_tool_use is not True,
        tool_results=_results(request.messages[-1]),
        stop=tuple(stop),
        schema=_schema(request),
        reasoning=reasoning,
        reasoning_cap=wishes.budget,
        images=reading.images,
        documents=reading.documents,
        cache_write_tokens=reading.kept_tokens - reading.kept_1h_tokens,
        cache_write_1h_tokens=reading.kept_1h_tokens,
        extra=() if paths is UNSET else tuple(paths),
    )


def signs_thinking(model: str) -> bool:
    """Nova does not."""
    return "amazon.nova" not in model


def signature_of(thinking: str) -> str:
    """What a model signs its thinking with; whoever sends the thinking back has to send this with it, unchanged."""
    return base64.b64encode(hashlib.sha256(b"simulated" + thinking.encode("utf-8", "surrogatepass")).digest()).decode()


class _Reading:
    """Counts along the request, in the order in which it is cached: tools, system, messages."""

    def __init__(self, signed: bool) -> None:
        self._signed = signed
        self.prompt_tokens = 0
        self.cache_points = 0
        self.kept_tokens = 0
        self.kept_1h_tokens = 0
        self.images = 0
        self.documents = 0
        self.document_names: set[str] = set()
        self.last_user_text = ""

    def words(self, text: str) -> None:
        self.prompt_tokens += count_words(text)

    def cache_point(self, point: CachePoint | msgspec.UnsetType) -> None:
        if point is UNSET:
            return
        self.cache_points += 1
        if point.ttl == "1h":
            if self.kept_tokens > self.kept_1h_tokens:
                raise _invalid("cachePoint.ttl", "A cache point of 1h must not come after one of 5m")
            self.kept_1h_tokens = self.prompt_tokens
        self.kept_tokens = self.prompt_tokens

    def message(self, place: str, message: Message) -> None:
        texts = []
        for index, block in enumerate(message.content):
            where = f"{place}.content.{index}"
            if block.cache_point is not UNSET and index == 0:
                raise _invalid(f"{where}.cachePoint", "A cache point must follow the content that it caches")
            self.block(where, block)
            if block.text is not UNSET:
                texts.append(block.text)
        has_document = any(block.document is not UNSET for block in message.content)
        if has_document and not texts:
            raise _invalid(f"{place}.content", "A text block is required beside a document")
        if message.role == "user" and texts:
            self.last_user_text = " ".join(texts)

    def block(self, where: str, block: ContentBlock) -> None:
        if block.text is not UNSET:
            self.words(block.text)
        elif block.image is not UNSET:
            self.image(where)
        elif block.document is not UNSET:
            self.document(where, block.document.name)
        elif block.video is not UNSET:
            self.prompt_tokens += NON_TEXT_PART_TOKENS
        elif block.tool_use is not UNSET:
            self.words(orjson.dumps(block.tool_use.input).decode())
        elif block.tool_result is not UNSET:
            self.tool_result(where, block.tool_result)
        elif block.reasoning_content is not UNSET and block.reasoning_content.reasoning_text is not UNSET:
            said = block.reasoning_content.reasoning_text
            if self._signed and said.signature != signature_of(said.text):
                raise _invalid(
                    f"{where}.reasoningContent.reasoningText.signature", "Invalid signature in thinking block"
                )
            self.words(said.text)
        self.cache_point(block.cache_point)

    def tool_result(self, where: str, result: ToolResult) -> None:
        self.words(result_text(result))
        for index, part in enumerate(result.content):
            if part.image is not UNSET:
                self.image(f"{where}.toolResult.content.{index}")
            elif part.document is not UNSET:
                self.document(f"{where}.toolResult.content.{index}", part.document.name)

    def image(self, where: str) -> None:
        self.images += 1
        self.prompt_tokens += NON_TEXT_PART_TOKENS
        if self.images > MAX_IMAGES:
            raise _invalid(f"{where}.image", f"A request may hold {MAX_IMAGES} images")

    def document(self, where: str, name: str) -> None:
        self.documents += 1
        self.prompt_tokens += NON_TEXT_PART_TOKENS
        if self.documents > MAX_DOCUMENTS:
            raise _invalid(f"{where}.document", f"A request may hold {MAX_DOCUMENTS} documents")
        if name in self.document_names:
            raise _invalid(f"{where}.document.name", "The conversation contains duplicate document names")
        self.document_names.add(name)


def result_text(result: ToolResult) -> str:
    texts = []
    for part in result.content:
        if part.text is not UNSET:
            texts.append(part.text)
        elif part.json is not UNSET:
            texts.append(orjson.dumps(part.json).decode())
    return " ".join(texts)


def _check_turns(messages: list[Message], has_tools: bool) -> None:
    if messages[0].role != "user":
        raise _invalid("messages.0.role", "A conversation must start with a user message")
    calls: list[str] = []
    for index, message in enumerate(messages):
        place = f"messages.{index}"
        if index and message.role == messages[index - 1].role:
            raise _invalid(f"{place}.role", "A conversation must alternate between user and assistant roles")
        for number, block in enumerate(message.content):
            member = block.member()
            if member in (_USER_ONLY if message.role == "assistant" else _ASSISTANT_ONLY):
                where = f"{place}.content.{number}.{msgspec.structs.fields(block)[_index_of(member)].encode_name}"
                raise _invalid(where, f"Not allowed in a message of the role {message.role}")
        results = [block.tool_result.tool_use_id for block in message.content if block.tool_result is not UNSET]
        missing = [call for call in calls if call not in results]
        if missing:
            raise _invalid(
                f"{place}.content", f"Expected toolResult blocks for the following Ids: {', '.join(missing)}"
            )
        if len(results) > len(calls):
            problem = "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn"
            raise _invalid(f"{place}.content", problem)
        calls = [block.tool_use.tool_use_id for block in message.content if block.tool_use is not UNSET]
        if len(set(calls)) != len(calls):
            raise _invalid(f"{place}.content", "The toolUse blocks contain duplicate Ids")
        if (calls or results) and not has_tools:
            raise _invalid("toolConfig", "The field must be defined when using toolUse and toolResult content blocks")
    if calls:
        raise _invalid(f"messages.{len(messages)}", f"Expected toolResult blocks for the following Ids: {calls[0]}")


def _index_of(member: str) -> int:
    return ContentBlock.__struct_fields__.index(member)


def _check_tools(config: ToolConfig) -> None:
    names = [tool.tool_spec.name for tool in config.tools if tool.tool_spec is not UNSET]
    if not names:
        raise _invalid("toolConfig.tools", "At least one toolSpec is required")
    if len(set(names)) != len(names):
        raise _invalid("toolConfig.tools", "The tools contain duplicate names")
    choice = config.tool_choice
    if choice is not UNSET and choice.tool is not UNSET and choice.tool.name not in names:
        raise _invalid("toolConfig.toolChoice.tool.name", f"No tool of the name {choice.tool.name}")


def _callable_tools(
    config: ToolConfig | msgspec.UnsetType, own_choice: OwnToolChoice | None
) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one has to be."""
    if config is UNSET or (own_choice is not None and own_choice.type == "none"):
        return (), False
    choice = config.tool_choice
    only = choice.tool.name if choice is not UNSET and choice.tool is not UNSET else None
    forced = choice is not UNSET and choice.auto is UNSET
    if own_choice is not None:
        only = own_choice.name if own_choice.name is not UNSET else None
        forced = own_choice.type in ("any", "tool")
    tools = tuple(
        Tool(tool.tool_spec.name, tool.tool_spec.input_schema.json or {})
        for tool in config.tools
        if tool.tool_spec is not UNSET and only in (None, tool.tool_spec.name)
    )
    return tools, forced


def _results(last: Message) -> tuple[str, ...]:
    return tuple(result_text(block.tool_result) for block in last.content if block.tool_result is not UNSET)


def _schema(request: ConverseRequest) -> dict[str, Any] | None:
    config = request.output_config
    if config is UNSET or config.text_format is UNSET or config.text_format.structure.json_schema is UNSET:
        return None
    place = "outputConfig.textFormat.structure.jsonSchema.schema"
    try:
        schema = orjson.loads(config.text_format.structure.json_schema.schema)
    except orjson.JSONDecodeError:
        raise _invalid(place, "The schema is not valid JSON") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _invalid(place, "The type of the schema must be object")
    return schema


def _invalid(place: str, problem: str) -> Refused:
    return Refused(400, f"{problem} at {place}.", param=place)
