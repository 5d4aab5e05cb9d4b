"""A whole generateContent request in canonical form, for vendors that speak another format.

What is dropped and named: safetySettings, which tune a filter that only Google has; labels, storage and service tiers;
how finely media are looked at; what a function's answer looks like; the guarantee that mode VALIDATED gives for
arguments.
"""

from collections.abc import Iterator

import msgspec

from router_worker.canonical.request import (
    ChatRequest,
    Effort,
    JsonFormat,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from router_worker.surfaces.gemini.contents import ContentsReader, Refused, unsupported
from router_worker.surfaces.gemini.fields import (
    Content,
    FunctionCallingConfig,
    FunctionDeclaration,
    GenerationConfig,
    Request,
    ThinkingConfig,
)
from router_worker.surfaces.gemini.names import Shape
from router_worker.surfaces.gemini.schema import json_schema
from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import NULL, read_fields, write_fields
from schemas.failures import Failure, FailureKind

_REQUEST = Shape(Request)
_EFFORTS: dict[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_NO_CONFIG = GenerationConfig()


def read_chat_request(body: bytes, *, streaming: bool) -> ChatRequest | Failure:
    """INVALID_JSON, or INVALID_REQUEST with the field at fault in `param` (in camel case, however the client wrote)."""
    fields = read_fields(body)
    if fields is None or not _is_readable(body):
        return Failure(kind=FailureKind.INVALID_JSON)
    drop_gateway_fields(fields)
    fields.pop("model", None)  # the path has said it
    request = _REQUEST.decode_all(write_fields(fields))
    if isinstance(request, Failure):
        return request
    try:
        return _chat_request(request, streaming=streaming)
    except Refused as refused:
        return refused.failure


def _chat_request(request: Request, *, streaming: bool) -> ChatRequest:
    config = request.generation_config or _NO_CONFIG
    if config.candidate_count not in (None, 1):
        raise unsupported("generationConfig.candidateCount", "the vendors of this model give one answer at a time")
    if config.response_logprobs:
        raise unsupported("generationConfig.responseLogprobs", "they cannot be had from the vendors of this model")
    if any(modality.upper() != "TEXT" for modality in config.response_modalities or ()):
        raise unsupported("generationConfig.responseModalities", "the vendors of this model answer in text only")
    calling = request.tool_config.function_calling_config if request.tool_config is not None else None
    tools = _allowed(_tools(request), calling)
    contents = ContentsReader(request.contents)
    messages = contents.read()
    if not messages:
        raise Refused("contents", "there is nothing in it")
    return ChatRequest(
        messages=messages,
        system=_system(request.system_instruction),
        streaming=streaming,
        tools=tuple(tools),
        tool_choice=_tool_choice(calling, tools),
        response_format=_response_format(config),
        reasoning=_reasoning(config.thinking_config),
        max_output_tokens=_at_least_one("maxOutputTokens", config.max_output_tokens),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=_top_k(config.top_k),
        stop=tuple(config.stop_sequences or ()),
        seed=config.seed,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        dropped=tuple(dict.fromkeys((*_hints(request, config, calling), *contents.dropped))),
    )


def _is_readable(body: bytes) -> bool:
    """All of it: what is decoded piece by piece below, and by other formats, must not turn out to be no text there."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _hints(request: Request, config: GenerationConfig, calling: FunctionCallingConfig | None) -> Iterator[str]:
    declared = [function for tool in request.tools or () for function in tool.function_declarations or ()]
    retrieval = request.tool_config.retrieval_config if request.tool_config is not None else msgspec.Raw(NULL)
    given = {
        "safetySettings": [request.safety_settings],
        "serviceTier": [request.service_tier],
        "labels": [request.labels],
        "store": [request.store],
        "toolConfig.retrievalConfig": [retrieval],
        "generationConfig.mediaResolution": [config.media_resolution],
        "generationConfig.enableEnhancedCivicAnswers": [config.enable_enhanced_civic_answers],
        "tools.functionDeclarations.response": [function.response for function in declared],
        "tools.functionDeclarations.responseJsonSchema": [function.response_json_schema for function in declared],
        "tools.functionDeclarations.behavior": [function.behavior for function in declared],
    }
    yield from (name for name, values in given.items() if any(bytes(value) != NULL for value in values))
    if calling is not None and calling.mode == "VALIDATED":
        yield "toolConfig.functionCallingConfig.mode"


def _system(content: Content | None) -> tuple[Text, ...]:
    texts: list[Text] = []
    for number, part in enumerate(content.parts or () if content is not None else ()):
        if part.text is None:
            raise Refused(f"systemInstruction.parts[{number}]", "only text can stand here")
        if part.text:
            texts.append(Text(text=part.text))
    return tuple(texts)


def _tools(request: Request) -> Iterator[Tool]:
    for number, tool in enumerate(request.tools or ()):
        for position, function in enumerate(tool.function_declarations or ()):
            where = f"tools[{number}].functionDeclarations[{position}]"
            yield Tool(name=function.name, description=function.description, parameters=_parameters(where, function))


def _parameters(where: str, function: FunctionDeclaration) -> msgspec.Raw | None:
    if bytes(function.parameters_json_schema) != NULL:
        if bytes(function.parameters_json_schema)[:1] != b"{":
            raise Refused(f"{where}.parametersJsonSchema", "it must be an object")
        return function.parameters_json_schema
    return None if bytes(function.parameters) == NULL else _as_json_schema(f"{where}.parameters", function.parameters)


def _as_json_schema(where: str, schema: msgspec.Raw) -> msgspec.Raw:
    found = json_schema(schema)
    if found is None:
        raise Refused(where, "it must be an object")
    return found


def _allowed(tools: Iterator[Tool], calling: FunctionCallingConfig | None) -> list[Tool]:
    """Of some functions, one must be called: other formats say it only of one, or of all. So only these are shown."""
    if calling is None or not calling.allowed_function_names or calling.mode == "NONE":
        return list(tools)
    names = frozenset(calling.allowed_function_names)
    return [tool for tool in tools if tool.name in names]


def _tool_choice(calling: FunctionCallingConfig | None, tools: list[Tool]) -> ToolChoice | None:
    if calling is None or calling.mode in (None, "MODE_UNSPECIFIED"):
        return None
    where = "toolConfig.functionCallingConfig"
    if calling.allowed_function_names and calling.mode != "NONE" and not tools:
        raise Refused(f"{where}.allowedFunctionNames", "none of them is declared")
    match calling.mode:
        case "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto") if tools else None
        case "NONE":
            return ToolChoice(mode="none") if tools else None
        case "ANY" if not tools:
            raise Refused(f"{where}.mode", "there is no function to call")
        case "ANY" if calling.allowed_function_names and len(tools) == 1:
            return ToolChoice(mode="tool", name=tools[0].name)
        case "ANY":
            return ToolChoice(mode="required")
        case _:
            raise Refused(f"{where}.mode", "it must be AUTO, ANY, NONE or VALIDATED")


def _response_format(config: GenerationConfig) -> JsonFormat | None:
    mime_type = (config.response_mime_type or "").lower()
    if mime_type not in ("", "text/plain", "application/json"):
        raise unsupported("generationConfig.responseMimeType", "only text/plain and application/json can be answered")
    if bytes(config.response_json_schema) != NULL:
        if bytes(config.response_json_schema)[:1] != b"{":
            raise Refused("generationConfig.responseJsonSchema", "it must be an object")
        return JsonFormat(schema=config.response_json_schema)
    if bytes(config.response_schema) != NULL:
        return JsonFormat(schema=_as_json_schema("generationConfig.responseSchema", config.response_schema))
    return JsonFormat() if mime_type == "application/json" else None


def _reasoning(thinking: ThinkingConfig | None) -> Reasoning | None:
    if thinking is None:
        return None
    where = "generationConfig.thinkingConfig"
    budget = thinking.thinking_budget
    if budget is not None and budget < -1:
        raise Refused(f"{where}.thinkingBudget", "it must be -1 or more")
    level = (thinking.thinking_level or "").upper()
    if level not in _EFFORTS and level not in ("", "THINKING_LEVEL_UNSPECIFIED"):
        raise Refused(f"{where}.thinkingLevel", "it must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH")
    effort = _EFFORTS.get(level)
    if budget == -1:
        budget = None  # as much as the model likes: its own default, said aloud
    if effort is None and budget is None and thinking.include_thoughts is None and thinking.thinking_budget is None:
        return None
    return Reasoning(effort=effort, budget_tokens=budget, visible=thinking.include_thoughts)


def _at_least_one(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise Refused(f"generationConfig.{name}", "it must be 1 or more")
    return value


def _top_k(value: float | None) -> int | None:
    if value is None:
        return None
    if not value.is_integer() or value < 1:
        raise Refused("generationConfig.topK", "it must be a whole number of 1 or more")
    return int(value)
