"""Ids of tool calls for a vendor that takes only nine letters or digits (Mistral).

Such a vendor's own ids fit and stay, so they go to the client and come back as they are. An id of another vendor's, in
the history of a conversation, becomes the same nine characters wherever it stands.
"""

import hashlib
import re
import string

import msgspec

from router_worker.vendors.json_fields import Fields, to_raw, write_fields

_FITS = re.compile(r"[a-zA-Z0-9]{9}")
_ALPHABET = string.ascii_letters + string.digits

_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(Fields)
_CALLS = msgspec.json.Decoder(list[Fields])
_TEXT = msgspec.json.Decoder(str)


def short_call_id(call_id: str) -> str:
    if _FITS.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode(errors="replace")).digest()[:8])
    letters = []
    for _ in range(9):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)


def with_short_call_ids(messages: msgspec.Raw) -> msgspec.Raw:
    """A client's `messages`, every other byte of a message untouched. What is not as documented is left alone: the
    vendor says best what it thinks of it."""
    if b'"tool_call' not in bytes(messages):
        return messages
    try:
        return to_raw([_with_short_ids(message) for message in _MESSAGES.decode(messages)])
    except msgspec.DecodeError:
        return messages


def _with_short_ids(message: msgspec.Raw) -> msgspec.Raw:
    if b'"tool_call' not in bytes(message):
        return message
    fields = _FIELDS.decode(message)
    if "tool_call_id" in fields:
        fields["tool_call_id"] = _short(fields["tool_call_id"])
    if bytes(fields.get("tool_calls", b""))[:1] == b"[":
        calls = _CALLS.decode(fields["tool_calls"])
        for call in calls:
            if "id" in call:
                call["id"] = _short(call["id"])
        fields["tool_calls"] = to_raw(calls)
    return msgspec.Raw(write_fields(fields))


def _short(raw: msgspec.Raw) -> msgspec.Raw:
    return to_raw(short_call_id(_TEXT.decode(raw)))
