"""A generateContent request, field by field. Format: Gemini API reference, "GenerateContentRequest" (v1beta).

Fields that are not here are refused: what they ask for, other vendors have no word for. Those that are here as `Raw`
and are not looked at again are hints and labels.
"""

import msgspec

NO_RAW = msgspec.Raw(b"null")


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    pass


class Blob(_Strict, frozen=True):
    mime_type: str
    data: str
    display_name: str | None = None


class FileData(_Strict, frozen=True):
    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(_Strict, frozen=True):
    name: str
    id: str | None = None
    args: msgspec.Raw = NO_RAW


class ResponsePart(_Strict, frozen=True):
    inline_data: Blob | None = None
    file_data: FileData | None = None
    media_resolution: msgspec.Raw = NO_RAW


class FunctionResponse(_Strict, frozen=True):
    name: str
    id: str | None = None
    response: msgspec.Raw = NO_RAW
    parts: list[ResponsePart] | None = None


class Part(_Strict, frozen=True):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    media_resolution: msgspec.Raw = NO_RAW
    part_metadata: msgspec.Raw = NO_RAW


class Content(_Strict, frozen=True):
    parts: list[Part] | None = None
    role: str | None = None


class FunctionDeclaration(_Strict, frozen=True):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NO_RAW
    parameters_json_schema: msgspec.Raw = NO_RAW
    response: msgspec.Raw = NO_RAW
    response_json_schema: msgspec.Raw = NO_RAW
    behavior: msgspec.Raw = NO_RAW


class Tool(_Strict, frozen=True):
    """Google's own tools (googleSearch, codeExecution, urlContext, ...) run at Google, so nobody else has them."""

    function_declarations: list[FunctionDeclaration] | None = None


class FunctionCallingConfig(_Strict, frozen=True):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(_Strict, frozen=True):
    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: msgspec.Raw = NO_RAW


class ThinkingConfig(_Strict, frozen=True):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(_Strict, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    candidate_count: int | None = None
    stop_sequences: list[str] | None = None
    response_mime_type: str | None = None
    response_schema: msgspec.Raw = NO_RAW
    response_json_schema: msgspec.Raw = NO_RAW
    response_modalities: list[str] | None = None
    thinking_config: ThinkingConfig | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    media_resolution: msgspec.Raw = NO_RAW
    enable_enhanced_civic_answers: msgspec.Raw = NO_RAW


class Request(_Strict, frozen=True):
    contents: list[Content]
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    safety_settings: msgspec.Raw = NO_RAW
    service_tier: msgspec.Raw = NO_RAW
    labels: msgspec.Raw = NO_RAW
    store: msgspec.Raw = NO_RAW
