"""What POST /v1/responses asks of a request as a whole, and what it then has to answer.

Sources: OpenAI's API reference, and the messages that callers report of its refusals. Nothing is stored here, so what
refers to something stored is not found.
"""

import base64
import hashlib
from typing import Any

import orjson

from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Reasoning, Tool, count_words
from deploy.local.vendors.responses_request import (
    AllowedToolsChoice,
    FunctionCallItem,
    FunctionCallOutputItem,
    FunctionChoice,
    InputFile,
    InputImage,
    InputText,
    Item,
    ItemReference,
    JsonObjectFormat,
    JsonSchemaFormat,
    MessageItem,
    OutputText,
    Part,
    ReasoningItem,
    Refusal,
    ResponsesRequest,
)
from deploy.local.vendors.strict_schema import looseness
from deploy.local.vendors.wire import Refused


def with_item_types(body: bytes) -> Any:
    """The body as plain values; a message may leave its `type` out, and has it here. Raises ValueError."""
    document = orjson.loads(body)
    items = document.get("input") if isinstance(document, dict) else None
    if isinstance(items, list):
        for item in items:
            if isinstance(item, dict) and "type" not in item and "role" in item:
                item["type"] = "message"
    return document


def read_request(request: ResponsesRequest) -> Ask:
    """Raises Refused, naming the parameter."""
    _check_together(request)
    items: list[Item] = (
        [MessageItem(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    )
    reading = _Reading(request.store is not False)
    reading.prompt_tokens = count_words(request.instructions or "")
    for index, item in enumerate(items):
        reading.item(f"input[{index}]", item, items[index + 1] if index + 1 < len(items) else None)
    if reading.open_calls:
        raise Refused(400, f"No tool output found for function call {reading.open_calls[0]}.", param="input", code="")
    tools, required = _callable_tools(request)
    return Ask(
        model=request.model,
        prompt_tokens=max(1, reading.prompt_tokens),
        stream=request.stream is True,
        max_tokens=request.max_output_tokens,
        last_user_text=reading.last_user_text,
        tools=tools,
        tool_required=required,
        parallel_tools=request.parallel_tool_calls is not False,
        tool_results=tuple(reading.results),
        schema=_schema(request),
        reasoning=_reasoning(request),
        images=reading.images,
        documents=reading.documents,
        extra=request,
    )


def encrypted(reasoning_id: str) -> str:
    """What stands for the thinking of a reasoning item; it has to come back with the item, unchanged."""
    return "gAAAA" + base64.urlsafe_b64encode(hashlib.sha256(b"reasoning " + reasoning_id.encode()).digest()).decode()


class _Reading:
    def __init__(self, stored: bool) -> None:
        self._stored = stored
        self.prompt_tokens = 0
        self.images = 0
        self.documents = 0
        self.last_user_text = ""
        self.open_calls: list[str] = []
        self.results: list[str] = []

    def item(self, place: str, item: Item, following: Item | None) -> None:
        if not isinstance(item, FunctionCallOutputItem):
            self.results.clear()
        match item:
            case MessageItem():
                text = self._message(place, item)
                if item.role == "user":
                    self.last_user_text = text
            case FunctionCallItem():
                if item.call_id in self.open_calls:
                    raise Refused(400, f"Duplicate function call of call_id {item.call_id}.", param="input", code="")
                self.open_calls.append(item.call_id)
                self.prompt_tokens += count_words(item.arguments)
            case FunctionCallOutputItem():
                if item.call_id not in self.open_calls:
                    message = f"No tool call found for function call output with call_id {item.call_id}."
                    raise Refused(400, message, param="input", code="")
                self.open_calls.remove(item.call_id)
                self.results.append(self._parts(item.output))
            case ReasoningItem():
                self._reasoning(place, item, following)
            case ItemReference():
                raise Refused(404, f"Item with id '{item.id}' not found.", param="input", code="")

    def _message(self, place: str, message: MessageItem) -> str:
        if not isinstance(message.content, str):
            fits = (OutputText, Refusal) if message.role == "assistant" else (InputText, InputImage, InputFile)
            for index, part in enumerate(message.content):
                if not isinstance(part, fits):
                    names = " and ".join(repr(kind.__struct_config__.tag) for kind in fits)
                    given = part.__struct_config__.tag
                    text = f"Invalid value: '{given}'. Supported values are: {names}."
                    raise Refused(400, text, param=f"{place}.content[{index}]", code="invalid_value")
        return self._parts(message.content)

    def _parts(self, content: str | list[Part] | list[InputText | InputImage | InputFile]) -> str:
        texts = []
        for part in [InputText(text=content)] if isinstance(content, str) else content:
            match part:
                case InputText() | OutputText():
                    texts.append(part.text)
                case Refusal():
                    texts.append(part.refusal)
                case InputImage():
                    self.images += 1
                    self.prompt_tokens += NON_TEXT_PART_TOKENS
                case InputFile():
                    self.documents += 1
                    self.prompt_tokens += NON_TEXT_PART_TOKENS
        text = " ".join(texts)
        self.prompt_tokens += count_words(text)
        return text

    def _reasoning(self, place: str, item: ReasoningItem, following: Item | None) -> None:
        if item.encrypted_content is None:
            if not self._stored:
                message = f"Item with id '{item.id}' not found. Items are not persisted when store is set to false."
                raise Refused(404, message, param="input", code="")
        elif item.encrypted_content != encrypted(item.id):
            message = f"The encrypted content for item {item.id} could not be verified."
            raise Refused(400, message, param=f"{place}.encrypted_content", code="invalid_encrypted_content")
        answers = isinstance(following, MessageItem) and following.role == "assistant"
        if not answers and not isinstance(following, FunctionCallItem | ReasoningItem):
            message = f"Item '{item.id}' of type 'reasoning' was provided without its required following item."
            raise Refused(400, message, param="input", code="")


def _check_together(request: ResponsesRequest) -> None:
    """Rules over more than one field, and what is known and not to be had."""
    if request.previous_response_id is not None:
        message = f"Previous response with id '{request.previous_response_id}' not found."
        raise Refused(400, message, param="previous_response_id", code="previous_response_not_found")
    if request.conversation is not None:
        raise Refused(404, "Conversation not found.", param="conversation", code="")
    if request.background:
        raise Refused(400, "Background mode is not available.", param="background", code="unsupported_parameter")
    if request.stream_options is not None and request.stream is not True:
        raise Refused(400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options", code="")
    names = [tool.name for tool in request.tools or ()]
    wanted = []
    if isinstance(request.tool_choice, FunctionChoice):
        wanted = [request.tool_choice.name]
    elif isinstance(request.tool_choice, AllowedToolsChoice):
        wanted = [tool.name for tool in request.tool_choice.tools]
    elif request.tool_choice == "required" and not names:
        raise Refused(400, "Tool choice 'required' must be specified with 'tools'.", param="tool_choice", code="")
    for name in wanted:
        if name not in names:
            raise Refused(400, f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice", code="")
    for index, tool in enumerate(request.tools or ()):
        problem = looseness(tool.parameters or {}) if tool.strict else None
        if problem is not None:
            message = f"Invalid schema for function '{tool.name}': {problem}."
            place = f"tools[{index}].parameters"
            raise Refused(400, message, param=place, code="invalid_function_parameters")


def _callable_tools(request: ResponsesRequest) -> tuple[tuple[Tool, ...], bool]:
    choice = request.tool_choice
    allowed = {tool.name for tool in request.tools or ()}
    if isinstance(choice, FunctionChoice):
        allowed = {choice.name}
    elif isinstance(choice, AllowedToolsChoice):
        allowed = {tool.name for tool in choice.tools}
    elif choice == "none":
        allowed = set()
    tools = tuple(Tool(tool.name, tool.parameters) for tool in request.tools or () if tool.name in allowed)
    forced = choice == "required" or isinstance(choice, FunctionChoice)
    return tools, forced or (isinstance(choice, AllowedToolsChoice) and choice.mode == "required")


def _schema(request: ResponsesRequest) -> dict[str, Any] | None:
    wanted = request.text.format if request.text is not None else None
    if isinstance(wanted, JsonObjectFormat):
        return {}
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    problem = looseness(wanted.schema) if wanted.strict else None
    if problem is not None:
        message = f"Invalid schema for response_format '{wanted.name}': {problem}."
        raise Refused(400, message, param="text.format.schema", code="invalid_json_schema")
    return wanted.schema


def _reasoning(request: ResponsesRequest) -> Reasoning:
    wanted = request.reasoning
    if wanted is None or wanted.effort == "none":
        return "none"
    return "shown" if wanted.summary is not None or wanted.generate_summary is not None else "hidden"
