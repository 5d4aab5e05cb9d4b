"""Whose key a request came with. Pure."""

from admin_api.config_state import ConfigState
from admin_api.operation import Caller, Refusal
from schemas.tenancy import API_KEY_PREFIX, MANAGEMENT_KEY_PREFIX, ManagementKey, hash_api_key


def authenticate(state: ConfigState, authorization: str | None, now_ms: int) -> Caller:
    """`authorization`: the header. Raises Refusal. Only the hash of a key is looked up, by dictionary: how long it
    takes tells nothing about the key."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        text = f"No management key was given. Send it as 'Authorization: Bearer {MANAGEMENT_KEY_PREFIX}...'."
        raise Refusal(401, "missing_management_key", text)
    if not secret.startswith(MANAGEMENT_KEY_PREFIX):
        kind = "an API key" if secret.startswith(API_KEY_PREFIX) else "no key of this gateway"
        text = f"This is {kind}. The admin API wants a management key, which begins with {MANAGEMENT_KEY_PREFIX}."
        raise Refusal(401, "wrong_kind_of_key", text)
    # Bytes that are no text arrive as half pairs, which cannot be hashed; no key has any.
    key_sha256 = hash_api_key(secret) if secret.isascii() else ""
    owner = state.owner_of_hash(key_sha256)
    key = None if owner is None or owner[0] != "management_key" else state.get(ManagementKey, owner[1])
    if key is None or key.revoked:
        raise Refusal(401, "invalid_management_key", "The management key is not valid.")
    if key.expires_at_ms is not None and now_ms >= key.expires_at_ms:
        raise Refusal(401, "expired_management_key", "The management key has expired.")
    if key_sha256 != key.key_sha256 and now_ms >= (key.previous_valid_until_ms or 0):
        raise Refusal(401, "invalid_management_key", "The management key was replaced by a new one.")
    return Caller(key.management_key_id, key.organization_id, key.role == "admin")
