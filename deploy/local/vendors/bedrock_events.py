"""Encoder of the AWS event stream, in which Bedrock streams its answers.

A message is: total length and length of the headers (4 bytes each, big endian), the CRC-32 of these 8 bytes, the
headers, the payload, and the CRC-32 of all before it. A header is: length of its name (1 byte), the name, the type of
its value (7: a string), the length of the value (2 bytes), the value. Source: the Smithy specification of
`application/vnd.amazon.eventstream`.
"""

import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7
_FRAMING_BYTES = 16


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", _FRAMING_BYTES + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def event(event_type: str, payload: bytes) -> bytes:
    """`payload` is a JSON object."""
    headers = {":event-type": event_type, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, payload)


def exception(exception_type: str, payload: bytes) -> bytes:
    """An error that the service's description names; it ends the stream."""
    headers = {":exception-type": exception_type, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, payload)


def _header(name: str, value: str) -> bytes:
    name_bytes, value_bytes = name.encode(), value.encode()
    return struct.pack(
        f"!B{len(name_bytes)}sBH{len(value_bytes)}s",
        len(name_bytes),
        name_bytes,
        _STRING,
        len(value_bytes),
        value_bytes,
    )
