"""Secrets of keys: made here, told once, and kept as a hash only. Pure."""

from typing import Any

import msgspec

from admin_api.operation import conflict
from schemas.ids import RandomBytes
from schemas.tenancy import API_KEY_PREFIX, MANAGEMENT_KEY_PREFIX, ApiKey, ManagementKey, hash_api_key

RANDOM_BYTES = 20


def new_secret(kind: type[ApiKey | ManagementKey], random_bytes: RandomBytes) -> str:
    prefix = API_KEY_PREFIX if kind is ApiKey else MANAGEMENT_KEY_PREFIX
    return prefix + random_bytes(RANDOM_BYTES).hex()


def rotated(key: Any, secret: str, overlap_s: int, now_ms: int) -> Any:
    """The key with a new secret; the one before stays good for the overlap. Raises Refusal."""
    if key.revoked:
        raise conflict("key_revoked", "The key is revoked, which is final. Make a new one.")
    return msgspec.structs.replace(
        key,
        key_sha256=hash_api_key(secret),
        previous_key_sha256=key.key_sha256 if overlap_s else None,
        previous_valid_until_ms=now_ms + 1000 * overlap_s if overlap_s else None,
    )


def revoked(key: Any) -> Any:
    """Final: nothing opens with it any more, an older secret neither."""
    return msgspec.structs.replace(key, revoked=True, previous_key_sha256=None, previous_valid_until_ms=None)
