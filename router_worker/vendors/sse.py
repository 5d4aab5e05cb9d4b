"""Server-sent events out of bytes that may be cut anywhere. https://html.spec.whatwg.org/multipage/server-sent-events.html

Two liberties, because vendors take them: an event that the end of the stream cuts off is given out by `rest`, and the
BOM is dropped wherever the first bytes are cut.
"""

_BOM = b"\xef\xbb\xbf"


class SseReader:
    """Gives out (event name, data); comments, ids, retries and events without data are passed over."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at_start = True
        self._after_cr = False

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        # One whole event with `\n` line ends, as nearly every read brings.
        if not self._buffer and not self._at_start and not self._after_cr and data.endswith(b"\n\n"):
            body = data[6:-2]
            if data.startswith(b"data: ") and b"\n" not in body and b"\r" not in body:
                return [(b"", body)]
        if self._at_start:
            data = self._buffer + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._buffer = data
                return []
            self._at_start = False
            self._buffer = b""
            data = data.removeprefix(_BOM)
        data = self._with_line_feeds(data)
        # Only the new bytes are searched, so that a huge event in small pieces is not searched over and over.
        if b"\n\n" not in data and not (self._buffer[-1:] == b"\n" == data[:1]):
            self._buffer += data
            return []
        *blocks, self._buffer = (self._buffer + data).split(b"\n\n")
        return [event for event in map(_read_block, blocks) if event is not None]

    def rest(self) -> tuple[bytes, bytes] | None:
        """The last event, if the stream ended without the empty line after it. Whether it is whole, nobody knows."""
        block, self._buffer = self._buffer, b""
        return _read_block(block)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """CRLF and CR as LF. A CR at the end is an LF at once; the LF that may follow it is then swallowed."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data


def _read_block(block: bytes) -> tuple[bytes, bytes] | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return b"", block[6:]
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return (name, b"\n".join(data)) if data else None
