"""Anthropic's Messages and its token counting, the worker's side. The rest of a body is the vendor's to judge.

Format: Claude API reference, "Messages" and "Count tokens in a Message".
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Answer
from router_worker.canonical.request import ChatRequest
from router_worker.surfaces.anthropic.reading import read_canonical
from router_worker.surfaces.anthropic.writing import MessageWriter, message_body
from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.surface import Reading
from router_worker.surfaces.typed_fields import BadFieldError, read_typed
from router_worker.vendors.vendor import VendorCall
from schemas.catalogue import Capability
from schemas.failures import Failure, FailureKind

# Parsers recurse, as deep as the stack of that moment allows. What is let through here must pass every later parser,
# so the limit is far below that: else a body could be made that passes here and fails where no failure is expected.
MAX_DEPTH = 200

_EMPTY = msgspec.Raw(b"null")


class _Typed(msgspec.Struct):
    type: str = ""


class _Tool(msgspec.Struct):
    type: str | None = None


class _Block(msgspec.Struct):
    """`content` of a tool's result holds blocks too, and so does the `source` of a document."""

    type: str = ""
    content: msgspec.Raw = _EMPTY
    source: msgspec.Raw = _EMPTY


class _Source(msgspec.Struct):
    content: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    content: msgspec.Raw = _EMPTY


class _OutputConfig(msgspec.Struct):
    format: _Typed | None = None


class _Request(msgspec.Struct):
    """Only what routing, capping and billing need. `null` counts as not given."""

    messages: list[_Message] = []
    stream: bool | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: _Typed | None = None
    output_config: _OutputConfig | None = None
    output_format: _Typed | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_BLOCKS = msgspec.json.Decoder(list[_Block])
_SOURCE = msgspec.json.Decoder(_Source)
_TOOL = msgspec.json.Decoder(_Tool)

_CAPABILITY_OF_BLOCK: dict[str, Capability] = {"image": "vision", "document": "documents"}
# Of any other block, also of one that Anthropic has yet to invent, the length of its JSON says nothing.
_AS_LONG_AS_WRITTEN = frozenset(
    {"text", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result", "server_tool_use"}
)
_OWN_TOOLS = (None, "", "custom")
_FREE_CHOICES = ("auto", "none")


class AnthropicMessages:
    """Implements `surface.ChatSurface`."""

    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        return _read(body, counting=False)

    def write_answer(self, answer: Answer, call: VendorCall) -> bytes:
        return message_body(answer, call)

    def open_writer(self, call: VendorCall) -> MessageWriter:
        return MessageWriter(call)


class AnthropicCountTokens:
    """Implements `surface.Surface`. Counting has no place in the canonical form: only vendors of this format do it."""

    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        return _read(body, counting=True)


def _read(body: bytes, *, counting: bool) -> Reading | Failure:
    try:
        # Not all of the body is looked at below, but a vendor reads all of it, and JSON is UTF-8.
        body.decode()
        request = read_typed(_REQUEST, body, "")
        if is_deeper_than(MAX_DEPTH, body):
            return Failure(kind=FailureKind.INVALID_REQUEST, message=f"The body is nested more than {MAX_DEPTH} deep.")
        types = frozenset(_block_types(request))
        tool_types = frozenset(_tool_types(request))
    except UnicodeDecodeError:
        return Failure(kind=FailureKind.INVALID_JSON)
    except BadFieldError as error:
        return error.failure
    needs: set[Capability] = {_CAPABILITY_OF_BLOCK[each] for each in types & _CAPABILITY_OF_BLOCK.keys()}
    # Anthropic's own tools come with instructions that are not in the body, and read more than that.
    has_media = not types <= _AS_LONG_AS_WRITTEN or not tool_types <= frozenset(_OWN_TOOLS)
    if request.tools:
        needs.add("tools")
    if counting:
        return Reading(streaming=False, canonical=_cannot_count, needs=frozenset(needs), has_media=has_media, free=True)
    if request.stream:
        needs.add("streaming")
    if request.tools and request.tool_choice is not None and request.tool_choice.type not in _FREE_CHOICES:
        needs.add("tool_choice")
    if request.output_format is not None or (request.output_config is not None and request.output_config.format):
        needs.add("structured_output")

    def canonical() -> ChatRequest | Failure:
        return read_canonical(body)

    return Reading(
        streaming=request.stream is True,
        canonical=canonical,
        needs=frozenset(needs),
        wants_usage=True,
        max_output_tokens=request.max_tokens,
        has_media=has_media,
    )


def _cannot_count() -> Failure:
    return Failure(
        kind=FailureKind.INVALID_REQUEST,
        message="model: its tokens can be counted only by a vendor that speaks this API, and no route of it does.",
        param="model",
        code="unsupported_by_vendor",
    )


def _block_types(request: _Request) -> Iterator[str]:
    for number, message in enumerate(request.messages):
        yield from _types_in(message.content, f"messages[{number}].content")


def _tool_types(request: _Request) -> Iterator[str | None]:
    """Raises BadFieldError for a tool that is no object."""
    for number, tool in enumerate(request.tools or ()):
        yield read_typed(_TOOL, tool, f"tools[{number}]").type


def _types_in(content: msgspec.Raw, path: str) -> Iterator[str]:
    if bytes(content)[:1] != b"[":
        return
    for number, block in enumerate(read_typed(_BLOCKS, content, path)):
        yield block.type
        inside = f"{path}[{number}]"
        if block.type == "tool_result":
            yield from _types_in(block.content, f"{inside}.content")
        elif block.type == "document" and bytes(block.source)[:1] == b"{":
            source: Any = read_typed(_SOURCE, block.source, f"{inside}.source")
            yield from _types_in(source.content, f"{inside}.source.content")
