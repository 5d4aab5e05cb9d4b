"""Who may call: projects and API keys, and how much each may spend."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`budget_pico_usd`: what the project may spend in total; None means no limit."""

    project_id: str
    organization_id: str
    budget_pico_usd: int | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key_sha256` is the hex SHA-256 of the secret. The secret has 160 random bits, so a plain hash cannot be guessed
    back and costs a microsecond, where a password hash would cost the ingress its throughput."""

    api_key_id: str
    project_id: str
    key_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    budget_pico_usd: int | None = None


def hash_api_key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Tenants:
    """Lookup of a key's hash. Immutable once built."""

    def __init__(self, projects: tuple[Project, ...], api_keys: tuple[ApiKey, ...]) -> None:
        self._projects = {project.project_id: project for project in projects}
        self._keys = {key.key_sha256: key for key in api_keys}

    def find(self, key_sha256: str) -> tuple[ApiKey, Project] | None:
        key = self._keys.get(key_sha256)
        return None if key is None else (key, self._projects[key.project_id])

    def __len__(self) -> int:
        return len(self._keys)
