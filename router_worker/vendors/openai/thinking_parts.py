"""Thoughts of a vendor that writes them as parts of `content` (Mistral), for clients of Chat Completions, where it is a
text: they get `reasoning_content`, as from other vendors, and what they send back becomes parts again.

Format: Mistral API reference, "Reasoning": {"type": "thinking", "thinking": [{"type": "text", "text": ...}]}.
"""

from typing import Any

import msgspec

from router_worker.vendors.json_fields import NULL, Fields, read_fields, to_raw, write_fields

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_THOUGHTS = "reasoning_content"
_DETAILS = "reasoning_details"
_ABSENT = msgspec.Raw(NULL)


def with_plain_thoughts(data: bytes, holder: str) -> bytes:
    """An answer (holder "message") or a chunk of a stream ("delta"). What has no such parts stays, byte for byte.

    Raises msgspec.DecodeError if it is not JSON.
    """
    fields = read_fields(data) if b'"thinking"' in data else None
    if fields is None or bytes(fields.get("choices", _ABSENT))[:1] != b"[":
        return data
    fields["choices"] = to_raw([_plain_choice(choice, holder) for choice in _LIST.decode(fields["choices"])])
    return write_fields(fields)


def with_thinking_parts(messages: msgspec.Raw) -> msgspec.Raw:
    """A client's `messages`. What is not as documented is left alone: the vendor says best what it thinks of it."""
    if b'"reasoning_' not in bytes(messages):
        return messages
    try:
        return to_raw([_with_parts(message) for message in _LIST.decode(messages)])
    except msgspec.DecodeError:
        return messages


def _plain_choice(choice: msgspec.Raw, holder: str) -> msgspec.Raw:
    fields = read_fields(bytes(choice)) or {}
    message = read_fields(bytes(fields.get(holder, _ABSENT)))
    if message is None or bytes(message.get("content", _ABSENT))[:1] != b"[":
        return choice
    parts = [part for part in _ANY.decode(message["content"]) if isinstance(part, dict)]
    texts = [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]
    thoughts = [text for part in parts if part.get("type") == "thinking" for text in _texts(part.get("thinking"))]
    message["content"] = to_raw("".join(texts)) if texts else _ABSENT
    if thoughts:
        message[_THOUGHTS] = to_raw("".join(thoughts))
    fields[holder] = msgspec.Raw(write_fields(message))
    return msgspec.Raw(write_fields(fields))


def _texts(thinking: Any) -> list[str]:
    pieces = thinking if isinstance(thinking, list) else [{"text": thinking}]
    found = [piece.get("text") for piece in pieces if isinstance(piece, dict)]
    return [text for text in found if isinstance(text, str)]


def _with_parts(message: msgspec.Raw) -> msgspec.Raw:
    fields: Fields | None = read_fields(bytes(message)) if b'"reasoning_' in bytes(message) else None
    if fields is None or not fields.keys() & {_THOUGHTS, _DETAILS}:
        return message
    fields.pop(_DETAILS, None)  # the same once more, for vendors that sign their thoughts; this one does not
    thought = _ANY.decode(fields.pop(_THOUGHTS, _ABSENT))
    if isinstance(thought, str) and thought:
        parts: list[Any] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]
        content = _ANY.decode(fields.get("content", _ABSENT))
        if isinstance(content, str) and content:
            parts.append({"type": "text", "text": content})
        elif isinstance(content, list):
            parts += content
        fields["content"] = to_raw(parts)
    return msgspec.Raw(write_fields(fields))
