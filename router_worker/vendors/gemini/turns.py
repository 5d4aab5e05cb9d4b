"""The conversation for Gemini: contents of the roles user and model, taking turns. Format: Gemini API reference.

Tool results stand in a user's turn. Reasoning of other vendors is left out: a vendor accepts only its own.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router_worker.canonical.request import (
    AssistantPart,
    ChatRequest,
    Document,
    Image,
    Inline,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
    UserPart,
)
from router_worker.vendors.gemini.models import Traits
from router_worker.vendors.gemini.signature import NO_SIGNATURE
from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

Part = dict[str, Any]

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}


class CannotSay(Exception):
    """Carries the Failure from wherever it was found up to `build`."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field)
        self.failure: Failure = cannot_say(field, why)


def contents(request: ChatRequest, traits: Traits) -> list[Part]:
    """Raises CannotSay."""
    turns: list[Part] = []
    for message in request.messages:
        if isinstance(message, UserMessage):
            role, parts = "user", _user_parts(message.parts, traits)
        else:
            role, parts = "model", [written for part in message.parts for written in _model_part(part)]
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    if not turns:
        raise CannotSay("messages", "Gemini needs one besides the instructions")
    for turn in turns:
        # Answers to calls must come before anything else, also where neighbours were joined.
        turn["parts"].sort(key=lambda part: turn["role"] == "user" and not _belongs_to_results(part))
        if traits.is_third_generation and turn["role"] == "model":
            _sign_first_call(turn["parts"])
        for part in turn["parts"]:
            part.pop(_OF_RESULT, None)
    return turns


_OF_RESULT = "of a tool's result"


def _belongs_to_results(part: Part) -> bool:
    return "functionResponse" in part or _OF_RESULT in part


def _sign_first_call(parts: list[Part]) -> None:
    """Of calls made together only the first has a signature."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", NO_SIGNATURE)


def _user_parts(parts: Sequence[UserPart], traits: Traits) -> list[Part]:
    written: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            written += _result(part, traits)
        elif isinstance(part, Text):
            if part.text:
                written.append({"text": part.text})
        else:
            written.append(_media(part))
    return written


def _model_part(part: AssistantPart) -> Iterator[Part]:
    if isinstance(part, Text):
        if part.text:
            yield {"text": part.text}
    elif isinstance(part, ToolCall):
        yield _call(part)
    elif part.made_by == "gemini" and part.encrypted is None:
        yield _thought(part)


def _thought(thinking: Thinking) -> Part:
    part: Part = {"text": thinking.text, "thought": True}
    return part if thinking.signature is None else {**part, "thoughtSignature": thinking.signature}


def _call(call: ToolCall) -> Part:
    arguments = msgspec.Raw(call.arguments.encode())
    if read_fields(bytes(arguments)) is None:
        raise CannotSay("tool call arguments", f"those of a call of '{call.name}' are not a JSON object")
    part: Part = {"functionCall": {"id": call.call_id, "name": call.name, "args": arguments}}
    return part if call.signature is None else {**part, "thoughtSignature": call.signature}


def _result(result: ToolResult, traits: Traits) -> list[Part]:
    """`output` and `error` are Google's own words for what a function gave back. Media stand inside the result where
    the model takes that, else right behind it."""
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    media = [_media(part) for part in result.parts if not isinstance(part, Text)]
    response: Part = {
        "id": result.call_id,
        "name": result.name,
        "response": {"error" if result.is_error else "output": text},
    }
    if media and traits.is_third_generation:
        response["parts"] = media
        media = []
    return [{"functionResponse": response}, *({**part, _OF_RESULT: True} for part in media)]


def _media(part: Image | Document) -> Part:
    source = part.source
    if isinstance(source, Inline):
        return {"inlineData": {"mimeType": source.media_type, "data": source.data}}
    kind = "image" if isinstance(part, Image) else "document"
    media_type = source.media_type or _type_of_address(source.url)
    if media_type is None:
        raise CannotSay(f"{kind} URL", "Gemini must be told the media type, and the address does not end in one")
    return {"fileData": {"mimeType": media_type, "fileUri": source.url}}


def _type_of_address(url: str) -> str | None:
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower())
