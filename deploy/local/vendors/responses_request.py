"""The documented request of OpenAI's POST /v1/responses, as types that refuse everything else.

Source: OpenAI's API reference, as mirrored in the request types of the official `openai` package (3.54). Of the
built-in tools and their items none is played; what refers to something stored at OpenAI is known, so that it can be
refused by name.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

NonEmpty = Annotated[str, Meta(min_length=1)]
Status = Literal["in_progress", "completed", "incomplete"]
FunctionName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
# Item ids are checked by their prefix, and calls are told apart by `call_id`.
CallId = Annotated[str, Meta(min_length=1, max_length=64)]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _ByType(_Strict, tag_field="type"):
    pass


class CacheBreakpoint(_Strict):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class InputText(_ByType, tag="input_text"):
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputImage(_ByType, tag="input_image"):
    image_url: Annotated[str, Meta(pattern="^(data:image/[a-z]+;base64,|https?://)")] | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None

    def __post_init__(self) -> None:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("Expected either image_url or file_id")


class InputFile(_ByType, tag="input_file"):
    file_data: Annotated[str, Meta(pattern="^data:[^;,]+;base64,")] | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: Literal["auto", "low", "high"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None

    def __post_init__(self) -> None:
        if [self.file_data, self.file_id, self.file_url].count(None) != 2:
            raise ValueError("Expected exactly one of file_data, file_id and file_url")
        if self.file_data is not None and not self.filename:
            raise ValueError("Expected filename beside file_data")


class OutputText(_ByType, tag="output_text"):
    text: str
    annotations: list[dict[str, Any]] | None = None
    logprobs: list[dict[str, Any]] | None = None


class Refusal(_ByType, tag="refusal"):
    refusal: str


Part = InputText | InputImage | InputFile | OutputText | Refusal


class MessageItem(_ByType, tag="message"):
    """Of both kinds: what a caller says, and an answer of before. Which parts go with which role is checked apart."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Annotated[list[Part], Meta(min_length=1)]
    id: Annotated[str, Meta(pattern="^msg_")] | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCallItem(_ByType, tag="function_call"):
    call_id: CallId
    name: FunctionName
    arguments: str
    id: Annotated[str, Meta(pattern="^fc_")] | None = None
    status: Status | None = None


class FunctionCallOutputItem(_ByType, tag="function_call_output"):
    call_id: CallId
    output: str | list[InputText | InputImage | InputFile]
    id: Annotated[str, Meta(pattern="^fc_")] | None = None
    status: Status | None = None


class SummaryText(_ByType, tag="summary_text"):
    text: str


class ReasoningText(_ByType, tag="reasoning_text"):
    text: str


class ReasoningItem(_ByType, tag="reasoning"):
    id: Annotated[str, Meta(pattern="^rs_")]
    summary: list[SummaryText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class ItemReference(_ByType, tag="item_reference"):
    id: NonEmpty


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem | ItemReference


class FunctionTool(_ByType, tag="function"):
    """Flat: name and parameters stand beside `type`, not below `function` as in chat completions. Without
    `strict` OpenAI makes the schema strict itself and refuses none; only `true` is held to the rules."""

    name: FunctionName
    parameters: dict[str, Any] | None
    strict: bool | None = None
    description: str | None = None


class FunctionChoice(_ByType, tag="function"):
    name: FunctionName


class AllowedTool(_ByType, tag="function"):
    name: FunctionName


class AllowedToolsChoice(_ByType, tag="allowed_tools"):
    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], Meta(min_length=1)]


class PlainFormat(_ByType, tag="text"):
    pass


class JsonObjectFormat(_ByType, tag="json_object"):
    pass


class JsonSchemaFormat(_ByType, tag="json_schema"):
    """Flat: the schema stands beside `type`, not below `json_schema` as in chat completions."""

    name: FunctionName
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextConfig(_Strict):
    format: PlainFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(_Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


class StreamOptions(_Strict):
    include_obfuscation: bool | None = None


Includable = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class ResponsesRequest(_Strict):
    model: NonEmpty
    input: str | Annotated[list[Item], Meta(min_length=1)]
    background: bool | None = None
    conversation: Any = None
    include: list[Includable] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextConfig | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | AllowedToolsChoice | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=128)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
