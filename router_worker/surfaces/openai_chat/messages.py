"""The messages of OpenAI's chat completions as a canonical conversation."""

import re
from dataclasses import replace
from typing import Any, Literal

import msgspec

import router_worker.surfaces.openai_chat.parts as parts
from router_worker.canonical.request import (
    AssistantMessage,
    AssistantPart,
    Document,
    Image,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
    UserPart,
)
from router_worker.surfaces.openai_chat.parts import CacheControl, read_parts, read_texts, ttl_of
from router_worker.surfaces.typed_fields import check_json_object, untranslatable, wrong

MadeBy = Literal["anthropic", "gemini", "openai", "bedrock", "unknown"]
_MADE_BY: frozenset[MadeBy] = frozenset(("anthropic", "gemini", "openai", "bedrock"))


class _Message(msgspec.Struct, frozen=True, tag_field="role"):
    """`cache_control` of a message is that of its last part."""

    name: str | None = None
    cache_control: CacheControl | None = None


class SystemMessage(_Message, frozen=True, tag="system", kw_only=True):
    content: str | list[parts.TextPart]


class DeveloperMessage(_Message, frozen=True, tag="developer", kw_only=True):
    content: str | list[parts.TextPart]


class UserTurn(_Message, frozen=True, tag="user", kw_only=True):
    content: str | list[parts.UserPart]


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str = ""


class _Google(msgspec.Struct, frozen=True):
    thought_signature: str | None = None


class _ExtraContent(msgspec.Struct, frozen=True):
    google: _Google | None = None


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: str = "function"
    function: _Function | None = None
    extra_content: _ExtraContent | None = None
    cache_control: CacheControl | None = None


class _Detail(msgspec.Struct, frozen=True):
    """As the writer of this surface writes them, and OpenRouter, whose summaries nobody wants to see again."""

    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None


class AssistantTurn(_Message, frozen=True, tag="assistant", kw_only=True):
    content: str | list[parts.AssistantPart] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_details: list[_Detail] | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    audio: Any = None


class ToolTurn(_Message, frozen=True, tag="tool", kw_only=True):
    content: str | list[parts.UserPart] | None
    tool_call_id: str


class FunctionTurn(_Message, frozen=True, tag="function", kw_only=True):
    content: str | None


Turn = SystemMessage | DeveloperMessage | UserTurn | AssistantTurn | ToolTurn | FunctionTurn

# Whatever else stands in a message is written by clients that send answers back as they were (`annotations`, `id`).
_KNOWN = frozenset(
    {"role", "content", "cache_control", "refusal", "reasoning_content", "reasoning", "reasoning_details", "audio"}
    | {"tool_calls", "function_call", "tool_call_id"}
)
# Other names go into no header: a line break in one would begin a header of the client's own.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def unread_fields(message: dict[str, msgspec.Raw]) -> set[str]:
    """Fields of a message that say something, and that no vendor of another format is told."""
    ignored = set(message.keys() - _KNOWN)
    if bytes(message.get("role", b"")) in (b'"function"', b'"tool"'):
        # Known from the call.
        ignored.discard("name")
    said = (name for name in ignored if bytes(message[name]) not in (b"null", b"[]", b"{}"))
    return {f"messages[].{name}" if _PLAIN_NAME.fullmatch(name) else "messages[].*" for name in said}


class Conversation:
    """Reads turn by turn. Raises `typed_fields.BadFieldError`."""

    def __init__(self, dropped: set[str]) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._dropped = dropped
        self._names: dict[str, str] = {}
        self._last_function: dict[str, str] = {}

    def read(self, turns: list[Turn]) -> None:
        results: list[UserPart] = []
        for number, turn in enumerate(turns):
            place = f"messages[{number}]"
            if isinstance(turn, ToolTurn | FunctionTurn):
                results.append(self._result(turn, place))
                continue
            if isinstance(turn, SystemMessage | DeveloperMessage):
                texts = read_texts(turn.content, f"{place}.content", self._dropped)
                self.system += _cached(texts, turn.cache_control)
                continue
            if isinstance(turn, UserTurn):
                said = read_parts(turn.content, f"{place}.content", self._dropped)
                self.messages.append(UserMessage(parts=(*results, *_cached(said, turn.cache_control))))
            else:
                self._user_results(results)
                self.messages.append(self._assistant(turn, place))
            results = []
        self._user_results(results)

    def _user_results(self, results: list[UserPart]) -> None:
        if results:
            self.messages.append(UserMessage(parts=tuple(results)))

    def _result(self, turn: ToolTurn | FunctionTurn, place: str) -> ToolResult:
        if isinstance(turn, FunctionTurn):
            if turn.name is None or turn.name not in self._last_function:
                raise wrong(f"{place}.name", "No function of this name was called before.")
            call_id = self._last_function[turn.name]
        else:
            call_id = turn.tool_call_id
            if call_id not in self._names:
                raise wrong(f"{place}.tool_call_id", "No tool call before this message has this id.")
        content = [] if turn.content is None else read_parts(turn.content, f"{place}.content", self._dropped)
        return ToolResult(
            call_id=call_id,
            name=self._names[call_id],
            parts=tuple(part for part in content if not isinstance(part, Text) or part.text),
            cache=ttl_of(turn.cache_control),
        )

    def _assistant(self, turn: AssistantTurn, place: str) -> AssistantMessage:
        if turn.audio is not None:
            raise untranslatable(f"{place}.audio", "Sound cannot be translated for the vendors of this model.")
        said: list[AssistantPart] = [*_thoughts(turn)]
        said += read_texts(turn.content, f"{place}.content", self._dropped)
        if turn.refusal:
            said.append(Text(text=turn.refusal))
        for number, call in enumerate(turn.tool_calls or ()):
            said.append(self._call(call, f"{place}.tool_calls[{number}]"))
        if turn.function_call is not None:
            call_id = f"call_{len(self.messages)}"
            self._last_function[turn.function_call.name] = call_id
            said.append(self._function(call_id, turn.function_call, f"{place}.function_call"))
        return AssistantMessage(parts=tuple(_cached(said, turn.cache_control)))

    def _call(self, call: _Call, place: str) -> ToolCall:
        if call.type != "function":
            raise untranslatable(f"{place}.type", "Only functions can be translated.")
        if call.function is None:
            raise wrong(f"{place}.function", "Is required.")
        read = self._function(call.id, call.function, f"{place}.function")
        google = None if call.extra_content is None else call.extra_content.google
        signature = None if google is None else google.thought_signature
        return replace(read, signature=signature, cache=ttl_of(call.cache_control))

    def _function(self, call_id: str, function: _Function, place: str) -> ToolCall:
        arguments = function.arguments.strip() or "{}"
        check_json_object(arguments, f"{place}.arguments")
        self._names[call_id] = function.name
        return ToolCall(call_id=call_id, name=function.name, arguments=arguments)


def _thoughts(turn: AssistantTurn) -> list[Thinking]:
    thoughts: list[Thinking] = []
    for detail in turn.reasoning_details or ():
        made_by = _made_by(detail.format)
        if detail.type == "reasoning.text" and (detail.text or detail.signature):
            thoughts.append(Thinking(text=detail.text or "", signature=detail.signature, made_by=made_by))
        elif detail.type == "reasoning.encrypted" and detail.data:
            thoughts.append(Thinking(encrypted=detail.data, made_by=made_by))
    text = turn.reasoning_content or (turn.reasoning if isinstance(turn.reasoning, str) else None)
    # The details hold what counts; the same text beside them is for people.
    return thoughts or ([Thinking(text=text)] if text else [])


def _made_by(given: str | None) -> MadeBy:
    """OpenRouter writes "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1"."""
    words = (given or "").split("-")
    return next((name for name in _MADE_BY if name in words), "unknown")


def _cached(said: list[Any], control: CacheControl | None) -> list[Any]:
    if control is None or not said or isinstance(said[-1], Thinking):
        return said
    last: Text | Image | Document | ToolCall = said[-1]
    return [*said[:-1], replace(last, cache=ttl_of(control))]
