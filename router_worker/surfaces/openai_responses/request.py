"""The whole of an OpenAI Responses request as a canonical one, for vendors that speak another format.

Source: OpenAI API reference, "Create a model response", as mirrored in the request types of the `openai` package 3.54.

What follows OpenAI's own rule for what it is: refused if it shapes the answer, dropped and named if it is a hint (see
`canonical.request`). Of the tools only functions can run elsewhere; those that OpenAI hosts are refused. A choice of
`allowed_tools` becomes a request with those tools alone. Reasoning that is asked for as a summary is shown as the
vendor shows it.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from router_worker.canonical.request import (
    ChatRequest,
    Effort,
    JsonFormat,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from router_worker.surfaces.openai_responses.items import NOT_STORED, read_input
from router_worker.surfaces.typed_fields import (
    BadFieldError,
    Decoder,
    check_whole,
    is_null,
    read_typed,
    untranslatable,
    wrong,
)
from router_worker.vendors.gateway_fields import drop_gateway_fields
from router_worker.vendors.json_fields import Fields, read_fields
from schemas.failures import Failure, FailureKind

_T = TypeVar("_T")

HINTS = frozenset(
    {
        "access_programs",
        "background_options",
        "image",
        "max_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "stream_options",
        "user",
    }
)
_STORED = ("previous_response_id", "conversation", "prompt")
_READ = frozenset(
    {
        *_STORED,
        "background",
        "context_management",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
    }
)
_NOT_SHOWN_ELSEWHERE = frozenset({"message.output_text.logprobs"})


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Tool(_Strict, frozen=True, kw_only=True):
    type: str
    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, msgspec.Raw] | None = None
    strict: bool | None = None


class _AllowedTool(_Strict, frozen=True, kw_only=True):
    type: Literal["function"]
    name: str


class _Choice(_Strict, frozen=True, kw_only=True):
    type: str
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: tuple[_AllowedTool, ...] = ()


class _Format(_Strict, frozen=True, kw_only=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, msgspec.Raw] | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(_Strict, frozen=True, kw_only=True):
    format: _Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class _Reasoning(_Strict, frozen=True, kw_only=True):
    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    mode: str | None = None


class _Type(msgspec.Struct, frozen=True):
    type: str


_TYPE = msgspec.json.Decoder(_Type)
_TOOL = msgspec.json.Decoder(_Tool)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_CHOICE = msgspec.json.Decoder(Literal["none", "auto", "required"] | _Choice)
_TEXT: Decoder[_Text | None] = msgspec.json.Decoder(_Text | None)
_REASONING: Decoder[_Reasoning | None] = msgspec.json.Decoder(_Reasoning | None)
_FLAG: Decoder[bool | None] = msgspec.json.Decoder(bool | None)
_STRING: Decoder[str | None] = msgspec.json.Decoder(str | None)
_NUMBER: Decoder[float | None] = msgspec.json.Decoder(float | None)
_CAP: Decoder[int | None] = msgspec.json.Decoder(Annotated[int, Meta(ge=1, le=10**9)] | None)
_COUNT: Decoder[int | None] = msgspec.json.Decoder(Annotated[int, Meta(ge=0, le=10**9)] | None)
_STRINGS: Decoder[list[str] | None] = msgspec.json.Decoder(list[str] | None)
_TRUNCATION: Decoder[Any] = msgspec.json.Decoder(Literal["auto", "disabled"] | None)
_METADATA: Decoder[dict[str, str] | None] = msgspec.json.Decoder(dict[str, str] | None)


def read_request(body: bytes) -> ChatRequest | Failure:
    try:
        check_whole(body)
        fields = read_fields(body)
        if fields is None:
            return Failure(kind=FailureKind.INVALID_JSON)
        drop_gateway_fields(fields)
        return _Reader({name: raw for name, raw in fields.items() if not is_null(raw)}).request()
    except BadFieldError as bad:
        return bad.failure


class _Reader:
    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._dropped: list[str] = []

    def request(self) -> ChatRequest:
        self._refuse_what_needs_openai()
        if "input" not in self._fields:
            raise wrong("input", "it is required")
        conversation = read_input(self._fields["input"])
        instructions = self._field("instructions", _STRING)
        first = () if instructions is None else (Text(text=instructions),)
        tools = self._tools()
        choice, allowed = self._tool_choice({tool.name for tool in tools})
        text = self._field("text", _TEXT) or _Text()
        if text.verbosity in ("low", "high"):
            self._dropped.append("text.verbosity")
        reasoning = self._reasoning()
        self._note_hints()
        return ChatRequest(
            messages=tuple(conversation.messages),
            system=(*first, *conversation.system),
            streaming=bool(self._field("stream", _FLAG)),
            tools=tuple(tool for tool in tools if allowed is None or tool.name in allowed),
            tool_choice=choice,
            parallel_tool_calls=self._field("parallel_tool_calls", _FLAG),
            response_format=None if text.format is None else _json_format(text.format),
            reasoning=reasoning,
            max_output_tokens=self._field("max_output_tokens", _CAP),
            temperature=self._field("temperature", _NUMBER),
            top_p=self._field("top_p", _NUMBER),
            dropped=tuple(self._dropped),
        )

    def _field(self, name: str, decoder: Decoder[_T | None]) -> _T | None:
        raw = self._fields.get(name)
        return None if raw is None else read_typed(decoder, raw, name)

    def _refuse_what_needs_openai(self) -> None:
        for name in self._fields:
            if name not in _READ and name not in HINTS:
                raise untranslatable(name, "unknown here, and only passed on to vendors of this API")
        for name in _STORED:
            if name in self._fields:
                raise wrong(name, NOT_STORED)
        if self._field("background", _FLAG):
            raise wrong("background", NOT_STORED)
        if "moderation" in self._fields:
            raise untranslatable("moderation", "only OpenAI does this")
        if bytes(self._fields.get("context_management", b"[]")) != b"[]":
            raise untranslatable("context_management", "only OpenAI does this")
        if self._field("top_logprobs", _COUNT):
            raise untranslatable("top_logprobs", "only OpenAI gives log probabilities in this API")
        for number, name in enumerate(self._field("include", _STRINGS) or ()):
            if name in _NOT_SHOWN_ELSEWHERE:
                raise untranslatable(f"include[{number}]", "only OpenAI gives this")

    def _note_hints(self) -> None:
        self._field("metadata", _METADATA)
        self._dropped += sorted(HINTS & self._fields.keys())
        if self._field("store", _FLAG):
            self._dropped.append("store")
        if self._field("truncation", _TRUNCATION) == "auto":
            self._dropped.append("truncation")
        if set(self._field("include", _STRINGS) or ()) - {"reasoning.encrypted_content"}:
            self._dropped.append("include")

    def _tools(self) -> list[Tool]:
        raw = self._fields.get("tools")
        raws = [] if raw is None else read_typed(_RAWS, raw, "tools")
        return [_tool(each, f"tools[{number}]") for number, each in enumerate(raws)]

    def _tool_choice(self, names: set[str]) -> tuple[ToolChoice | None, set[str] | None]:
        raw = self._fields.get("tool_choice")
        if raw is None:
            return None, None
        choice = read_typed(_CHOICE, raw, "tool_choice")
        if not isinstance(choice, _Choice):
            return ToolChoice(mode=choice), None
        if choice.type == "function":
            if choice.name not in names:
                raise wrong("tool_choice.name", "no function of this name is among the tools")
            return ToolChoice(mode="tool", name=choice.name), None
        if choice.type == "allowed_tools":
            allowed = {tool.name for tool in choice.tools}
            if not allowed or not allowed <= names:
                raise wrong("tool_choice.tools", "not all of these are among the tools")
            return ToolChoice(mode=choice.mode), allowed
        raise untranslatable("tool_choice.type", "only functions can be chosen where OpenAI does not run the tools")

    def _reasoning(self) -> Reasoning | None:
        asked = self._field("reasoning", _REASONING)
        if asked is None:
            return None
        if asked.context not in (None, "auto"):
            raise untranslatable("reasoning.context", "only OpenAI does this")
        if asked.mode not in (None, "standard"):
            raise untranslatable("reasoning.mode", "only OpenAI does this")
        shown = asked.summary is not None or asked.generate_summary is not None
        if asked.effort is None and not shown:
            return None
        return Reasoning(effort=asked.effort, visible=True if shown else None)


def _tool(raw: msgspec.Raw, path: str) -> Tool:
    kind = read_typed(_TYPE, raw, path).type
    if kind == "custom":
        raise untranslatable(f"{path}.type", "only OpenAI has tools that take free text; use a function")
    if kind != "function":
        raise untranslatable(f"{path}.type", f"'{kind[:64]}' is a tool that OpenAI runs; only functions run elsewhere")
    tool = read_typed(_TOOL, raw, path)
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=None if tool.parameters is None else _raw(tool.parameters),
        strict=tool.strict,
    )


def _json_format(asked: _Format) -> JsonFormat | None:
    if asked.type == "text":
        return None
    if asked.type == "json_object":
        return JsonFormat()
    if asked.schema is None:
        raise wrong("text.format.schema", "it is required")
    if not asked.name:
        raise wrong("text.format.name", "it is required")
    return JsonFormat(schema=_raw(asked.schema), name=asked.name, description=asked.description, strict=asked.strict)


def _raw(fields: Fields) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))
