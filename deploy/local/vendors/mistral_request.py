"""The documented requests of Mistral's chat and FIM completions, as types that refuse everything else.

Source: Mistral's API reference, as mirrored in the request types of the official `mistralai` package (3.7).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

NonEmpty = Annotated[str, Meta(min_length=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)] | None


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _ByType(_Strict, tag_field="type"):
    pass


class _ByRole(_Strict, tag_field="role"):
    pass


class TextChunk(_ByType, tag="text"):
    text: str


class ReferenceChunk(_ByType, tag="reference"):
    reference_ids: list[int | str]


class ThinkChunk(_ByType, tag="thinking"):
    thinking: list[TextChunk | ReferenceChunk]
    signature: str | None = None
    closed: bool = True


class ImageUrl(_Strict):
    url: NonEmpty
    detail: Literal["auto", "low", "high"] | None = None


class ImageChunk(_ByType, tag="image_url"):
    image_url: NonEmpty | ImageUrl


class DocumentChunk(_ByType, tag="document_url"):
    document_url: NonEmpty
    document_name: str | None = None


class AudioChunk(_ByType, tag="input_audio"):
    input_audio: NonEmpty


class FileChunk(_ByType, tag="file"):
    file_id: NonEmpty


Chunk = TextChunk | ThinkChunk | ReferenceChunk | ImageChunk | DocumentChunk | AudioChunk | FileChunk
Chunks = Annotated[list[Chunk], Meta(min_length=1)]


class FunctionCall(_Strict):
    name: NonEmpty
    arguments: dict[str, Any] | str


class ToolCall(_Strict):
    function: FunctionCall
    id: str = "null"
    type: Literal["function"] = "function"
    index: int = 0


class SystemMessage(_ByRole, tag="system"):
    content: str | Annotated[list[TextChunk | ThinkChunk], Meta(min_length=1)]


class UserMessage(_ByRole, tag="user"):
    content: str | Chunks


class AssistantMessage(_ByRole, tag="assistant"):
    """`prefix`: the answer goes on from this message, which has to be the last."""

    content: str | Chunks | None = None
    tool_calls: list[ToolCall] | None = None
    prefix: bool = False


class ToolMessage(_ByRole, tag="tool"):
    content: str | Chunks
    tool_call_id: str | None = None
    name: str | None = None


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(_Strict):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    parameters: dict[str, Any]
    description: str = ""
    strict: bool = False


class Tool(_Strict):
    function: Function
    type: Literal["function"] = "function"


class FunctionName(_Strict):
    name: NonEmpty


class NamedToolChoice(_Strict):
    function: FunctionName
    type: Literal["function"] = "function"


class JsonSchema(_Strict):
    name: NonEmpty
    schema: dict[str, Any]
    description: str | None = None
    strict: bool = False


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None

    def __post_init__(self) -> None:
        if (self.type == "json_schema") is not (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema alone")


class Prediction(_Strict):
    type: Literal["content"] = "content"
    content: str = ""


class _Sampling(_Strict):
    model: NonEmpty
    temperature: Annotated[float, Meta(ge=0, le=1.5)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    min_tokens: Annotated[int, Meta(ge=0)] | None = None
    stream: bool = False
    stop: str | list[str] | None = None
    random_seed: Annotated[int, Meta(ge=0)] | None = None
    metadata: dict[str, Any] | None = None


class ChatRequest(_Sampling, kw_only=True):
    messages: Annotated[list[Message], Meta(min_length=1)]
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | NamedToolChoice | None = None
    presence_penalty: _Penalty = None
    frequency_penalty: _Penalty = None
    repetition_penalty: Annotated[float, Meta(gt=0)] | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    prompt_logprobs: bool | None = None
    top_prompt_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    prediction: Prediction | None = None
    parallel_tool_calls: bool = True
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    prompt_mode: Literal["reasoning"] | None = None
    safe_prompt: bool = False
    guardrails: list[dict[str, Any]] | None = None
    prompt_cache_key: str | None = None


class FimRequest(_Sampling, kw_only=True):
    prompt: str
    suffix: str | None = None
