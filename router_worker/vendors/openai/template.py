"""The short way for a stream's chunks.

Most chunks of a stream differ only in a piece of text. One such chunk, read whole, gives a template: the bytes before
the text and those after it. A chunk with the same bytes around a string without quotes has the same structure, so
it needs no parsing: it can hold no usage, no error and no end that the first one did not hold.
"""

import re

import msgspec

from router_worker.vendors.json_fields import is_utf8

_MODEL_KEY = re.compile(rb'"model"\s*:\s*')
_TEXT = re.compile(rb'[^"\\\x00-\x1f]*(?:\\(?:[\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')


class Template:
    __slots__ = ("_after", "_after_for_client", "_before", "_before_for_client", "overhead_bytes")

    def __init__(self, before: bytes, after: bytes, before_for_client: bytes, after_for_client: bytes) -> None:
        self._before = before
        self._after = after
        self._before_for_client = b"data: " + before_for_client
        self._after_for_client = after_for_client + b"\n\n"
        self.overhead_bytes = len(before) + len(after)

    def fits(self, payload: bytes) -> bool:
        """The text must be the inside of a JSON string without any quote: then it cannot end before `after`, nor reach
        into it, and what the client gets of it is JSON."""
        start, end = len(self._before), len(payload) - len(self._after)
        return (
            end >= start
            and payload.startswith(self._before)
            and payload.endswith(self._after)
            and _TEXT.fullmatch(payload, start, end) is not None
            and is_utf8(payload)
        )

    def for_client(self, payload: bytes) -> bytes:
        text = payload[len(self._before) : len(payload) - len(self._after)]
        return b"".join((self._before_for_client, text, self._after_for_client))


def learn(payload: bytes, text: bytes, vendor_model: msgspec.Raw | None, client_model: msgspec.Raw) -> Template | None:
    """A template of a chunk whose only generated string is `text` (in JSON, with its quotes).

    None when bytes alone do not say which is the text or the model: when either stands in the chunk more than once.
    """
    if payload.count(text) != 1:
        return None
    position = payload.index(text)
    before, after = payload[: position + 1], payload[position + len(text) - 1 :]
    if vendor_model is None or bytes(vendor_model) == bytes(client_model):
        return Template(before, after, before, after)
    if payload.count(b'"model"') != 1:
        return None
    old, new = bytes(vendor_model), bytes(client_model)
    return Template(before, after, _with_model(before, old, new), _with_model(after, old, new))


def _with_model(part: bytes, old: bytes, new: bytes) -> bytes:
    found = _MODEL_KEY.search(part)
    if found is None or not part.startswith(old, found.end()):
        return part
    return part[: found.end()] + new + part[found.end() + len(old) :]
