"""Writes AWS event stream frames, as a vendor does."""

import struct
from collections.abc import Mapping
from zlib import crc32

import msgspec

Header = tuple[int, bytes]
"""The type of the value and its bytes, lengths included."""


def string(value: str) -> Header:
    data = value.encode()
    return 7, struct.pack(">H", len(data)) + data


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def header_bytes(name: str, header: Header) -> bytes:
    raw = name.encode()
    return bytes([len(raw)]) + raw + bytes([header[0]]) + header[1]


def frame(headers: Mapping[str, Header], payload: bytes) -> bytes:
    return raw_frame(b"".join(header_bytes(name, header) for name, header in headers.items()), payload)


def event(name: str, payload: object) -> bytes:
    headers = {
        ":event-type": string(name),
        ":content-type": string("application/json"),
        ":message-type": string("event"),
    }
    return frame(headers, msgspec.json.encode(payload))


def exception(name: str, message: str) -> bytes:
    headers = {
        ":exception-type": string(name),
        ":content-type": string("application/json"),
        ":message-type": string("exception"),
    }
    return frame(headers, msgspec.json.encode({"message": message}))
