"""Bodies on the wire: content encodings in both directions, and the content type of a result format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from backports import zstd
from lz4.frame import LZ4FrameCompressor, LZ4FrameDecompressor

from deploy.local.clickhouse.errors import CANNOT_DECOMPRESS, UNKNOWN_COMPRESSION_METHOD, refuse

_JSON = "application/json; charset=UTF-8"
_TSV = "text/tab-separated-values; charset=UTF-8"
_CONTENT_TYPES = {
    "JSON": _JSON,
    "JSONCompact": _JSON,
    "JSONStrings": _JSON,
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": _TSV,
    "TSV": _TSV,
    "TabSeparatedWithNames": _TSV,
    "Pretty": "text/plain; charset=UTF-8",
    "PrettyCompact": "text/plain; charset=UTF-8",
    "Vertical": "text/plain; charset=UTF-8",
}


def content_type(format_name: str) -> str:
    return _CONTENT_TYPES.get(format_name, "application/octet-stream")


def _every_lz4_frame(data: bytes) -> bytes:
    # lz4.frame.decompress stops after the first frame without a word: rows would be lost.
    parts = []
    while data:
        frame = LZ4FrameDecompressor()
        parts.append(frame.decompress(data))
        if not frame.eof:
            raise ValueError("lz4 frame is incomplete")
        data = frame.unused_data or b""
    return b"".join(parts)


def _one_lz4_frame(plain: bytes) -> bytes:
    frame = LZ4FrameCompressor()
    return b"".join((frame.begin(len(plain)), frame.compress(plain), frame.flush()))


def _one_zlib_stream(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    plain = stream.decompress(data)
    if not stream.eof or stream.unused_data:
        raise ValueError("deflate stream is incomplete or followed by other bytes")
    return plain


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "lz4": _every_lz4_frame,
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": _one_zlib_stream,
}

# In order of preference, as ClickHouse's chooseHTTPCompressionMethod has it. Level 1: the peer is on this machine.
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda plain: zstd.compress(plain, 1),
    "lz4": _one_lz4_frame,
    "gzip": lambda plain: gzip.compress(plain, 1),
    "deflate": lambda plain: zlib.compress(plain, 1),
}


def decode_body(body: bytes, content_encoding: str) -> bytes:
    """The plain bytes of a request body.

    Raises:
        ClickHouseError: for an unknown encoding, and for a damaged or cut body (a part is never returned).
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    decoder = _DECODERS.get(encoding)
    if decoder is None:
        raise refuse(UNKNOWN_COMPRESSION_METHOD, f"Unknown compression method: {encoding!r}")
    try:
        return decoder(body)
    except (EOFError, OSError, RuntimeError, ValueError, zlib.error, zstd.ZstdError) as error:
        raise refuse(CANNOT_DECOMPRESS, f"Cannot decompress the {encoding} request body: {error}") from error


def choose_encoding(accept_encoding: str) -> str | None:
    """The encoding for a reply out of an Accept-Encoding header, or None for plain."""
    accepted = {part.split(";")[0].strip().lower() for part in accept_encoding.split(",")}
    return next((name for name in _ENCODERS if name in accepted), None)


def encode_reply(plain: bytes, encoding: str) -> bytes:
    return _ENCODERS[encoding](plain)
