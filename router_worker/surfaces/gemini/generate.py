"""Gemini's generateContent at the worker. Format: Gemini API reference.

Little is looked at here: the rest of the body is the vendor's to judge, or is read when it must be said in another
format (`gemini_request`).
"""

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Answer
from router_worker.surfaces.gemini.answer import GeminiWriter, answer_body
from router_worker.surfaces.gemini.names import Shape
from router_worker.surfaces.gemini.request import read_chat_request
from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.surface import Reading
from router_worker.vendors.json_fields import NULL
from router_worker.vendors.vendor import VendorCall
from schemas.catalogue import Capability
from schemas.failures import Failure, FailureKind

# Parsers recurse, as deep as the stack of that moment allows. What is let through here must pass every later parser.
MAX_DEPTH = 200

_ABSENT = msgspec.Raw(NULL)


class _Media(msgspec.Struct, rename="camel"):
    mime_type: str | None = None


class _FunctionResponse(msgspec.Struct):
    parts: "list[_ResponsePart] | None" = None


class _ResponsePart(msgspec.Struct, rename="camel"):
    inline_data: _Media | None = None
    file_data: _Media | None = None


class _Part(msgspec.Struct, rename="camel"):
    inline_data: _Media | None = None
    file_data: _Media | None = None
    function_response: _FunctionResponse | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Tool(msgspec.Struct, rename="camel"):
    """With a field for each of Google's own tools that may stand beside functions."""

    function_declarations: list[msgspec.Raw] | None = None
    google_search: msgspec.Raw = _ABSENT
    google_search_retrieval: msgspec.Raw = _ABSENT
    google_maps: msgspec.Raw = _ABSENT
    enterprise_web_search: msgspec.Raw = _ABSENT
    url_context: msgspec.Raw = _ABSENT
    file_search: msgspec.Raw = _ABSENT
    code_execution: msgspec.Raw = _ABSENT
    computer_use: msgspec.Raw = _ABSENT

    @property
    def is_googles(self) -> bool:
        names = (name for name in self.__struct_fields__ if name != "function_declarations")
        return not self.function_declarations or any(bytes(getattr(self, name)) != NULL for name in names)


class _Calling(msgspec.Struct):
    mode: str | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: _Calling | None = None


class _GenerationConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: Annotated[int, Meta(ge=0)] | None = None
    candidate_count: Annotated[int, Meta(ge=1, le=8)] | None = None
    response_schema: msgspec.Raw = _ABSENT
    response_json_schema: msgspec.Raw = _ABSENT


class _Request(msgspec.Struct, rename="camel"):
    contents: list[_Content] = []
    tools: list[_Tool] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _GenerationConfig | None = None
    cached_content: msgspec.Raw = _ABSENT

    @property
    def adds_of_its_own(self) -> bool:
        """Google puts in what is not in the body: a stored prompt, or what its own tools find."""
        return bytes(self.cached_content) != NULL or any(tool.is_googles for tool in self.tools or ())


_REQUEST = Shape(_Request)
_NO_CONFIG = _GenerationConfig()


class GeminiGenerate:
    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        try:
            # Not all of the body is looked at below, but a vendor reads all of it, and JSON is UTF-8.
            body.decode()
        except UnicodeDecodeError:
            return Failure(kind=FailureKind.INVALID_JSON)
        request = _REQUEST.decode(body)
        if isinstance(request, Failure):
            return request
        if is_deeper_than(MAX_DEPTH, body):
            return Failure(kind=FailureKind.INVALID_REQUEST, message=f"The body is nested more than {MAX_DEPTH} deep.")
        config = request.generation_config or _NO_CONFIG
        media = _media_types(request)
        return Reading(
            streaming=streaming,
            canonical=partial(read_chat_request, body, streaming=streaming),
            needs=_needs(request, config, media, streaming=streaming),
            wants_usage=True,
            choices=config.candidate_count or 1,
            max_output_tokens=config.max_output_tokens,
            has_media=bool(media) or request.adds_of_its_own,
        )

    def write_answer(self, answer: Answer, call: VendorCall) -> bytes:
        return answer_body(answer, call)

    def open_writer(self, call: VendorCall) -> GeminiWriter:
        return GeminiWriter(call)


def _needs(request: _Request, config: _GenerationConfig, media: set[str], *, streaming: bool) -> frozenset[Capability]:
    """What the catalogue has no word for (sound, say, or Google's own tools) is the vendor's to refuse."""
    needs: set[Capability] = set()
    if streaming:
        needs.add("streaming")
    if any(tool.function_declarations for tool in request.tools or ()):
        needs.add("tools")
        calling = request.tool_config.function_calling_config if request.tool_config is not None else None
        if calling is not None and calling.mode == "ANY":
            needs.add("tool_choice")
    if bytes(config.response_schema) != NULL or bytes(config.response_json_schema) != NULL:
        needs.add("structured_output")
    if any(kind.startswith("image/") for kind in media):
        needs.add("vision")
    if any(kind == "application/pdf" or kind.startswith("text/") for kind in media):
        needs.add("documents")
    return frozenset(needs)


def _media_types(request: _Request) -> set[str]:
    found: set[str] = set()
    for content in request.contents:
        for part in content.parts or ():
            inner = part.function_response.parts if part.function_response is not None else None
            for holder in (part, *(inner or ())):
                for media in (holder.inline_data, holder.file_data):
                    if media is not None:
                        found.add((media.mime_type or "").lower())
    return found
