"""The `input` items of an OpenAI Responses request, as canonical messages.

Source: OpenAI API reference, "Create a model response", as mirrored in the request types of the `openai` package 3.54.

Neighbouring items of the assistant (messages, reasoning, calls) are one turn. What items carry beside their content
(ids, states, annotations) means something only where responses are stored, so it is passed over.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

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
    Ttl,
    UserMessage,
)
from router_worker.surfaces.typed_fields import check_json_object, read_source, read_typed, untranslatable, wrong
from router_worker.vendors.openai.responses_seal import open_seal

_NULL = msgspec.Raw(b"null")
_NonEmpty = Annotated[str, Meta(min_length=1)]
NOT_STORED = "responses are not stored here, so send the whole conversation in 'input'"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str | None = None


class _Breakpoint(msgspec.Struct, frozen=True, kw_only=True):
    ttl: Literal["30m", "12h"] | None = None

    @property
    def cache(self) -> Ttl:
        """The nearest that vendors with prompt caches of their own have: minutes, or an hour."""
        return "5m" if self.ttl is None else "1h"


class _Part(_Strict, frozen=True, kw_only=True):
    prompt_cache_breakpoint: _Breakpoint | None = None

    @property
    def cache(self) -> Ttl | None:
        return None if self.prompt_cache_breakpoint is None else self.prompt_cache_breakpoint.cache


class _TextPart(_Part, frozen=True, kw_only=True):
    text: str
    annotations: msgspec.Raw = _NULL
    logprobs: msgspec.Raw = _NULL


class _RefusalPart(_Strict, frozen=True, kw_only=True):
    refusal: str


class _ImagePart(_Part, frozen=True, kw_only=True):
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None


class _FilePart(_Part, frozen=True, kw_only=True):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None


class _Message(_Strict, frozen=True, kw_only=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: msgspec.Raw
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _FunctionCall(_Strict, frozen=True, kw_only=True):
    call_id: _NonEmpty
    name: _NonEmpty
    arguments: str
    id: str | None = None
    status: str | None = None
    caller: Any = None
    namespace: str | None = None
    async_: bool | None = msgspec.field(default=None, name="async")


class _FunctionCallOutput(_Strict, frozen=True, kw_only=True):
    call_id: _NonEmpty
    output: msgspec.Raw
    id: str | None = None
    status: str | None = None
    caller: Any = None
    name: str | None = None
    namespace: str | None = None


class _SummaryText(_Strict, frozen=True, kw_only=True):
    text: str


class _Reasoning(_Strict, frozen=True, kw_only=True):
    summary: tuple[_SummaryText, ...] | None = None
    content: tuple[_SummaryText, ...] | None = None
    encrypted_content: str | None = None
    id: str | None = None
    status: str | None = None


class _Peek(msgspec.Struct, frozen=True):
    type: str | None = None
    role: str | None = None


_INPUT = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(min_length=1)])
_PEEK = msgspec.json.Decoder(_Peek)
_STRING = msgspec.json.Decoder(str)
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT_PART = msgspec.json.Decoder(_TextPart)
_REFUSAL_PART = msgspec.json.Decoder(_RefusalPart)
_IMAGE_PART = msgspec.json.Decoder(_ImagePart)
_FILE_PART = msgspec.json.Decoder(_FilePart)
_MESSAGE = msgspec.json.Decoder(_Message)
_CALL = msgspec.json.Decoder(_FunctionCall)
_OUTPUT = msgspec.json.Decoder(_FunctionCallOutput)
_REASONING = msgspec.json.Decoder(_Reasoning)


class Conversation:
    """What `read_input` finds: messages in order, and what the system said among them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.system: list[Text] = []
        self._turn: list[AssistantPart] = []
        self._results: list[ToolResult] = []
        self._names: dict[str, str] = {}
        self._call_signature: str | None = None

    def read(self, raw: msgspec.Raw, path: str) -> None:
        peek = read_typed(_PEEK, raw, path)
        kind = peek.type or ("message" if peek.role is not None else "")
        if kind == "message":
            self._message(read_typed(_MESSAGE, raw, path), path)
        elif kind == "function_call":
            self._call(read_typed(_CALL, raw, path), path)
        elif kind == "function_call_output":
            self._output(read_typed(_OUTPUT, raw, path), path)
        elif kind == "reasoning":
            self._reasoning(read_typed(_REASONING, raw, path))
        elif kind == "item_reference":
            raise wrong(f"{path}.type", f"an item_reference points at a stored item, but {NOT_STORED}")
        elif not kind:
            raise wrong(f"{path}.type", "it is required")
        else:
            raise untranslatable(f"{path}.type", f"only OpenAI knows items of the type '{kind[:64]}'")

    def end_turn(self) -> None:
        if self._turn:
            self.messages.append(AssistantMessage(parts=tuple(self._turn)))
            self._turn.clear()
        if self._results:
            self.messages.append(UserMessage(parts=tuple(self._results)))
            self._results.clear()

    def say(self, text: str) -> None:
        self.messages.append(UserMessage(parts=(Text(text=text),)))

    def _message(self, message: _Message, path: str) -> None:
        self._call_signature = None
        parts = _read_content(message.content, f"{path}.content")
        if message.role == "user":
            self.end_turn()
            self.messages.append(UserMessage(parts=parts))
            return
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) != len(parts):
            raise wrong(f"{path}.content", f"a message of the role {message.role} holds text only")
        if message.role == "assistant":
            if self._results:
                self.end_turn()
            self._turn += texts
        else:
            self.system += texts

    def _call(self, call: _FunctionCall, path: str) -> None:
        if self._results:
            self.end_turn()
        arguments = call.arguments.strip() or "{}"
        check_json_object(arguments, f"{path}.arguments")
        signature, self._call_signature = self._call_signature, None
        self._names[call.call_id] = call.name
        self._turn.append(ToolCall(call_id=call.call_id, name=call.name, arguments=arguments, signature=signature))

    def _output(self, output: _FunctionCallOutput, path: str) -> None:
        name = self._names.get(output.call_id)
        if name is None:
            raise wrong(f"{path}.call_id", "no function_call with this call_id stands before it")
        if self._turn:
            self.end_turn()
        parts = _read_content(output.output, f"{path}.output")
        self._results.append(ToolResult(call_id=output.call_id, name=name, parts=parts))

    def _reasoning(self, item: _Reasoning) -> None:
        if self._results:
            self.end_turn()
        text = "\n\n".join(part.text for part in item.summary or item.content or ())
        seal = open_seal(item.encrypted_content)
        if seal.kind == "call":
            self._call_signature = seal.data
            return
        signature = seal.data if seal.kind == "signature" else None
        encrypted = seal.data if seal.kind == "encrypted" else None
        if text or signature or encrypted:
            self._turn.append(Thinking(text=text, signature=signature, encrypted=encrypted, made_by=seal.made_by))


def read_input(raw: msgspec.Raw) -> Conversation:
    """Raises BadFieldError."""
    conversation = Conversation()
    if bytes(raw)[:1] == b'"':
        conversation.say(read_typed(_STRING, raw, "input"))
        return conversation
    for number, item in enumerate(read_typed(_INPUT, raw, "input")):
        conversation.read(item, f"input[{number}]")
    conversation.end_turn()
    return conversation


def _read_content(raw: msgspec.Raw, path: str) -> tuple[Text | Image | Document, ...]:
    if bytes(raw)[:1] == b'"':
        return (Text(text=read_typed(_STRING, raw, path)),)
    return tuple(_read_parts(read_typed(_PARTS, raw, path), path))


def _read_parts(raws: Sequence[msgspec.Raw], path: str) -> list[Text | Image | Document]:
    parts: list[Text | Image | Document] = []
    for number, raw in enumerate(raws):
        place = f"{path}[{number}]"
        kind = read_typed(_PEEK, raw, place).type
        if kind in ("input_text", "output_text", "text"):
            text = read_typed(_TEXT_PART, raw, place)
            parts.append(Text(text=text.text, cache=text.cache))
        elif kind == "refusal":
            parts.append(Text(text=read_typed(_REFUSAL_PART, raw, place).refusal))
        elif kind == "input_image":
            parts.append(_image(read_typed(_IMAGE_PART, raw, place), place))
        elif kind == "input_file":
            parts.append(_file(read_typed(_FILE_PART, raw, place), place))
        elif kind is None:
            raise wrong(f"{place}.type", "it is required")
        else:
            raise untranslatable(f"{place}.type", f"only OpenAI knows content of the type '{kind[:64]}'")
    return parts


def _image(part: _ImagePart, path: str) -> Image:
    if part.file_id is not None:
        raise untranslatable(f"{path}.file_id", "a file uploaded to OpenAI can be read only there; send its data")
    if part.image_url is None:
        raise wrong(f"{path}.image_url", "it is required")
    detail = "high" if part.detail == "original" else part.detail
    return Image(source=read_source(part.image_url, f"{path}.image_url"), detail=detail, cache=part.cache)


def _file(part: _FilePart, path: str) -> Document:
    if part.file_id is not None:
        raise untranslatable(f"{path}.file_id", "a file uploaded to OpenAI can be read only there; send its data")
    field, text = ("file_data", part.file_data) if part.file_data is not None else ("file_url", part.file_url)
    if text is None:
        raise wrong(f"{path}.file_data", "it is required, or a file_url")
    return Document(source=read_source(text, f"{path}.{field}"), name=part.filename, cache=part.cache)
