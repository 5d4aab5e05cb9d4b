"""The AWS event stream (`application/vnd.amazon.eventstream`): binary frames with two checksums each.

    total length u32 | headers length u32 | CRC-32 of these 8 bytes | headers | payload | CRC-32 of all before

Big-endian. A header is: name length u8, name, type u8, value. Source: the AWS event stream specification of Smithy.
"""

import struct
from dataclasses import dataclass
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

# The specification's limits. A length beyond them is taken for corruption, lest we wait for bytes that never come.
MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_FRAMING_BYTES = _PRELUDE.size + _CRC.size

_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_INTEGERS = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}

HeaderValue = bool | int | str | bytes
"""Type 8, a timestamp, is an int of unix ms; type 9, a UUID, its 16 bytes."""


@dataclass(frozen=True, slots=True)
class EventFrame:
    headers: dict[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str | None:
        """A header's value, if it is there and a string."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else None


class _Corrupt(Exception):
    pass


class EventStreamDecoder:
    """Frames out of bytes that are cut anywhere. The first fault is the end: what follows it cannot be trusted."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._total: int | None = None
        self._error: str | None = None

    @property
    def error(self) -> str | None:
        """What was wrong with the bytes. Once it is set, nothing more is decoded."""
        return self._error

    @property
    def inside_frame(self) -> bool:
        """Bytes of a frame that is not whole have come: at the end of a stream, it was cut off."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[EventFrame]:
        """The frames that are whole by now; those before a fault are still given."""
        frames: list[EventFrame] = []
        if self._error is not None:
            return frames
        self._buffer += data
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
        except _Corrupt as fault:
            self._error = str(fault)
            self._buffer.clear()
        return frames

    def _next(self) -> EventFrame | None:
        if self._total is None:
            if len(self._buffer) < _PRELUDE.size:
                return None
            self._total = _checked_total(self._buffer)
        if len(self._buffer) < self._total:
            return None
        frame = bytes(self._buffer[: self._total])
        del self._buffer[: self._total]
        self._total = None
        return _read_frame(frame)


def _checked_total(buffer: bytearray) -> int:
    total, headers_length, checksum = _PRELUDE.unpack_from(buffer)
    if crc32(buffer[: _PRELUDE.size - _CRC.size]) != checksum:
        raise _Corrupt("prelude checksum does not match")
    payload_length = total - headers_length - _FRAMING_BYTES
    if headers_length > MAX_HEADERS_BYTES or not 0 <= payload_length <= MAX_PAYLOAD_BYTES:
        raise _Corrupt("frame of impossible length")
    return int(total)


def _read_frame(frame: bytes) -> EventFrame:
    _, headers_length, _ = _PRELUDE.unpack_from(frame)
    (checksum,) = _CRC.unpack_from(frame, len(frame) - _CRC.size)
    if crc32(memoryview(frame)[: -_CRC.size]) != checksum:
        raise _Corrupt("message checksum does not match")
    headers_end = _PRELUDE.size + headers_length
    return EventFrame(_read_headers(frame[_PRELUDE.size : headers_end]), frame[headers_end : -_CRC.size])


def _read_headers(data: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(data):
            raw_name, at = _counted(data, at, 1)
            name = raw_name.decode()
            if name in headers:
                raise _Corrupt("a header twice")
            headers[name], at = _read_value(data, at)
    except UnicodeDecodeError:
        raise _Corrupt("header that is not UTF-8") from None
    except (IndexError, struct.error):
        raise _Corrupt("headers cut off") from None
    return headers


def _read_value(data: bytes, at: int) -> tuple[HeaderValue, int]:
    kind, at = data[at], at + 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        return int(_INTEGERS[kind].unpack_from(data, at)[0]), at + _INTEGERS[kind].size
    if kind == _STRING:
        raw, at = _counted(data, at, 2)
        return raw.decode(), at
    if kind == _BYTES:
        return _counted(data, at, 2)
    if kind == _UUID:
        return _taken(data, at, 16)
    raise _Corrupt("unknown header type")


def _counted(data: bytes, at: int, length_bytes: int) -> tuple[bytes, int]:
    raw, at = _taken(data, at, length_bytes)
    return _taken(data, at, int.from_bytes(raw, "big"))


def _taken(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    if at + count > len(data):
        raise _Corrupt("headers cut off")
    return data[at : at + count], at + count
