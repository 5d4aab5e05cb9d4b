"""A Gemini request, read as Google reads it: the rules over more than one field, and what it asks for."""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from deploy.local.vendors import gemini_request as types
from deploy.local.vendors.ask import NON_TEXT_PART_TOKENS, Ask, Tool, count_words
from deploy.local.vendors.signatures import decode_any_base64, is_ours
from deploy.local.vendors.wire import Refused

DEFAULT_DIMENSIONS = 768
_DATA_FIELDS = ("text", "inline_data", "file_data", "function_call", "function_response")
# What Google documents for calls that no Gemini model has made. It is bytes to those SDKs that know the field's type,
# and then comes in base64.
_IN_PLACE = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
_SIGNATURES_IN_PLACE = frozenset(
    {*_IN_PLACE, *(base64.b64encode(word.encode()).decode().rstrip("=") for word in _IN_PLACE)}
)


def generate_ask(model: str, stream: bool, request: types.GenerateRequest) -> Ask:
    """Raises Refused, naming the field (`contents[1].parts[0].functionResponse.name`)."""
    ask = Ask(model=model, stream=stream, prompt_tokens=0)
    _read_contents(request, ask)
    _read_tools(request, ask)
    config = request.generation_config or types.GenerationConfig()
    ask.max_tokens = config.max_output_tokens
    ask.choices = config.candidate_count or 1
    ask.stop = tuple(config.stop_sequences or ())
    ask.schema = _answer_schema(config)
    _read_thinking(config.thinking_config, ask)
    return ask


def count_ask(model: str, request: types.CountRequest) -> Ask:
    inner = request.generate_content_request
    if (request.contents is None) == (inner is None):
        raise _wrong("contents", "exactly one of contents and generateContentRequest must be set")
    ask = generate_ask(model, False, inner or types.GenerateRequest(contents=request.contents or []))
    return Ask(model=model, prompt_tokens=ask.prompt_tokens, task="count")


def embed_ask(model: str, requests: list[types.EmbedRequest], where: str) -> Ask:
    """`where`: the field of each request, with `{}` for its number, or empty. In a batch each names its model."""
    texts = []
    for index, request in enumerate(requests):
        place = where.format(index)
        if request.model != f"models/{model}" and (where or request.model is not None):
            raise _wrong(f"{place}model", f"must be models/{model}, as in the path")
        if request.title is not None and request.task_type != "RETRIEVAL_DOCUMENT":
            raise _wrong(f"{place}title", "is only for the task type RETRIEVAL_DOCUMENT")
        for number, part in enumerate(request.content.parts):
            if part.text is None:
                raise _wrong(f"{place}content.parts[{number}]", "only text can be embedded")
        texts.append(" ".join(part.text or "" for part in request.content.parts))
    return Ask(
        model=model,
        task="embed",
        prompt_tokens=max(1, sum(map(count_words, texts))),
        texts=tuple(texts),
        dimensions=requests[0].output_dimensionality or DEFAULT_DIMENSIONS,
    )


def _wrong(field: str, what: str) -> Refused:
    return Refused(400, what, param=field)


def _read_contents(request: types.GenerateRequest, ask: Ask) -> None:
    contents = request.contents
    words = sum(count_words(text) for text in _declared(request))
    if request.system_instruction is not None:
        for number, part in enumerate(request.system_instruction.parts):
            if part.text is None:
                raise _wrong(f"systemInstruction.parts[{number}]", "only text parts are supported")
            words += count_words(part.text)
    open_calls: list[types.FunctionCall] = []
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        if content.role is None and len(contents) > 1:
            raise _wrong(f"{where}.role", "Please use a valid role: user, model.")
        model_speaks = content.role == "model"
        if index == 0 and model_speaks:
            raise _wrong(f"{where}.role", "the first content must come from the user")
        for number, part in enumerate(content.parts):
            words += _read_part(part, model_speaks, f"{where}.parts[{number}]", ask)
        responses = [part.function_response for part in content.parts if part.function_response is not None]
        _check_pairs(open_calls, responses, where)
        open_calls = [part.function_call for part in content.parts if part.function_call is not None]
        if not model_speaks:
            ask.tool_results = tuple(_result_text(response.response) for response in responses)
            texts = [part.text for part in content.parts if part.text is not None]
            if texts or not responses:
                ask.last_user_text = " ".join(texts)
    if contents[-1].role == "model":
        raise _wrong(f"contents[{len(contents) - 1}].role", "the last content must come from the user")
    if ask.model.startswith("gemini-3"):
        _check_signed(contents)
    ask.prompt_tokens = max(1, words)


def _declared(request: types.GenerateRequest) -> Iterator[str]:
    for declaration in _declarations(request):
        yield f"{declaration.name} {declaration.description or ''}"


def _declarations(request: types.GenerateRequest) -> list[types.FunctionDeclaration]:
    return [declaration for tool in request.tools or () for declaration in tool.function_declarations]


def _read_part(part: types.Part, model_speaks: bool, where: str, ask: Ask) -> int:
    """Returns the part's tokens."""
    given = [name for name in _DATA_FIELDS if getattr(part, name) is not None]
    if len(given) != 1:
        what = "must have one initialized field" if not given else f"is already set, cannot set '{given[1]}'"
        raise _wrong(f"{where}.data", f"oneof field 'data' {what}")
    if part.thought_signature is not None:
        if not model_speaks:
            raise _wrong(f"{where}.thoughtSignature", "is only for what a model has said")
        if part.thought_signature.rstrip("=") not in _SIGNATURES_IN_PLACE and not is_ours(part.thought_signature):
            raise _wrong(f"{where}.thoughtSignature", "Thought signature is not valid.")
    if part.function_call is not None and not model_speaks:
        raise _wrong(f"{where}.functionCall", "only a model makes function calls")
    if part.function_response is not None and model_speaks:
        raise _wrong(f"{where}.functionResponse", "only the user gives function responses")
    mime_type = None
    if part.inline_data is not None:
        mime_type = part.inline_data.mime_type
        try:
            decode_any_base64(part.inline_data.data)
        except ValueError:
            raise _wrong(f"{where}.inlineData.data", "Base64 decoding failed") from None
    elif part.file_data is not None:
        mime_type = part.file_data.mime_type or ""
    if mime_type is not None:
        ask.images += mime_type.startswith("image/")
        ask.documents += not mime_type.startswith("image/")
        return NON_TEXT_PART_TOKENS
    if part.function_response is not None:
        return count_words(_result_text(part.function_response.response))
    return count_words(part.text) if part.text is not None else 1


def _result_text(response: dict[str, Any]) -> str:
    """`output` (or `result`) is what Google documents for the result itself."""
    for name in ("output", "result", "error"):
        if name in response and len(response) == 1:
            value = response[name]
            return value if isinstance(value, str) else orjson.dumps(value).decode()
    return orjson.dumps(response).decode()


def _check_pairs(calls: list[types.FunctionCall], responses: list[types.FunctionResponse], where: str) -> None:
    if not calls and not responses:
        return
    if len(calls) != len(responses):
        raise _wrong(
            f"{where}.parts",
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            f"of the function call turn ({len(responses)} responses, {len(calls)} calls).",
        )
    if sorted(call.name for call in calls) != sorted(response.name for response in responses):
        raise _wrong(f"{where}.parts", "functionResponse.name must be the name of a call of the preceding turn")
    ids = {call.id for call in calls if call.id is not None}
    if any(response.id is not None and response.id not in ids for response in responses):
        raise _wrong(f"{where}.parts", "functionResponse.id must be the id of a call of the preceding turn")


def _check_signed(contents: list[types.Content]) -> None:
    """Gemini 3 wants the signature of the first call of each step, back to the user's last words."""
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        if content.role != "model":
            if any(part.text is not None for part in content.parts):
                return
            continue
        for number, part in enumerate(content.parts):
            if part.function_call is not None:
                if part.thought_signature is None:
                    raise _wrong(
                        f"contents[{index}].parts[{number}]",
                        "Function call is missing a thought_signature in functionCall parts.",
                    )
                break


def _read_tools(request: types.GenerateRequest, ask: Ask) -> None:
    config = request.tool_config.function_calling_config if request.tool_config is not None else None
    declarations = _declarations(request)
    names = [declaration.name for declaration in declarations]
    if len(set(names)) < len(names):
        raise _wrong("tools", "Duplicate function declaration found")
    for index, declaration in enumerate(declarations):
        if declaration.parameters is not None and declaration.parameters_json_schema is not None:
            field = f"tools[0].functionDeclarations[{index}].parametersJsonSchema"
            raise _wrong(field, "must not be set together with parameters")
    config = config or types.FunctionCallingConfig()
    allowed = config.allowed_function_names
    field = "toolConfig.functionCallingConfig.allowedFunctionNames"
    if allowed and config.mode not in ("ANY", "VALIDATED"):
        raise _wrong(field, "should only be set when the function calling mode is ANY")
    if allowed and not set(allowed) <= set(names):
        raise _wrong(field, "must be names of declared functions")
    if config.mode in ("ANY", "VALIDATED") and not declarations:
        raise _wrong("toolConfig.functionCallingConfig.mode", "needs function declarations")
    if config.mode == "NONE":
        return
    ask.tool_required = config.mode == "ANY"
    ask.tools = tuple(
        Tool(declaration.name, _parameters(declaration))
        for declaration in declarations
        if not allowed or declaration.name in allowed
    )


def _parameters(declaration: types.FunctionDeclaration) -> dict[str, Any] | None:
    return declaration.parameters_json_schema or _plain(declaration.parameters)


def _plain(schema: types.Schema | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(schema)
    return _without_nulls(plain)


def _without_nulls(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties" and value is not None:
            kept[name] = {key: _without_nulls(inner) for key, inner in value.items()}
        elif name == "anyOf" and value is not None:
            kept[name] = [_without_nulls(inner) for inner in value]
        elif value is not None:
            kept[name] = _without_nulls(value) if name == "items" else value
    return kept


def _answer_schema(config: types.GenerationConfig) -> dict[str, Any] | None:
    has_schema = config.response_schema is not None or config.response_json_schema is not None
    if config.response_schema is not None and config.response_json_schema is not None:
        raise _wrong("generationConfig.responseJsonSchema", "must not be set together with responseSchema")
    if has_schema and config.response_mime_type not in ("application/json", "text/x.enum"):
        raise _wrong("generationConfig.responseMimeType", "a response schema needs application/json")
    if config.response_mime_type != "application/json":
        return None
    open_object = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return config.response_json_schema or _plain(config.response_schema) or open_object


def _read_thinking(config: types.ThinkingConfig | None, ask: Ask) -> None:
    if config is None:
        return
    if config.thinking_budget is not None and config.thinking_level is not None:
        raise _wrong("generationConfig.thinkingConfig", "You can only set only one of thinking budget and level.")
    if config.thinking_budget == 0:
        return
    if config.include_thoughts:
        ask.reasoning = "shown"
    elif config.thinking_budget is not None or config.thinking_level is not None:
        ask.reasoning = "hidden"
    if config.thinking_budget is not None and config.thinking_budget > 0:
        ask.reasoning_cap = config.thinking_budget
