"""The documented request of OpenAI's POST /v1/chat/completions, as types that refuse everything else.

Source: OpenAI's API reference, as mirrored in the request types of the official `openai` package (3.54).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)] | None
_TokenCap = Annotated[int, Meta(ge=1)] | None


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _ByType(_Strict, tag_field="type"):
    pass


class _ByRole(_Strict, tag_field="role"):
    pass


class TextPart(_ByType, tag="text"):
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = None


class RefusalPart(_ByType, tag="refusal"):
    refusal: str


class ImageUrl(_Strict):
    url: Text
    detail: Literal["auto", "low", "high", "original"] = "auto"


class ImagePart(_ByType, tag="image_url"):
    image_url: ImageUrl
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputAudio(_Strict):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(_ByType, tag="input_audio"):
    input_audio: InputAudio
    prompt_cache_breakpoint: dict[str, Any] | None = None


class File(_Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(_ByType, tag="file"):
    file: File
    prompt_cache_breakpoint: dict[str, Any] | None = None


class FunctionCall(_Strict):
    arguments: str
    name: Text


class FunctionToolCall(_ByType, tag="function"):
    id: Text
    function: FunctionCall


class CustomCall(_Strict):
    input: str
    name: Text


class CustomToolCall(_ByType, tag="custom"):
    id: Text
    custom: CustomCall


ToolCall = FunctionToolCall | CustomToolCall
TextParts = Annotated[list[TextPart], Meta(min_length=1)]
UserParts = Annotated[list[TextPart | ImagePart | AudioPart | FilePart], Meta(min_length=1)]
AssistantParts = Annotated[list[TextPart | RefusalPart], Meta(min_length=1)]


class SystemMessage(_ByRole, tag="system"):
    content: str | TextParts
    name: str | None = None


class DeveloperMessage(_ByRole, tag="developer"):
    content: str | TextParts
    name: str | None = None


class UserMessage(_ByRole, tag="user"):
    content: str | UserParts
    name: str | None = None


class AssistantMessage(_ByRole, tag="assistant"):
    content: str | AssistantParts | None = None
    name: str | None = None
    refusal: str | None = None
    audio: dict[str, Any] | None = None
    function_call: FunctionCall | None = None
    tool_calls: Annotated[list[ToolCall], Meta(min_length=1)] | None = None
    # Undocumented here, but it stands in every answer, and SDKs send answers back as they are.
    annotations: list[dict[str, Any]] | None = None


class ToolMessage(_ByRole, tag="tool"):
    content: str | TextParts
    tool_call_id: Text


class FunctionMessage(_ByRole, tag="function"):
    content: str | None
    name: Text


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class FunctionDefinition(_Strict):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(_ByType, tag="function"):
    function: FunctionDefinition


class CustomTool(_ByType, tag="custom"):
    custom: dict[str, Any]


class NamedTool(_Strict):
    name: Text


class FunctionChoice(_ByType, tag="function"):
    function: NamedTool


class CustomChoice(_ByType, tag="custom"):
    custom: NamedTool


class AllowedToolsChoice(_ByType, tag="allowed_tools"):
    allowed_tools: dict[str, Any]


class TextFormat(_ByType, tag="text"):
    pass


class JsonObjectFormat(_ByType, tag="json_object"):
    pass


class JsonSchema(_Strict):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class JsonSchemaFormat(_ByType, tag="json_schema"):
    json_schema: JsonSchema


class StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(_Strict):
    messages: Annotated[list[Message], Meta(min_length=1)]
    model: Text
    audio: dict[str, Any] | None = None
    frequency_penalty: _Penalty = None
    function_call: Literal["none", "auto"] | NamedTool | None = None
    functions: Annotated[list[FunctionDefinition], Meta(min_length=1, max_length=128)] | None = None
    logit_bias: dict[str, Annotated[int, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: _TokenCap = None
    max_tokens: _TokenCap = None
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: dict[str, Any] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: _Penalty = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice | None = None
    tools: Annotated[list[FunctionTool | CustomTool], Meta(min_length=1, max_length=128)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, Any] | None = None


class OpenTextPart(TextPart, tag="text"):
    cache_control: dict[str, Any] | None = None


# The same parts with OpenTextPart for TextPart; a list of those is another type to mypy, though it is only read here.
OpenTextParts = Annotated[list[OpenTextPart], Meta(min_length=1)]
OpenUserParts = Annotated[list[OpenTextPart | ImagePart | AudioPart | FilePart], Meta(min_length=1)]
OpenAssistantParts = Annotated[list[OpenTextPart | RefusalPart], Meta(min_length=1)]


class OpenSystemMessage(SystemMessage, tag="system"):
    content: str | OpenTextParts  # type: ignore[assignment]


class OpenUserMessage(UserMessage, tag="user"):
    content: str | OpenUserParts  # type: ignore[assignment]


class OpenAssistantMessage(AssistantMessage, tag="assistant"):
    content: str | OpenAssistantParts | None = None  # type: ignore[assignment]
    reasoning_content: str | None = None
    reasoning: str | None = None


class OpenToolMessage(ToolMessage, tag="tool"):
    content: str | OpenTextParts  # type: ignore[assignment]


OpenMessage = (
    OpenSystemMessage | DeveloperMessage | OpenUserMessage | OpenAssistantMessage | OpenToolMessage | FunctionMessage
)


class OpenChatRequest(ChatRequest, forbid_unknown_fields=False):
    """The same, with any further top-level fields: of a vendor that has some of its own. What messages may hold beside
    OpenAI's fields differs from vendor to vendor (VendorRules)."""

    messages: Annotated[list[OpenMessage], Meta(min_length=1)]  # type: ignore[assignment]
    thinking: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
