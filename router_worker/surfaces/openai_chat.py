"""What a worker reads from the body of an OpenAI chat request. The rest of the body is the vendor's to judge."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.planner import PlanRequest
from router_worker.surfaces.json_depth import is_deeper_than
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


class ChatRequest(msgspec.Struct, frozen=True):
    """Only what routing, capping and billing need. `null` is what OpenAI takes it for: not given."""

    messages: tuple[_Message, ...] = ()
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    tools: tuple[msgspec.Raw, ...] | None = None
    tool_choice: msgspec.Raw = _EMPTY
    response_format: _ResponseFormat | None = None
    zero_data_retention: bool | None = None

    @property
    def streaming(self) -> bool:
        return self.stream is True

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage is True

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def max_output_tokens(self) -> int | None:
        """The client's own cap per choice; the lower one if it gave both names."""
        given = [cap for cap in (self.max_tokens, self.max_completion_tokens) if cap is not None]
        return min(given, default=None)

    def media_types(self) -> frozenset[str]:
        """The types of content parts that are not text: "image_url", "file", "input_audio", or whatever was written."""
        types: set[str] = set()
        for message in self.messages:
            types.update(message.part_types())
        return frozenset(types - {"text", "refusal"})


_REQUEST = msgspec.json.Decoder(ChatRequest)
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")

_CAPABILITY_OF_PART: dict[str, Capability] = {"image_url": "vision", "file": "documents"}
_FREE_TOOL_CHOICES = (b"null", b'"auto"', b'"none"')


def read_chat_request(body: bytes) -> ChatRequest | Failure:
    """INVALID_JSON or INVALID_REQUEST, the latter with the field at fault in `param`."""
    try:
        # Not all of the body is looked at below, but a vendor reads all of it, and JSON is UTF-8.
        body.decode()
        request = _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        return _invalid(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure(kind=FailureKind.INVALID_JSON)
    if is_deeper_than(MAX_DEPTH, body):
        return Failure(kind=FailureKind.INVALID_REQUEST, message=f"The body is nested more than {MAX_DEPTH} deep.")
    for number, message in enumerate(request.messages):
        try:
            message.part_types()
        except msgspec.ValidationError as error:
            return _invalid(error, f"messages[{number}].content")
    return request


def plan_request(request: ChatRequest) -> PlanRequest:
    """What the request needs of a route. What the catalogue has no word for (audio, say) is the vendor's to refuse."""
    needs: set[Capability] = set()
    if request.streaming:
        needs.add("streaming")
    if request.tools:
        needs.add("tools")
        if bytes(request.tool_choice) not in _FREE_TOOL_CHOICES:
            needs.add("tool_choice")
    if request.response_format is not None and request.response_format.type == "json_schema":
        needs.add("structured_output")
    needs.update(_CAPABILITY_OF_PART[part] for part in request.media_types() & _CAPABILITY_OF_PART.keys())
    return PlanRequest(needs=frozenset(needs), zero_data_retention=request.zero_data_retention is True)


def _invalid(error: msgspec.ValidationError, place: str = "") -> Failure:
    # msgspec's messages name types, bounds and the place, never a value of the client's.
    text = str(error)
    found = _PATH.search(text)
    path = place + (found["path"] if found else "")
    message = text[: found.start()] if found else text
    return Failure(
        kind=FailureKind.INVALID_REQUEST, message=f"{path}: {message}" if path else message, param=path or None
    )
