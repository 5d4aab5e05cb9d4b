"""The documented requests of the Gemini API (v1beta, API key), as types that refuse everything else.

Source: Google's API reference, as mirrored in the types of the official `google-genai` package (3.4). Names are in
camel case; gemini_names.py brings the others. Of the tools that Google runs itself none is played.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    pass


class Blob(_Strict):
    mime_type: Text
    data: Text
    display_name: str | None = None


class FileData(_Strict):
    file_uri: Text
    mime_type: str | None = None


class FunctionCall(_Strict):
    name: FunctionName
    args: dict[str, Any] = {}
    id: str | None = None


class FunctionResponse(_Strict):
    name: FunctionName
    response: dict[str, Any]
    id: str | None = None


class Part(_Strict):
    """Exactly one of the first five."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    thought: bool = False
    thought_signature: str | None = None


class Content(_Strict):
    parts: Annotated[list[Part], Meta(min_length=1)]
    role: Literal["user", "model"] | None = None


SchemaType = Literal["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]
SmallType = Literal["string", "number", "integer", "boolean", "array", "object", "null"]
# Google writes 64-bit integers as strings.
_Count = int | str


class Schema(_Strict):
    """Google's own subset of OpenAPI; a JSON schema goes into the fields named for it."""

    type: SchemaType | SmallType | None = None
    format: str | None = None
    title: str | None = None
    description: str | None = None
    nullable: bool | None = None
    enum: list[str] | None = None
    items: "Schema | None" = None
    max_items: _Count | None = None
    min_items: _Count | None = None
    properties: "dict[str, Schema] | None" = None
    required: list[str] | None = None
    min_properties: _Count | None = None
    max_properties: _Count | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: _Count | None = None
    max_length: _Count | None = None
    pattern: str | None = None
    example: Any = None
    default: Any = None
    any_of: "list[Schema] | None" = None
    property_ordering: list[str] | None = None


class FunctionDeclaration(_Strict):
    name: FunctionName
    description: str | None = None
    parameters: Schema | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: Schema | None = None
    response_json_schema: dict[str, Any] | None = None


class Tool(_Strict):
    function_declarations: Annotated[list[FunctionDeclaration], Meta(min_length=1)]


class FunctionCallingConfig(_Strict):
    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: list[str] | None = None


class ToolConfig(_Strict):
    function_calling_config: FunctionCallingConfig | None = None


class SafetySetting(_Strict):
    category: Literal[
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
    ]
    threshold: Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"]


class ThinkingConfig(_Strict):
    include_thoughts: bool = False
    thinking_budget: Annotated[int, Meta(ge=-1)] | None = None
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high"] | None = None


class GenerationConfig(_Strict):
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[float, Meta(ge=1)] | None = None
    candidate_count: Annotated[int, Meta(ge=1, le=8)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[Text], Meta(max_length=5)] | None = None
    seed: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, lt=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, lt=2)] | None = None
    response_logprobs: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_mime_type: Literal["text/plain", "application/json", "text/x.enum"] | None = None
    response_schema: Schema | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: list[Literal["TEXT"]] | None = None
    media_resolution: Literal["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"] | None = None
    thinking_config: ThinkingConfig | None = None


class GenerateRequest(_Strict):
    """:generateContent and :streamGenerateContent. `model`: where it stands in another request's body."""

    contents: Annotated[list[Content], Meta(min_length=1)]
    model: str | None = None
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    safety_settings: list[SafetySetting] | None = None
    generation_config: GenerationConfig | None = None
    cached_content: str | None = None


class CountRequest(_Strict):
    """:countTokens; one of the two."""

    contents: Annotated[list[Content], Meta(min_length=1)] | None = None
    generate_content_request: GenerateRequest | None = None


TaskType = Literal[
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
]


class EmbedRequest(_Strict):
    """:embedContent."""

    content: Content
    model: str | None = None
    task_type: TaskType | None = None
    title: str | None = None
    output_dimensionality: Annotated[int, Meta(ge=1, le=3072)] | None = None


class BatchEmbedRequest(_Strict):
    """:batchEmbedContents."""

    requests: Annotated[list[EmbedRequest], Meta(min_length=1, max_length=100)]
