"""The messages of a Converse request.

Converse wants the roles in turn, beginning with the user, and refuses blank text: neighbours of one role are joined,
and blank texts, which say nothing, are left out.
"""

import base64
import binascii
import re
from hashlib import sha256

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
    Url,
    UserMessage,
    UserPart,
)
from router_worker.vendors.bedrock.models import ModelTraits
from router_worker.vendors.bedrock.notes import Block, CannotSay, Notes, mark_of

IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
MAX_NAME_CHARACTERS = 200

_TOOL_USE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_IN_DOCUMENT_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class MessageWriter:
    """One request's messages. Documents need names that differ, so it remembers those it gave."""

    def __init__(self, traits: ModelTraits, notes: Notes) -> None:
        self._traits = traits
        self._notes = notes
        self._names: dict[str, int] = {}

    def write(self, request: ChatRequest) -> list[Block]:
        turns: list[Block] = []
        for message in request.messages:
            role = "user" if isinstance(message, UserMessage) else "assistant"
            joined = bool(turns) and turns[-1]["role"] == role
            blocks: list[Block] = turns[-1]["content"] if joined else []
            for part in message.parts:
                self._part(part, blocks)
                self._notes.cache(blocks, mark_of(part), "messages")
            if blocks and not joined:
                turns.append({"role": role, "content": blocks})
        if not turns or turns[0]["role"] != "user":
            raise CannotSay("messages", "on Bedrock a conversation must begin with a user message that is not empty")
        for turn in turns:
            if any("document" in block for block in turn["content"]) and not any(
                "text" in block for block in turn["content"]
            ):
                raise CannotSay("document", "Bedrock takes a document only beside a text in the same message")
        return turns

    def _part(self, part: UserPart | AssistantPart, blocks: list[Block]) -> None:
        match part:
            case Text(text=text):
                if text.strip():
                    blocks.append({"text": text})
            case Image():
                blocks.append(self._image(part))
            case Document():
                blocks.append(self._document(part))
            case ToolCall():
                blocks.append(_tool_use(part))
            case ToolResult():
                blocks.append(self._tool_result(part))
            case Thinking():
                self._thinking(part, blocks)

    def _image(self, image: Image) -> Block:
        if image.detail in ("low", "high"):
            self._notes.drop("detail")
        source = _inline(image.source, "image URL")
        if source.media_type not in IMAGE_FORMATS:
            raise CannotSay("image", f"Bedrock takes no images of type {source.media_type}")
        return {"image": {"format": IMAGE_FORMATS[source.media_type], "source": {"bytes": source.data}}}

    def _document(self, document: Document) -> Block:
        source = _inline(document.source, "document URL")
        media_type = source.media_type.partition(";")[0].strip()
        if media_type not in DOCUMENT_FORMATS:
            raise CannotSay("document", f"Bedrock takes no documents of type {media_type}")
        name = self._document_name(document.name)
        return {"document": {"format": DOCUMENT_FORMATS[media_type], "name": name, "source": {"bytes": source.data}}}

    def _document_name(self, given: str | None) -> str:
        """In the few characters that Bedrock takes, and given only once."""
        plain = _NOT_IN_DOCUMENT_NAMES.sub(" ", given or "").strip()[: MAX_NAME_CHARACTERS - 10].strip() or "document"
        number = self._names.get(plain, 0) + 1
        name = plain if number == 1 else f"{plain} ({number})"
        while name in self._names:
            number += 1
            name = f"{plain} ({number})"
        # Where to go on, or as many documents of one name would take that many steps each.
        self._names[plain] = number
        self._names.setdefault(name, 1)
        return name

    def _tool_result(self, result: ToolResult) -> Block:
        content: list[Block] = []
        for part in result.parts:
            self._part(part, content)
        block: Block = {"toolUseId": tool_use_id(result.call_id), "content": content}
        if result.is_error:
            if self._traits.result_status:
                block["status"] = "error"
            else:
                self._notes.drop("is_error")
        return {"toolResult": block}

    def _thinking(self, thought: Thinking, blocks: list[Block]) -> None:
        """Claude takes back only what is signed, but then wherever it ran: its signatures hold on every platform."""
        claude = self._traits.family == "claude"
        known = thought.made_by == "bedrock" or (claude and thought.made_by == "anthropic")
        if known and thought.encrypted is not None and _is_base64(thought.encrypted):
            blocks.append({"reasoningContent": {"redactedContent": thought.encrypted}})
        elif known and (thought.signature is not None or (self._traits.family == "nova" and thought.text)):
            text = {"text": thought.text}
            if thought.signature is not None:
                text["signature"] = thought.signature
            blocks.append({"reasoningContent": {"reasoningText": text}})
        else:
            self._notes.drop("thinking")


def tool_use_id(call_id: str) -> str:
    """Ids of other vendors' making may hold what Bedrock refuses; the same one is always replaced in the same way."""
    if _TOOL_USE_ID.fullmatch(call_id):
        return call_id
    return "call_" + sha256(call_id.encode()).hexdigest()[:40]


def checked_tool_name(name: str) -> str:
    if not _TOOL_NAME.fullmatch(name):
        raise CannotSay("tool name", "Bedrock takes 1 to 64 letters, digits, '_' and '-'")
    return name


def _tool_use(call: ToolCall) -> Block:
    arguments = call.arguments.strip() or "{}"
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise CannotSay("tool call arguments", "Bedrock takes only a JSON object") from None
    name = checked_tool_name(call.name)
    return {"toolUse": {"toolUseId": tool_use_id(call.call_id), "name": name, "input": msgspec.Raw(arguments.encode())}}


def _inline(source: Inline | Url, field: str) -> Inline:
    if isinstance(source, Url):
        raise CannotSay(field, "Bedrock does not fetch URLs; send the content itself, in base64")
    return source


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
