"""Changes single top-level fields of a JSON object and leaves every other value as it was, byte for byte.

A value is never parsed, only skipped, so the cost does not depend on what is in it; numbers keep their digits and
strings their escapes. Only the white space between top-level fields goes, and of a field given twice the last counts.
"""

import json
import re
from typing import NoReturn

import msgspec

Fields = dict[str, msgspec.Raw]
"""A JSON object, its values still in JSON."""

NULL = b"null"

_DECODER = msgspec.json.Decoder(Fields)
_ENCODER = msgspec.json.Encoder()
# Every escape, so that `\\` before a `u` is not taken for the start of one; the groups tell which are halves of a pair.
_ESCAPE = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def read_fields(data: bytes) -> Fields | None:
    """None if `data` is not a JSON object, or is nested beyond measure."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write_fields(fields: Fields) -> bytes:
    return _ENCODER.encode(fields)


def drop_fields(fields: Fields, names: frozenset[str]) -> tuple[str, ...]:
    """Takes them out. The names of those that said something, in alphabetical order: the client is told."""
    found = {name: fields.pop(name) for name in sorted(names & fields.keys())}
    return tuple(name for name, value in found.items() if bytes(value) != NULL)


def to_raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(value))


def is_utf8(data: bytes) -> bool:
    """JSON is; but strings that are only skipped are not looked into, neither here nor by msgspec."""
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def without_half_pairs(data: bytes) -> bytes:
    r"""The same JSON with each half of a surrogate pair (`\ud83d` without its `\ude00`) replaced by U+FFFD.

    Vendors that cut text by UTF-16 units send an emoji as two halves in two chunks. Clients put it together again, so
    such JSON must be let through, though msgspec and orjson refuse it. For looking into it only: see `with_model`.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], data)


def with_model(data: bytes, model: str) -> bytes:
    """`data` with its field `model` set, by the standard library's parser, which keeps halves of surrogate pairs.

    Raises ValueError if `data` is not JSON, or has numbers beyond measure. For the rare case that `read_fields`
    refuses: values may be reformatted.
    """
    value = json.loads(data, parse_constant=_refuse)
    value["model"] = model
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
