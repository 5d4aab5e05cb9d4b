"""How deep a JSON text is nested."""

import re

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def is_deeper_than(limit: int, json_text: bytes) -> bool:
    """For valid JSON only. Nearly free for what has no more than `limit` objects and arrays in it."""
    if json_text.count(b"[") + json_text.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", json_text).translate(_BRACES_AS_BRACKETS, _NO_BRACKETS)
    # Each pass takes away what is innermost, everywhere.
    for _ in range(limit):
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
