"""Projects, API keys, customers and budgets as the topic `config` has them: what a request is looked up in. Pure.

A change holds from the moment in which its record is applied; nothing is kept beside it that could be older.
"""

from typing import NamedTuple

from schemas.budgets import Budget
from schemas.config_record import ConfigRecord, EntityKind, entity_of
from schemas.failures import Failure, FailureKind
from schemas.tenancy import API_KEY_PREFIX, MANAGEMENT_KEY_PREFIX, ApiKey, Customer, Project, hash_api_key


class Caller(NamedTuple):
    key: ApiKey
    project: Project


class Directory:
    def __init__(self) -> None:
        self._projects: dict[str, Project] = {}
        self._keys: dict[str, ApiKey] = {}
        self._key_of_hash: dict[str, str] = {}
        self._customers: dict[str, Customer] = {}
        self._budgets: dict[str, Budget] = {}
        self._budgets_of: dict[str, tuple[Budget, ...]] = {}

    def apply(self, record: ConfigRecord) -> None:
        """One record of the topic. Raises UndecodableRecord, and has then changed nothing."""
        entity = entity_of(record)
        self._forget(record.kind, record.entity_id)
        if isinstance(entity, Project):
            self._projects[entity.project_id] = entity
        elif isinstance(entity, ApiKey):
            self._add_key(entity)
        elif isinstance(entity, Customer):
            self._customers[record.entity_id] = entity
        elif isinstance(entity, Budget):
            self._budgets[entity.budget_id] = entity
            self._budgets_of[entity.scope] = (*self._budgets_of.get(entity.scope, ()), entity)

    def find(self, secret: str, now_ms: int) -> Caller | Failure:
        """Only the hash of a key is compared, by dictionary: how long it takes tells nothing about the key."""
        # Bytes that are no text arrive as half pairs, which cannot be hashed; no key has any.
        if not secret.isascii():
            return Failure(kind=FailureKind.INVALID_API_KEY)
        key_sha256 = hash_api_key(secret)
        key = self._keys.get(self._key_of_hash.get(key_sha256, ""))
        if key is None and secret.startswith(MANAGEMENT_KEY_PREFIX):
            text = f"This is a management key. Models are called with an API key, which begins with {API_KEY_PREFIX}."
            return Failure(kind=FailureKind.INVALID_API_KEY, message=text)
        if key is None or key.revoked:
            return Failure(kind=FailureKind.INVALID_API_KEY)
        if key.expires_at_ms is not None and now_ms >= key.expires_at_ms:
            return Failure(kind=FailureKind.INVALID_API_KEY, message="The API key has expired.")
        if key_sha256 != key.key_sha256 and now_ms >= (key.previous_valid_until_ms or 0):
            return Failure(kind=FailureKind.INVALID_API_KEY, message="The API key was replaced by a new one.")
        project = self._projects.get(key.project_id)
        return Failure(kind=FailureKind.INVALID_API_KEY) if project is None else Caller(key, project)

    def customer(self, organization_id: str, customer_id: str) -> Customer | None:
        return self._customers.get(f"{organization_id}/{customer_id}")

    def budgets_of(self, scope: str) -> tuple[Budget, ...]:
        """All budgets of a scope (`schemas.budgets.scope_key`), hard and soft."""
        return self._budgets_of.get(scope, ())

    @property
    def api_keys(self) -> int:
        return len(self._keys)

    def _add_key(self, key: ApiKey) -> None:
        self._keys[key.api_key_id] = key
        for key_sha256 in (key.key_sha256, key.previous_key_sha256):
            if key_sha256 is not None:
                self._key_of_hash[key_sha256] = key.api_key_id

    def _forget(self, kind: EntityKind, entity_id: str) -> None:
        if kind == "project":
            self._projects.pop(entity_id, None)
        elif kind == "customer":
            self._customers.pop(entity_id, None)
        elif kind == "api_key" and (key := self._keys.pop(entity_id, None)) is not None:
            for key_sha256 in (key.key_sha256, key.previous_key_sha256):
                if key_sha256 is not None and self._key_of_hash.get(key_sha256) == entity_id:
                    del self._key_of_hash[key_sha256]
        elif kind == "budget" and (budget := self._budgets.pop(entity_id, None)) is not None:
            left = tuple(other for other in self._budgets_of[budget.scope] if other.budget_id != entity_id)
            if left:
                self._budgets_of[budget.scope] = left
            else:
                del self._budgets_of[budget.scope]
