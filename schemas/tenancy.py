"""Who may call, and within which limits: organizations, projects, API keys, customers, tags.

The admin API writes these as `schemas.config_record.ConfigRecord`s; every process reads them from the topic `config`.
"""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

API_KEY_PREFIX = "th_"
MANAGEMENT_KEY_PREFIX = "thm_"

EntityId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Name = Annotated[str, Meta(max_length=256)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
RateLimit = Annotated[int, Meta(ge=1, le=10**12)]
_Label = Annotated[str, Meta(min_length=1, max_length=256)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None: no limit."""

    requests_per_minute: RateLimit | None = None
    tokens_per_minute: RateLimit | None = None
    concurrent_requests: RateLimit | None = None


NO_LIMITS = Limits()


class Organization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId
    name: _Name = ""


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`zero_data_retention`: all its requests have it, whatever they say."""

    project_id: EntityId
    organization_id: EntityId
    name: _Name = ""
    zero_data_retention: bool = False
    limits: Limits = NO_LIMITS


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key_sha256` is the hex SHA-256 of the secret. The secret has 160 random bits, so a plain hash cannot be guessed
    back and costs a microsecond, where a password hash would cost the ingress its throughput.

    After a rotation the secret before it, `previous_key_sha256`, is good until `previous_valid_until_ms`. `models`:
    what it may call (ids or names of the catalogue); empty means all. `customer_id`: all its requests are this
    customer's. `routing_policy`: the policy of requests that name none; there is only "default" yet. Times
    are unix ms.
    """

    api_key_id: EntityId
    project_id: EntityId
    key_sha256: _Sha256
    name: _Name = ""
    previous_key_sha256: _Sha256 | None = None
    previous_valid_until_ms: int | None = None
    revoked: bool = False
    expires_at_ms: int | None = None
    models: tuple[_Label, ...] = ()
    customer_id: _Label | None = None
    routing_policy: _Label | None = None
    limits: Limits = NO_LIMITS


class ManagementKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Opens the admin API, and nothing else. `organization_id`: all that it may see and change; None: everything.
    A viewer changes nothing. Secrets as in ApiKey."""

    management_key_id: EntityId
    key_sha256: _Sha256
    organization_id: EntityId | None = None
    role: Literal["admin", "viewer"] = "admin"
    name: _Name = ""
    previous_key_sha256: _Sha256 | None = None
    previous_valid_until_ms: int | None = None
    revoked: bool = False
    expires_at_ms: int | None = None


class Customer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An end customer of the user's own product. A request may also name one that was never registered. Requests of an
    inactive one are refused."""

    customer_id: _Label
    organization_id: EntityId
    name: _Name = ""
    active: bool = True


class Tag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag that the organization wants to be known by name; requests may carry others too."""

    organization_id: EntityId
    key: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[^=]*$")]
    value: _Label
    description: _Name = ""


class VendorCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organization's, or a project's, own key at a vendor: by reference, never the key itself (G7). `secret_name` is
    an environment variable of the workers, or a file in their keys directory."""

    credential_id: EntityId
    organization_id: EntityId
    project_id: EntityId | None = None
    vendor: _Label
    secret_name: Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an organization's budget alerts go. They are signed with a secret that the billing consumer has as an
    environment variable, or a file in its secrets directory, of the name `secret_name`."""

    webhook_id: EntityId
    organization_id: EntityId
    url: Annotated[str, Meta(pattern="^https?://[^ ]+$", max_length=2048)]
    secret_name: Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
    active: bool = True


def hash_api_key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
