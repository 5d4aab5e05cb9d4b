"""The documented requests of Cohere's POST /v2/chat and /v2/embed, as types that refuse everything else.

Source: Cohere's API v2 reference, as mirrored in the request types of the official `cohere` package (7.3).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

NonEmpty = Annotated[str, Meta(min_length=1)]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _ByType(_Strict, tag_field="type"):
    pass


class _ByRole(_Strict, tag_field="role"):
    pass


class TextBlock(_ByType, tag="text"):
    text: str


class ThinkingBlock(_ByType, tag="thinking"):
    thinking: str


class ImageUrl(_Strict):
    url: Annotated[str, Meta(pattern="^(data:image/[a-z]+;base64,|https?://)")]
    detail: Literal["auto", "low", "high"] = "auto"


class ImageBlock(_ByType, tag="image_url"):
    image_url: ImageUrl


class Document(_Strict):
    data: dict[str, Any]
    id: str | None = None


class DocumentBlock(_ByType, tag="document"):
    document: Document


class FunctionCall(_Strict):
    """`arguments` is an object of JSON written out as a string."""

    name: NonEmpty
    arguments: str


class ToolCall(_ByType, tag="function"):
    id: NonEmpty
    function: FunctionCall


class SystemMessage(_ByRole, tag="system"):
    content: str | Annotated[list[TextBlock], Meta(min_length=1)]


class UserMessage(_ByRole, tag="user"):
    content: NonEmpty | Annotated[list[TextBlock | ImageBlock], Meta(min_length=1)]


class AssistantMessage(_ByRole, tag="assistant"):
    content: str | list[TextBlock | ThinkingBlock] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_plan: str | None = None
    citations: list[dict[str, Any]] | None = None


class ToolMessage(_ByRole, tag="tool"):
    tool_call_id: NonEmpty
    content: str | Annotated[list[TextBlock | DocumentBlock], Meta(min_length=1)]


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(_Strict):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]+$")]
    parameters: dict[str, Any]
    description: str | None = None


class Tool(_ByType, tag="function"):
    function: Function


class TextFormat(_ByType, tag="text"):
    pass


class JsonFormat(_ByType, tag="json_object"):
    """With `json_schema` the answer fits the schema; its root must be an object with a required property."""

    json_schema: dict[str, Any] | None = None


class Thinking(_Strict):
    type: Literal["enabled", "disabled"]
    token_budget: Annotated[int, Meta(ge=1)] | None = None


class CitationOptions(_Strict):
    mode: Literal["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"] | None = None


class ChatRequest(_Strict):
    """`stream` is required by the reference, and sent by its client in any case; left out it is false."""

    model: NonEmpty
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool = False
    tools: list[Tool] | None = None
    strict_tools: bool | None = None
    documents: list[str | Document] | None = None
    citation_options: CitationOptions | None = None
    response_format: TextFormat | JsonFormat | None = None
    safety_mode: Literal["CONTEXTUAL", "STRICT", "OFF"] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=5)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    k: Annotated[int, Meta(ge=0, le=500)] | None = None
    p: Annotated[float, Meta(ge=0.01, le=0.99)] | None = None
    logprobs: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    thinking: Thinking | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] | None = None


class EmbedImage(_Strict):
    url: Annotated[str, Meta(pattern="^data:image/[a-z]+;base64,")]


class EmbedImagePart(_ByType, tag="image_url"):
    image_url: EmbedImage


class EmbedTextPart(_ByType, tag="text"):
    text: str


class EmbedInput(_Strict):
    content: Annotated[list[EmbedTextPart | EmbedImagePart], Meta(min_length=1)]


EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]
MAX_EMBED_INPUTS = 96


class EmbedRequest(_Strict):
    model: NonEmpty
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"]
    texts: Annotated[list[str], Meta(min_length=1, max_length=MAX_EMBED_INPUTS)] | None = None
    images: Annotated[list[str], Meta(min_length=1, max_length=1)] | None = None
    inputs: Annotated[list[EmbedInput], Meta(min_length=1, max_length=MAX_EMBED_INPUTS)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    output_dimension: Literal[256, 512, 1024, 1536] | None = None
    embedding_types: Annotated[list[EmbeddingType], Meta(min_length=1)] | None = None
    truncate: Literal["NONE", "START", "END"] | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] | None = None
