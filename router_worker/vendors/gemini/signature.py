"""Thought signatures: Google's own, other vendors' inside them, and what stands for one that there is not.

`thoughtSignature` is base64 of whatever a vendor likes, given back by clients with every turn, and the google-genai SDK
decodes and encodes it again, in the URL-safe alphabet. So another vendor's proof travels inside it, with its maker's
name: it comes back as it was, and cannot be taken for Google's.
"""

import base64
import binascii
import re
from typing import get_args

from router_worker.canonical.answer import MadeBy
from router_worker.canonical.request import Thinking

NO_SIGNATURE = "skip_thought_signature_validator"
"""For calls that Gemini did not make itself. Gemini 3 refuses a history whose calls have no signature, and takes this
one unchecked. Source: Gemini API and Vertex AI, "Thought signatures", on history from other models."""

_MARK = b"tollhouse/1:"  # 12 bytes are 16 characters in base64, whatever follows
_MARK_IN_BASE64 = base64.b64encode(_MARK).decode()
_WRAPPED = re.compile(f'"{_MARK_IN_BASE64}[A-Za-z0-9+/_=-]*"'.encode())
_STANDARD_ALPHABET = str.maketrans("-_", "+/")


def wrapped(thinking: Thinking) -> str | None:
    """For `thoughtSignature`; Google's own stays as it is."""
    if thinking.encrypted is None and (thinking.signature is None or thinking.made_by == "gemini"):
        return thinking.signature
    kind, value = ("s", thinking.signature) if thinking.encrypted is None else ("e", thinking.encrypted)
    return base64.b64encode(_MARK + f"{thinking.made_by}:{kind}:{value}".encode()).decode()


def unwrapped(text: str, signature: str | None) -> Thinking:
    """The thought whose signature it is."""
    if signature is None or not signature.startswith(_MARK_IN_BASE64):
        return Thinking(text=text, signature=signature, made_by="gemini")
    padded = signature.translate(_STANDARD_ALPHABET).rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        inside = base64.b64decode(padded).removeprefix(_MARK).decode()
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


def without_wrapped(body: bytes) -> bytes:
    """For Google, which would refuse another vendor's proof."""
    if _MARK_IN_BASE64.encode() not in body:
        return body
    return _WRAPPED.sub(f'"{NO_SIGNATURE}"'.encode(), body)
