"""Anthropic's events on their way to a client that reads the same format."""

import json
import re

from router_worker.vendors.anthropic.events import EventStream, Seen
from router_worker.vendors.json_fields import is_utf8, read_fields, to_raw, write_fields
from router_worker.vendors.vendor import VendorCall

# One piece of text, as nearly every read brings: it can hold no usage, no error and no end, and what the client gets of
# it is the same bytes. Escapes of code points are left to the long way.
_TEXT_EVENT = re.compile(
    rb'event: content_block_delta\ndata: \{"type": ?"content_block_delta", ?"index": ?\d+, ?'
    rb'"delta": ?\{"type": ?"text_delta", ?"text": ?"'
    rb'(?P<text>[^"\\\x00-\x1f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f]*)*)"\} *\}\n\n'
)
_BEGINNINGS = ("content_block_start", "content_block_delta", "message_delta", "message_stop")


class AnthropicStream(EventStream):
    """Implements `vendor.StreamParser`.

    `message_start` is held back until the answer begins: an overload is often told right after it, and then another
    route may still be tried.
    """

    def __init__(self, call: VendorCall) -> None:
        super().__init__()
        self._call = call
        self._held: list[bytes] = []
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        if self._begun and not self.buffered_bytes and not self.ended:
            found = _TEXT_EVENT.fullmatch(data)
            if found is not None and is_utf8(data):
                self.chunks += 1
                self.output_bytes += len(found["text"])
                return data
        return self._pass_on(self.read(data))

    def finish(self) -> bytes:
        return self._pass_on(self.read_rest())

    def _pass_on(self, seen: list[Seen]) -> bytes:
        for event, payload in seen:
            if event.type == "ping" and not self._begun:
                continue
            self._begun = self._begun or event.type in _BEGINNINGS
            if event.type == "message_start":
                payload = _with_model(payload, self._call.model_id)
            name = event.type.replace("\n", " ").encode(errors="replace")
            # Data over several lines has its line ends between its fields: in a string they would be no JSON.
            self._held.append(b"event: " + name + b"\ndata: " + payload.replace(b"\n", b" ") + b"\n\n")
        if not self._begun:
            return b""
        output = b"".join(self._held)
        self._held.clear()
        return output


def _with_model(payload: bytes, model: str) -> bytes:
    """`message_start` with the model's name as the client knows it, and all else as it was."""
    fields = read_fields(payload)
    message = None if fields is None else read_fields(bytes(fields.get("message", b"")))
    if fields is not None and message is not None:
        if "model" not in message:
            return payload
        message["model"] = to_raw(model)
        fields["message"] = to_raw(message)
        return write_fields(fields)
    try:
        value = json.loads(payload)
        value["message"]["model"] = model
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return payload
