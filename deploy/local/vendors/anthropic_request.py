"""The documented requests of Anthropic's Messages API, as types that refuse everything else.

Source: Anthropic's API reference, as mirrored in the types of the official `anthropic` package (2.12); the sampling
parameters that it no longer has are those of its API version 2023-06-01. Of the tools that Anthropic runs itself none
is played, nor are files stored there.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
CallId = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]+$")]


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _ByType(_Strict, tag_field="type"):
    pass


class _ByRole(_Strict, tag_field="role"):
    pass


class CacheControl(_Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class TextBlock(_ByType, tag="text"):
    text: Text
    cache_control: CacheControl | None = None
    citations: list[dict[str, Any]] | None = None


class Base64Image(_ByType, tag="base64"):
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Text


class LinkedSource(_ByType, tag="url"):
    url: Text


class ImageBlock(_ByType, tag="image"):
    source: Base64Image | LinkedSource
    cache_control: CacheControl | None = None


class Base64Pdf(_ByType, tag="base64"):
    media_type: Literal["application/pdf"]
    data: Text


class PlainText(_ByType, tag="text"):
    media_type: Literal["text/plain"]
    data: Text


class ContentSource(_ByType, tag="content"):
    content: str | list[TextBlock | ImageBlock]


class Citations(_Strict):
    enabled: bool = False


class DocumentBlock(_ByType, tag="document"):
    source: Base64Pdf | PlainText | LinkedSource | ContentSource
    cache_control: CacheControl | None = None
    citations: Citations | None = None
    context: str | None = None
    title: str | None = None


class ToolResultBlock(_ByType, tag="tool_result"):
    tool_use_id: CallId
    content: str | list[TextBlock | ImageBlock | DocumentBlock] = ""
    is_error: bool = False
    cache_control: CacheControl | None = None


class ThinkingBlock(_ByType, tag="thinking"):
    thinking: str
    signature: str


class RedactedThinkingBlock(_ByType, tag="redacted_thinking"):
    data: str


class ToolUseBlock(_ByType, tag="tool_use"):
    id: CallId
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    input: dict[str, Any]
    cache_control: CacheControl | None = None


UserBlock = TextBlock | ImageBlock | DocumentBlock | ToolResultBlock
AssistantBlock = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock


class UserMessage(_ByRole, tag="user"):
    content: Text | Annotated[list[UserBlock], Meta(min_length=1)]


class AssistantMessage(_ByRole, tag="assistant"):
    content: Text | Annotated[list[AssistantBlock], Meta(min_length=1)]


Message = UserMessage | AssistantMessage


class Tool(_Strict):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class AutoChoice(_ByType, tag="auto"):
    disable_parallel_tool_use: bool = False


class AnyChoice(_ByType, tag="any"):
    disable_parallel_tool_use: bool = False


class NamedChoice(_ByType, tag="tool"):
    name: Text
    disable_parallel_tool_use: bool = False


class NoneChoice(_ByType, tag="none"):
    pass


Display = Literal["summarized", "omitted"]


class ThinkingEnabled(_ByType, tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1024)]
    display: Display | None = None


class ThinkingAdaptive(_ByType, tag="adaptive"):
    display: Display | None = None


class ThinkingDisabled(_ByType, tag="disabled"):
    pass


class JsonFormat(_ByType, tag="json_schema"):
    schema: dict[str, Any]


class OutputConfig(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class Metadata(_Strict):
    user_id: Annotated[str, Meta(max_length=512)] | None = None


class CountRequest(_Strict):
    """POST /v1/messages/count_tokens."""

    model: Text
    messages: Annotated[list[Message], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None
    tool_choice: AutoChoice | AnyChoice | NamedChoice | NoneChoice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """POST /v1/messages."""

    max_tokens: Annotated[int, Meta(ge=1)]
    stream: bool = False
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
