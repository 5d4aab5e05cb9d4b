"""Other vendors' proofs of thought in `thoughtSignature`, which clients of this API give back with every turn.

The field is base64 of whatever a vendor likes, and the google-genai SDK decodes and encodes it again, in the URL-safe
alphabet. So another vendor's signature travels inside, with its maker's name: it comes back as it was, and cannot be
taken for Google's.
"""

import base64
import binascii
import re
from typing import get_args

from router_worker.canonical.answer import MadeBy
from router_worker.canonical.request import Thinking

_MARK = b"tollhouse/1:"  # 12 bytes are 16 characters in base64, whatever follows
_MARK_IN_BASE64 = base64.b64encode(_MARK)
_WRAPPED = re.compile(rb'"' + _MARK_IN_BASE64 + rb'[A-Za-z0-9+/_=-]*"')
_MAKERS = frozenset(get_args(MadeBy))


def wrapped(thinking: Thinking) -> str | None:
    """For `thoughtSignature`; Google's own stays as it is."""
    if thinking.encrypted is None and (thinking.signature is None or thinking.made_by == "gemini"):
        return thinking.signature
    kind, value = ("s", thinking.signature) if thinking.encrypted is None else ("e", thinking.encrypted)
    inside = _MARK + f"{thinking.made_by}:{kind}:{value}".encode()
    return base64.b64encode(inside).decode()


def unwrapped(text: str, signature: str | None) -> Thinking:
    """The thought with whose signature it is."""
    if signature is None or not signature.startswith(_MARK_IN_BASE64.decode()):
        return Thinking(text=text, signature=signature, made_by="gemini")
    try:
        padded = signature.rstrip("=") + "=" * (-len(signature.rstrip("=")) % 4)
        inside = base64.b64decode(padded.translate(_STANDARD)).removeprefix(_MARK).decode()
    except (binascii.Error, ValueError):
        return Thinking(text=text)
    maker, _, rest = inside.partition(":")
    kind, _, value = rest.partition(":")
    made_by = next((known for known in get_args(MadeBy) if known == maker), None)
    if made_by is None or kind not in ("s", "e"):
        return Thinking(text=text)
    if kind == "e":
        return Thinking(text=text, encrypted=value, made_by=made_by)
    return Thinking(text=text, signature=value, made_by=made_by)


_STANDARD = str.maketrans("-_", "+/")
