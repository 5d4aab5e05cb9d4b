"""How deep a JSON text is nested."""

import re
from itertools import accumulate

_PASSES = 4

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def is_deeper_than(limit: int, json_text: bytes) -> bool:
    """For valid JSON only. Nearly free for what has no more than `limit` objects and arrays in it."""
    if json_text.count(b"[") + json_text.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", json_text).translate(_BRACES_AS_BRACKETS, _NO_BRACKETS)
    # Each pass takes away what is innermost, everywhere: after a few, little is left of what people send.
    passes = min(limit, _PASSES)
    for _ in range(passes):
        brackets = brackets.replace(b"[]", b"")
    # The rest is walked once. A pass for each level of a body of many megabytes would stop the event loop for seconds.
    depths = accumulate(map((0x5C).__sub__, brackets))  # "[" is 0x5B: one up; "]" is 0x5D: one down
    return passes + max(depths, default=0) > limit
