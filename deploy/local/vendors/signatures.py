"""Signatures of thinking: a vendor takes its own thinking back only as it gave it."""

import base64
import hashlib

_MARK = b"tollhouse-simulator:"


def sign(thinking: str) -> str:
    return base64.b64encode(_MARK + hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).digest()).decode()


def is_ours(signature: str) -> bool:
    """Whether the simulator issued it, for whatever thinking."""
    try:
        return decode_any_base64(signature).startswith(_MARK)
    except ValueError:
        return False


def decode_any_base64(text: str) -> bytes:
    """Either alphabet, padded or not, as Google takes bytes in JSON. Raises ValueError."""
    unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
