"""A canonical conversation as Anthropic's messages. Source: Claude API reference, "Messages" (input messages).

Neighbours of one role become one message, and tool results stand first in theirs: Anthropic wants the results right
after the calls. Texts of nothing but white space are left out where something else stands beside them, since
Anthropic refuses them. Thoughts go along only if Claude made them and it may think now; others are named in `dropped`.
"""

import base64
import binascii
import re
import zlib
from itertools import groupby
from typing import Any

import msgspec

from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Ttl,
    Url,
    UserPart,
)
from router_worker.vendors.anthropic.thinking import is_claudes
from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")

Json = dict[str, Any]


class Unsayable(Exception):
    """Raised and caught within the building of one request."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field)
        self.failure: Failure = cannot_say(field, why)


class Conversation:
    """Raises Unsayable. `dropped` fills while it is read."""

    def __init__(self, *, thinks: bool) -> None:
        self._thinks = thinks
        self.dropped: dict[str, None] = {}

    def system(self, request: ChatRequest) -> list[Json]:
        return [_text(part) for part in request.system if part.text.strip()]

    def messages(self, messages: tuple[Message, ...]) -> list[Json]:
        out: list[Json] = []
        for is_assistant, neighbours in groupby(messages, key=lambda message: isinstance(message, AssistantMessage)):
            blocks = [block for message in neighbours for block in self._blocks(message)]
            role = "assistant" if is_assistant else "user"
            if not is_assistant:
                blocks.sort(key=lambda block: block["type"] != "tool_result")
            said = [block for block in blocks if block["type"] != "text" or block["text"].strip()]
            if said or not is_assistant:
                out.append({"role": role, "content": said or blocks})
        return out

    def _blocks(self, message: Message) -> list[Json]:
        if not isinstance(message, AssistantMessage):
            return [self._user_block(part) for part in message.parts]
        blocks: list[Json] = []
        for part in message.parts:
            if isinstance(part, Text):
                blocks.append(_text(part))
            elif isinstance(part, ToolCall):
                blocks.append(_call(part))
            else:
                blocks += self._thought(part)
        return blocks

    def _thought(self, part: Thinking) -> list[Json]:
        if not is_claudes(part):
            self.dropped["thinking"] = None
            return []
        if not self._thinks:
            return []
        if part.encrypted is not None:
            return [{"type": "redacted_thinking", "data": part.encrypted}]
        return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]

    def _user_block(self, part: UserPart) -> Json:
        if isinstance(part, Text):
            return _text(part)
        if isinstance(part, Image):
            return self._image(part)
        if isinstance(part, Document):
            return _document(part)
        return self._result(part)

    def _result(self, part: ToolResult) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": _call_id(part.call_id)}
        inner = [self._user_block(each) for each in part.parts]
        block["content"] = [each for each in inner if each["type"] != "text" or each["text"].strip()]
        if part.is_error:
            block["is_error"] = True
        return _cached(block, part.cache)

    def _image(self, part: Image) -> Json:
        if part.detail not in (None, "auto"):
            self.dropped["detail"] = None
        source = part.source
        if isinstance(source, Inline):
            if source.media_type not in IMAGE_TYPES:
                raise Unsayable("image", f"Anthropic takes {', '.join(IMAGE_TYPES)}, not {source.media_type[:64]}.")
            told: Json = {"type": "base64", "media_type": source.media_type, "data": source.data}
        else:
            told = _url(source)
        return _cached({"type": "image", "source": told}, part.cache)


def cache_mark(ttl: Ttl) -> Json:
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}


def _cached(block: Json, ttl: Ttl | None) -> Json:
    if ttl is not None:
        block["cache_control"] = cache_mark(ttl)
    return block


def _text(part: Text) -> Json:
    return _cached({"type": "text", "text": part.text}, part.cache)


def _call(part: ToolCall) -> Json:
    arguments = part.arguments.strip() or "{}"
    if read_fields(arguments.encode(errors="replace")) is None:
        raise Unsayable("tool call arguments", f"those of '{part.name[:64]}' are not a JSON object.")
    block = {"type": "tool_use", "id": _call_id(part.call_id), "name": part.name, "input": msgspec.Raw(arguments)}
    return _cached(block, part.cache)


def _call_id(call_id: str) -> str:
    """Anthropic refuses ids with other characters, which some vendors write ("functions.weather:0")."""
    if _CALL_ID.fullmatch(call_id):
        return call_id
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', call_id)}_{zlib.crc32(call_id.encode(errors='replace')):08x}"


def _document(part: Document) -> Json:
    source = part.source
    if not isinstance(source, Inline):
        told = _url(source)
    elif source.media_type == "application/pdf":
        told = {"type": "base64", "media_type": source.media_type, "data": source.data}
    elif source.media_type.startswith("text/"):
        told = {"type": "text", "media_type": "text/plain", "data": _decoded(source.data)}
    else:
        raise Unsayable("document", f"Anthropic takes PDF and plain text, not {source.media_type[:64]}.")
    block: Json = {"type": "document", "source": told}
    if part.name is not None:
        block["title"] = part.name
    return _cached(block, part.cache)


def _url(source: Url) -> Json:
    if not source.url.lower().startswith("https://"):
        raise Unsayable("URL", "Anthropic fetches only https.")
    return {"type": "url", "url": source.url}


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unsayable("document", "its text is not in UTF-8.") from error
