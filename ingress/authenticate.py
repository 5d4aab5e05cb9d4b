"""Who is calling: the Authorization header → key and project. Pure."""

from schemas.failures import Failure, FailureKind
from schemas.tenancy import ApiKey, Project, Tenants, hash_api_key

_SCHEME = "bearer "


def authenticate(authorization: str | None, tenants: Tenants) -> tuple[ApiKey, Project] | Failure:
    """Only the hash of a key is compared, by dictionary: how long it takes tells nothing about the key."""
    if not authorization:
        return Failure(kind=FailureKind.MISSING_API_KEY)
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        return Failure(kind=FailureKind.MISSING_API_KEY, message="The Authorization header must be 'Bearer <key>'.")
    secret = authorization[len(_SCHEME) :].strip()
    # Bytes that are no text arrive as half pairs, which cannot be hashed; no key has any.
    found = tenants.find(hash_api_key(secret)) if secret.isascii() else None
    return Failure(kind=FailureKind.INVALID_API_KEY) if found is None else found
