"""OpenAI Responses at the worker: what routing needs of a body, and the way to and from the canonical form.

Nothing of a response is kept here, so each request holds its whole conversation.
"""

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import Answer
from router_worker.surfaces.json_depth import is_deeper_than
from router_worker.surfaces.openai_responses.items import NOT_STORED
from router_worker.surfaces.openai_responses.request import read_request
from router_worker.surfaces.openai_responses.stream import ResponsesWriter, whole_response
from router_worker.surfaces.surface import Reading
from router_worker.surfaces.typed_fields import BadFieldError, read_typed, wrong
from router_worker.vendors.vendor import VendorCall
from schemas.catalogue import Capability
from schemas.failures import Failure, FailureKind

# Parsers recurse, as deep as the stack of that moment allows; this is far below where any of them gives up.
MAX_DEPTH = 200

_NULL = msgspec.Raw(b"null")
_FREE_TOOL_CHOICES = (b"null", b'"auto"', b'"none"')
_CAPABILITY_OF_PART: dict[str, Capability] = {"input_image": "vision", "input_file": "documents"}
# Of anything else, also of what OpenAI has yet to invent, the length of its JSON says nothing.
_AS_LONG_AS_WRITTEN = frozenset(
    {"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"}
    | {
        "",
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
    }
)
_OWN_TOOLS = (None, "", "function", "custom")


class _Part(msgspec.Struct, frozen=True):
    type: str | None = None


class _Item(msgspec.Struct, frozen=True):
    type: str | None = None
    content: msgspec.Raw = _NULL
    output: msgspec.Raw = _NULL


class _Format(msgspec.Struct, frozen=True):
    type: str | None = None


class _Text(msgspec.Struct, frozen=True):
    format: _Format | None = None


class _Reasoning(msgspec.Struct, frozen=True):
    effort: str | None = None


class _Request(msgspec.Struct, frozen=True):
    input: msgspec.Raw = _NULL
    stream: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    tools: tuple[msgspec.Raw, ...] | None = None
    tool_choice: msgspec.Raw = _NULL
    text: _Text | None = None
    reasoning: _Reasoning | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_ITEMS = msgspec.json.Decoder(list[_Item])
_PARTS = msgspec.json.Decoder(list[_Part])
_TOOL = msgspec.json.Decoder(_Part)


class OpenAiResponses:
    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        try:
            # Not all of the body is looked at below, but a vendor reads all of it, and JSON is UTF-8.
            body.decode()
            request = read_typed(_REQUEST, body, "")
            if is_deeper_than(MAX_DEPTH, body):
                text = f"The body is nested more than {MAX_DEPTH} deep."
                return Failure(kind=FailureKind.INVALID_REQUEST, message=text)
            parts = _part_types(request.input)
            hosted = _runs_elsewhere(request)
        except UnicodeDecodeError:
            return Failure(kind=FailureKind.INVALID_JSON)
        except BadFieldError as bad:
            return bad.failure
        return Reading(
            streaming=request.stream is True,
            canonical=partial(read_request, body),
            needs=_needs(request, parts),
            wants_usage=True,
            max_output_tokens=request.max_output_tokens,
            has_media=hosted or not parts <= _AS_LONG_AS_WRITTEN,
        )

    def write_answer(self, answer: Answer, call: VendorCall) -> bytes:
        return whole_response(answer, call)

    def open_writer(self, call: VendorCall) -> ResponsesWriter:
        return ResponsesWriter(call)


def _part_types(raw: msgspec.Raw) -> set[str]:
    """The types of all items and content parts. Raises BadFieldError, also for what no route could take."""
    types: set[str] = set()
    if bytes(raw)[:1] != b"[":
        return types
    for number, item in enumerate(read_typed(_ITEMS, raw, "input")):
        if item.type == "item_reference":
            raise wrong(f"input[{number}].type", f"an item_reference points at a stored item, but {NOT_STORED}")
        types.add(item.type or "")
        for name, content in (("content", item.content), ("output", item.output)):
            if bytes(content)[:1] == b"[":
                parts = read_typed(_PARTS, content, f"input[{number}].{name}")
                types.update(part.type for part in parts if part.type is not None)
    return types


def _runs_elsewhere(request: _Request) -> bool:
    """Whether OpenAI runs a tool itself, which brings in what is not in the body. Raises BadFieldError."""
    tools = enumerate(request.tools or ())
    return any(read_typed(_TOOL, tool, f"tools[{number}]").type not in _OWN_TOOLS for number, tool in tools)


def _needs(request: _Request, parts: set[str]) -> frozenset[Capability]:
    needs: set[Capability] = {_CAPABILITY_OF_PART[part] for part in parts & _CAPABILITY_OF_PART.keys()}
    if request.stream:
        needs.add("streaming")
    if request.tools:
        needs.add("tools")
        if bytes(request.tool_choice) not in _FREE_TOOL_CHOICES:
            needs.add("tool_choice")
    if request.text is not None and request.text.format is not None and request.text.format.type == "json_schema":
        needs.add("structured_output")
    if request.reasoning is not None and request.reasoning.effort not in (None, "none"):
        needs.add("reasoning")
    return frozenset(needs)
