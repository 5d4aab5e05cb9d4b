"""Who is calling: an API key → key and project. Pure."""

from schemas.failures import Failure, FailureKind
from schemas.tenancy import ApiKey, Project, Tenants, hash_api_key


def authenticate(secret: str, tenants: Tenants) -> tuple[ApiKey, Project] | Failure:
    """Only the hash of a key is compared, by dictionary: how long it takes tells nothing about the key."""
    # Bytes that are no text arrive as half pairs, which cannot be hashed; no key has any.
    found = tenants.find(hash_api_key(secret)) if secret.isascii() else None
    return Failure(kind=FailureKind.INVALID_API_KEY) if found is None else found
