"""OpenAI's chat completions. Implements `surface.ChatSurface`.

Of a body only what routing needs is read here; all of it (`openai_chat_request`) only for a vendor of another format.
"""

import re
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Answer
from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.openai_chat.request import read_canonical
from router_worker.surfaces.openai_chat.writer import OpenAiChatWriter, write_completion
from router_worker.surfaces.surface import Reading
from router_worker.vendors.vendor import VendorCall
from schemas.catalogue import Capability
from schemas.failures import Failure, FailureKind

# Parsers recurse, as deep as the stack of that moment allows. What is let through here must pass every later parser,
# so the limit is far below that: else a body could be made that passes here and fails where no failure is expected.
MAX_DEPTH = 200

_EMPTY = msgspec.Raw(b"null")


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str = ""


_PARTS = msgspec.json.Decoder(list[_Part])


class _Message(msgspec.Struct, frozen=True):
    content: msgspec.Raw = _EMPTY

    def part_types(self) -> list[str]:
        """Raises ValidationError if the content is a list of something else than parts."""
        content = bytes(self.content)
        return [part.type for part in _PARTS.decode(content)] if content[:1] == b"[" else []


class _ResponseFormat(msgspec.Struct, frozen=True):
    type: str = ""


class _Body(msgspec.Struct, frozen=True):
    """`null` is what OpenAI takes it for: not given."""

    messages: tuple[_Message, ...] = ()
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    tools: tuple[msgspec.Raw, ...] | None = None
    tool_choice: msgspec.Raw = _EMPTY
    response_format: _ResponseFormat | None = None
    web_search_options: msgspec.Raw = _EMPTY


_BODY = msgspec.json.Decoder(_Body)
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")

_CAPABILITY_OF_PART: dict[str, Capability] = {"image_url": "vision", "file": "documents"}
_FREE_TOOL_CHOICES = (b"null", b'"auto"', b'"none"')


class OpenAiChat:
    def read(self, body: bytes, *, streaming: bool = False) -> Reading | Failure:
        """The body itself says whether to stream."""
        try:
            # Not all of the body is looked at below, but a vendor reads all of it, and JSON is UTF-8.
            body.decode()
            request = _BODY.decode(body)
        except msgspec.ValidationError as error:
            return _invalid(error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Failure(kind=FailureKind.INVALID_JSON)
        if is_deeper_than(MAX_DEPTH, body):
            return Failure(kind=FailureKind.INVALID_REQUEST, message=f"The body is nested more than {MAX_DEPTH} deep.")
        media: set[str] = set()
        for number, message in enumerate(request.messages):
            try:
                media.update(message.part_types())
            except msgspec.ValidationError as error:
                return _invalid(error, f"messages[{number}].content")
        media -= {"text", "refusal"}
        caps = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
        return Reading(
            streaming=request.stream is True,
            canonical=partial(read_canonical, body),
            needs=_needs(request, media),
            wants_usage=request.stream_options is not None and request.stream_options.include_usage is True,
            choices=request.n or 1,
            # The lower one if it gave both names.
            max_output_tokens=min(caps, default=None),
            # What the vendor finds in the web is read, and charged, like what the client wrote.
            has_media=bool(media) or bytes(request.web_search_options) != b"null",
        )

    def write_answer(self, answer: Answer, call: VendorCall) -> bytes:
        return write_completion(answer, call)

    def open_writer(self, call: VendorCall) -> OpenAiChatWriter:
        return OpenAiChatWriter(call)


def _needs(request: _Body, media: set[str]) -> frozenset[Capability]:
    """What the catalogue has no word for (audio, say) is the vendor's to refuse. An effort to think is only a wish, so
    a model that cannot think may answer it all the same."""
    needs: set[Capability] = set()
    if request.stream is True:
        needs.add("streaming")
    if request.tools:
        needs.add("tools")
        if bytes(request.tool_choice) not in _FREE_TOOL_CHOICES:
            needs.add("tool_choice")
    if request.response_format is not None and request.response_format.type == "json_schema":
        needs.add("structured_output")
    needs.update(_CAPABILITY_OF_PART[part] for part in media & _CAPABILITY_OF_PART.keys())
    return frozenset(needs)


def _invalid(error: msgspec.ValidationError, place: str = "") -> Failure:
    # msgspec's messages name types, bounds and the place, never a value of the client's.
    text = str(error)
    found = _PATH.search(text)
    path = place + (found["path"] if found else "")
    message = text[: found.start()] if found else text
    return Failure(
        kind=FailureKind.INVALID_REQUEST, message=f"{path}: {message}" if path else message, param=path or None
    )
