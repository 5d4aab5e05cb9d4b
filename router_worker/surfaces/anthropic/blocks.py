"""Anthropic's content blocks in canonical form. Source: Claude API reference, "Messages" (content block parameters).

Citations, Anthropic's own tools and its file storage cannot be had elsewhere, so what asks for them is refused. The
citations of an earlier answer are only labels of its text, and are left out.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router_worker.canonical.request import (
    AssistantPart,
    Document,
    Image,
    Inline,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Ttl,
    Url,
    UserPart,
)
from router_worker.surfaces.typed_fields import check_base64, is_null, read_source, read_typed, untranslatable, wrong
from router_worker.vendors.anthropic.marks import unmarked

_NULL = msgspec.Raw(b"null")
_ELSEWHERE = "no vendor of another format can do this"


class CacheControl(msgspec.Struct):
    type: Literal["ephemeral"]
    ttl: Ttl | None = None


class _Marked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: str
    cache_control: CacheControl | None = None

    @property
    def cache(self) -> Ttl | None:
        return None if self.cache_control is None else self.cache_control.ttl or "5m"


class TextBlock(_Marked, kw_only=True):
    """`parsed_output` is what the SDK adds to an answer's text."""

    text: str
    citations: msgspec.Raw = _NULL
    parsed_output: msgspec.Raw = _NULL


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: msgspec.Raw = _NULL


class _ImageBlock(_Marked, kw_only=True):
    source: _Source
    transformations: dict[str, msgspec.Raw] | None = None


class _Citations(msgspec.Struct):
    enabled: bool | None = None


class _DocumentBlock(_Marked, kw_only=True):
    source: _Source
    citations: _Citations | None = None
    context: str | None = None
    title: str | None = None


class _SearchResult(_Marked, kw_only=True):
    content: list[TextBlock]
    source: str
    title: str
    citations: _Citations | None = None


class _ThinkingBlock(_Marked, kw_only=True):
    thinking: str
    signature: str | None = None


class _RedactedBlock(_Marked, kw_only=True):
    data: str


class _Caller(msgspec.Struct):
    type: str


class _ToolUse(_Marked, kw_only=True):
    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    input: dict[str, msgspec.Raw]
    caller: _Caller | None = None
    toolset_name: str | None = None


class _ToolResult(_Marked, kw_only=True):
    tool_use_id: str
    content: msgspec.Raw = _NULL
    is_error: bool | None = None
    toolset_name: str | None = None


class _Typed(msgspec.Struct):
    type: str


_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_TYPED = msgspec.json.Decoder(_Typed)
_TEXT = msgspec.json.Decoder(TextBlock)
_STRING = msgspec.json.Decoder(str)
_DECODERS: Mapping[str, "msgspec.json.Decoder[Any]"] = {
    "text": _TEXT,
    "image": msgspec.json.Decoder(_ImageBlock),
    "document": msgspec.json.Decoder(_DocumentBlock),
    "search_result": msgspec.json.Decoder(_SearchResult),
    "thinking": msgspec.json.Decoder(_ThinkingBlock),
    "redacted_thinking": msgspec.json.Decoder(_RedactedBlock),
    "tool_use": msgspec.json.Decoder(_ToolUse),
    "tool_result": msgspec.json.Decoder(_ToolResult),
}
_OF_USERS = ("text", "image", "document", "search_result", "tool_result")
_OF_ASSISTANTS = ("text", "thinking", "redacted_thinking", "tool_use")
_IN_RESULTS = ("text", "image", "document", "search_result")
_IN_DOCUMENTS = ("text", "image")


class Blocks:
    """The blocks of one conversation, in order: results find the name of their tool in the calls before them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of_user(self, content: msgspec.Raw, path: str) -> tuple[UserPart, ...]:
        parts: list[UserPart] = []
        for block, where in _read(content, path, _OF_USERS):
            if isinstance(block, _ToolResult):
                parts.append(self._result(block, where))
            else:
                parts += _shown(block, where)
        return tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult)))

    def of_assistant(self, content: msgspec.Raw, path: str) -> tuple[AssistantPart, ...]:
        return tuple(self._said(block, where) for block, where in _read(content, path, _OF_ASSISTANTS))

    def _said(self, block: _Marked, path: str) -> AssistantPart:
        if isinstance(block, TextBlock):
            return Text(text=block.text, cache=block.cache)
        if isinstance(block, _ThinkingBlock):
            signature, made_by = unmarked(block.signature or "")
            return Thinking(text=block.thinking, signature=signature, made_by=made_by)
        if isinstance(block, _RedactedBlock):
            data, made_by = unmarked(block.data)
            return Thinking(encrypted=data, made_by=made_by)
        assert isinstance(block, _ToolUse)
        if block.toolset_name is not None or (block.caller is not None and block.caller.type != "direct"):
            raise untranslatable(path, f"a call of or by a tool of Anthropic's; {_ELSEWHERE}")
        self._names[block.id] = block.name
        arguments = msgspec.json.encode(block.input).decode()
        return ToolCall(call_id=block.id, name=block.name, arguments=arguments, cache=block.cache)

    def _result(self, block: _ToolResult, path: str) -> ToolResult:
        name = self._names.get(block.tool_use_id)
        if name is None:
            raise wrong(f"{path}.tool_use_id", "there is no 'tool_use' block with this id before it")
        if block.toolset_name is not None:
            raise untranslatable(f"{path}.toolset_name", f"a tool of Anthropic's; {_ELSEWHERE}")
        parts: list[Text | Image | Document] = []
        if not is_null(block.content):
            for inner, where in _read(block.content, f"{path}.content", _IN_RESULTS):
                parts += _shown(inner, where)
        return ToolResult(
            call_id=block.tool_use_id,
            name=name,
            parts=tuple(parts),
            is_error=block.is_error is True,
            cache=block.cache,
        )


def texts(content: msgspec.Raw, path: str) -> tuple[Text, ...]:
    """A system prompt: a string, or blocks of text."""
    return tuple(Text(text=block.text, cache=block.cache) for block, _ in _read(content, path, ("text",)))


def _read(content: msgspec.Raw, path: str, allowed: tuple[str, ...]) -> list[tuple[Any, str]]:
    """The blocks, each with its path. A string stands for one block of text."""
    if bytes(content)[:1] != b"[":
        return [(TextBlock(type="text", text=read_typed(_STRING, content, path)), path)]
    blocks: list[tuple[Any, str]] = []
    for number, raw in enumerate(read_typed(_BLOCKS, content, path)):
        where = f"{path}[{number}]"
        kind = read_typed(_TYPED, raw, where).type
        if kind not in allowed:
            if kind in _DECODERS:
                raise wrong(f"{where}.type", f"'{kind}' cannot stand here")
            raise untranslatable(f"{where}.type", f"'{kind[:64]}' is Anthropic's own; {_ELSEWHERE}")
        blocks.append((read_typed(_DECODERS[kind], raw, where), where))
    return blocks


def _shown(block: _Marked, path: str) -> list[Text | Image | Document]:
    if isinstance(block, TextBlock):
        return [Text(text=block.text, cache=block.cache)]
    if isinstance(block, _ImageBlock):
        if block.transformations:
            raise untranslatable(f"{path}.transformations", _ELSEWHERE)
        return [Image(source=_source(block.source, f"{path}.source"), cache=block.cache)]
    assert isinstance(block, _DocumentBlock | _SearchResult)
    if block.citations is not None and block.citations.enabled:
        raise untranslatable(f"{path}.citations", f"citations are Anthropic's own; {_ELSEWHERE}")
    if isinstance(block, _SearchResult):
        lines = [block.title, block.source, "", *(each.text for each in block.content)]
        return [Text(text="\n".join(lines), cache=block.cache)]
    return _document(block, f"{path}.source")


def _document(block: _DocumentBlock, path: str) -> list[Text | Image | Document]:
    before: list[Text | Image | Document] = [] if not block.context else [Text(text=block.context)]
    source = block.source
    if source.type == "content":
        if bytes(source.content)[:1] == b"[":
            title: list[Text | Image | Document] = [] if not block.title else [Text(text=block.title)]
            inner = [_shown(each, where) for each, where in _read(source.content, f"{path}.content", _IN_DOCUMENTS)]
            return [*before, *title, *(part for parts in inner for part in parts)]
        found: Inline | Url = _plain(read_typed(_STRING, source.content, f"{path}.content"))
    elif source.type == "text":
        found = _plain(source.data)
    else:
        found = _source(source, path)
    return [*before, Document(source=found, name=block.title, cache=block.cache)]


def _plain(text: str) -> Inline:
    return Inline(media_type="text/plain", data=base64.b64encode(text.encode()).decode())


def _source(source: _Source, path: str) -> Inline | Url:
    read: Mapping[str, Callable[[], Inline | Url]] = {
        "base64": lambda: _inline(source, path),
        "url": lambda: _url(source.url, f"{path}.url"),
    }
    if source.type == "file":
        raise untranslatable(f"{path}.type", "the file lies at Anthropic; send it in the request instead")
    if source.type not in read:
        raise wrong(f"{path}.type", "not one of the values that this field takes")
    return read[source.type]()


def _inline(source: _Source, path: str) -> Inline:
    if not source.media_type:
        raise wrong(f"{path}.media_type", "it is required")
    check_base64(source.data, f"{path}.data")
    return Inline(media_type=source.media_type.lower(), data=source.data)


def _url(url: str, path: str) -> Url:
    found = read_source(url, path)
    if not isinstance(found, Url):
        raise wrong(path, "a data: URL; send its content as a source of the type 'base64'")
    return found
