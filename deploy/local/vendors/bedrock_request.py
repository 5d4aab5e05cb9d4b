"""The documented request of Amazon Bedrock's Converse and ConverseStream, as types that refuse everything else.

Source: the service description of `bedrock-runtime` (2023-09-30) in botocore 1.44, and the Converse API reference.
A union of the service is an object with exactly one of its members. An explicit null is refused everywhere.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

NonEmpty = Annotated[str, Meta(min_length=1)]
# Blank text is refused: "The text field in the ContentBlock object at ... is blank".
Text = Annotated[str, Meta(pattern=r"\S")]
Blob = Annotated[bytes, Meta(min_length=1)]
ToolName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
ToolUseId = Annotated[str, Meta(pattern="^[a-zA-Z0-9_.:-]{1,64}$")]
# Letters of the ASCII range, digits, single spaces, hyphens, parentheses and square brackets, so says the reference.
DocumentName = Annotated[str, Meta(max_length=200, pattern=r"^(?!.*\s\s)[a-zA-Z0-9\s\-()\[\]]+$")]
ImageFormat = Literal["png", "jpeg", "gif", "webp"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    pass


class _Union(_Strict):
    def member(self) -> str:
        return self.given()[0]

    def given(self) -> list[str]:
        return [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]

    def __post_init__(self) -> None:
        if len(self.given()) != 1:
            members = ", ".join(self.__struct_encode_fields__)
            raise ValueError(f"Exactly one of these members must be given: {members}")


class S3Location(_Strict):
    uri: Annotated[str, Meta(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$", max_length=1024)]
    bucket_owner: Annotated[str, Meta(pattern="^[0-9]{12}$")] | UnsetType = UNSET


class MediaSource(_Union):
    bytes: Blob | UnsetType = UNSET
    s3_location: S3Location | UnsetType = UNSET


class Image(_Strict):
    format: ImageFormat
    source: MediaSource


class DocumentText(_Union):
    text: str | UnsetType = UNSET


class DocumentSource(_Union):
    bytes: Blob | UnsetType = UNSET
    s3_location: S3Location | UnsetType = UNSET
    text: str | UnsetType = UNSET
    content: list[DocumentText] | UnsetType = UNSET


class Citations(_Strict):
    enabled: bool


class Document(_Strict):
    name: DocumentName
    source: DocumentSource
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] = "txt"
    context: str | UnsetType = UNSET
    citations: Citations | UnsetType = UNSET


class Video(_Strict):
    format: Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
    source: MediaSource


class ToolUse(_Strict):
    """`input` is an object: a string of JSON is refused, as Bedrock refuses it."""

    tool_use_id: ToolUseId
    name: ToolName
    input: dict[str, Any]


class ToolResultContent(_Union):
    json: dict[str, Any] | UnsetType = UNSET
    text: NonEmpty | UnsetType = UNSET
    image: Image | UnsetType = UNSET
    document: Document | UnsetType = UNSET
    video: Video | UnsetType = UNSET


class ToolResult(_Strict):
    tool_use_id: ToolUseId
    content: list[ToolResultContent]
    status: Literal["success", "error"] = "success"

    def __post_init__(self) -> None:
        if self.status == "error" and not self.content:
            raise ValueError("The content field cannot be empty when status value is error")


class CachePoint(_Strict):
    type: Literal["default"]
    ttl: Literal["5m", "1h"] | UnsetType = UNSET


class ReasoningText(_Strict):
    text: str
    signature: str | UnsetType = UNSET


class ReasoningContent(_Union):
    reasoning_text: ReasoningText | UnsetType = UNSET
    redacted_content: Blob | UnsetType = UNSET


class GuardedText(_Strict):
    text: str
    qualifiers: list[Literal["grounding_source", "query", "guard_content"]] | UnsetType = UNSET


class GuardContent(_Union):
    text: GuardedText | UnsetType = UNSET


class ContentBlock(_Union):
    text: Text | UnsetType = UNSET
    image: Image | UnsetType = UNSET
    document: Document | UnsetType = UNSET
    video: Video | UnsetType = UNSET
    tool_use: ToolUse | UnsetType = UNSET
    tool_result: ToolResult | UnsetType = UNSET
    guard_content: GuardContent | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET
    reasoning_content: ReasoningContent | UnsetType = UNSET


class Message(_Strict):
    """The service also lists a role `system`, for models that take instructions in between; here none does."""

    role: Literal["user", "assistant"]
    content: Annotated[list[ContentBlock], Meta(min_length=1)]


class SystemBlock(_Union):
    text: NonEmpty | UnsetType = UNSET
    guard_content: GuardContent | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET


class InferenceConfig(_Strict):
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    stop_sequences: Annotated[list[NonEmpty], Meta(max_length=2500)] | UnsetType = UNSET


class InputSchema(_Union):
    json: dict[str, Any] | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.json is not UNSET and self.json.get("type") != "object":
            raise ValueError("The value at json.type must be one of the following: object")


class ToolSpec(_Strict):
    name: ToolName
    input_schema: InputSchema
    description: NonEmpty | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class Tool(_Union):
    tool_spec: ToolSpec | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET


class Nothing(_Strict):
    pass


class NamedTool(_Strict):
    name: ToolName


class ToolChoice(_Union):
    auto: Nothing | UnsetType = UNSET
    any: Nothing | UnsetType = UNSET
    tool: NamedTool | UnsetType = UNSET


class ToolConfig(_Strict):
    tools: Annotated[list[Tool], Meta(min_length=1)]
    tool_choice: ToolChoice | UnsetType = UNSET


class JsonSchema(_Strict):
    """`schema` is a JSON schema written out as a string."""

    schema: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class FormatStructure(_Union):
    json_schema: JsonSchema | UnsetType = UNSET


class TextFormat(_Strict):
    type: Literal["json_schema"]
    structure: FormatStructure


class OutputConfig(_Strict):
    text_format: TextFormat | UnsetType = UNSET
    effort: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET


class Guardrail(_Strict):
    guardrail_identifier: str | UnsetType = UNSET
    guardrail_version: str | UnsetType = UNSET
    trace: Literal["enabled", "disabled", "enabled_full"] | UnsetType = UNSET
    stream_processing_mode: Literal["sync", "async"] | UnsetType = UNSET


class Performance(_Strict):
    latency: Literal["standard", "optimized"] | UnsetType = UNSET


class ServiceTier(_Strict):
    type: Literal["priority", "default", "flex", "reserved"]


class ConverseRequest(_Strict):
    messages: Annotated[list[Message], Meta(min_length=1)]
    system: list[SystemBlock] | UnsetType = UNSET
    inference_config: InferenceConfig | UnsetType = UNSET
    tool_config: ToolConfig | UnsetType = UNSET
    guardrail_config: Guardrail | UnsetType = UNSET
    additional_model_request_fields: dict[str, Any] | UnsetType = UNSET
    additional_model_response_field_paths: Annotated[list[NonEmpty], Meta(max_length=10)] | UnsetType = UNSET
    request_metadata: Annotated[dict[str, str], Meta(max_length=16)] | UnsetType = UNSET
    performance_config: Performance | UnsetType = UNSET
    service_tier: ServiceTier | UnsetType = UNSET
    output_config: OutputConfig | UnsetType = UNSET
