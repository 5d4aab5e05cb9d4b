"""/vendor-credentials: an organization's own keys at vendors, by the name of the place where the workers find them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from admin_api.config_state import Held
from admin_api.fields import Label, Page, time_of
from admin_api.operation import invalid
from admin_api.resources.resource import Made, Making, Resource, Showing, replaced
from schemas.tenancy import EntityId, VendorCredential

SECRET_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,127}$"
# Checked by hand (`check_secret_name`), because the answer to a key that was sent by mistake has more to say.
SecretName = Annotated[str, Meta(extra_json_schema={"pattern": SECRET_NAME_PATTERN})]

_KNOWN_KEYS = re.compile(
    r"(sk|pk|rk|xai)-|AIza|AKIA|ASIA|ya29\.|Bearer |(sk|pk|rk|gsk|hf|r8|thm?)_[A-Za-z0-9]{16}|.*-----BEGIN"
)
_RANDOM = re.compile(r"^[A-Za-z0-9+/=_.-]{32,}$")
_WORD = re.compile(r"[A-Za-z]+[0-9]{0,4}|[0-9]{1,4}")


class NewVendorCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret_name`: an environment variable of the workers, or a file in their keys directory; never the key itself.
    `project_id`: for this project only."""

    vendor: Label
    secret_name: SecretName
    credential_id: EntityId | None = None
    organization_id: EntityId | None = None
    project_id: EntityId | None = None


class VendorCredentialPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    secret_name: SecretName | UnsetType = UNSET


class VendorCredentialView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    credential_id: str
    organization_id: str
    project_id: str | None
    vendor: str
    secret_name: str
    version: int
    updated_at: datetime


class VendorCredentialPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: tuple[VendorCredentialView, ...]
    next_cursor: str | None


class VendorCredentialFilters(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    organization_id: EntityId | None = None
    project_id: EntityId | None = None
    vendor: Label | None = None


def check_secret_name(name: str) -> None:
    """Raises Refusal, which does not repeat the value: it may be a secret (G7)."""
    if _looks_like_a_secret(name):
        text = (
            "This looks like a secret. Give the name of an environment variable, or of a file in the keys directory,"
            " such as ACME_OPENAI_KEY. Nothing was stored; if it was a real key, replace it at the vendor."
        )
        raise invalid("secret_name", text)
    if not re.fullmatch(SECRET_NAME_PATTERN.strip("^$"), name):
        text = "The name of an environment variable or file: letters, digits and _, at most 128, no digit in front."
        raise invalid("secret_name", text)


def _looks_like_a_secret(name: str) -> bool:
    if _KNOWN_KEYS.match(name):
        return True
    # Names are words with _ between them; a key of some length has digits all over.
    digits = sum(character.isdigit() for character in name)
    words = all(_WORD.fullmatch(word) for word in name.split("_") if word)
    return bool(_RANDOM.match(name)) and digits >= 4 and not words


def _make(making: Making, body: NewVendorCredential) -> Made:
    check_secret_name(body.secret_name)
    return Made(
        VendorCredential(
            credential_id=body.credential_id or making.new_id("cred"),
            organization_id=making.organization_id(body.organization_id),
            project_id=body.project_id,
            vendor=body.vendor,
            secret_name=body.secret_name,
        )
    )


def _change(credential: VendorCredential, given: Mapping[str, Any], now_ms: int) -> VendorCredential:
    if "secret_name" in given:
        check_secret_name(given["secret_name"])
    changed: VendorCredential = replaced(credential, given, now_ms)
    return changed


def _show(held: Held, _showing: Showing) -> VendorCredentialView:
    assert isinstance(held.entity, VendorCredential)
    return VendorCredentialView(
        **msgspec.structs.asdict(held.entity),
        version=held.record.version,
        updated_at=time_of(held.record.change.at_ms),
    )


VENDOR_CREDENTIALS = Resource(
    kind="vendor_credential",
    path="/vendor-credentials",
    id_param="credential_id",
    new=NewVendorCredential,
    patch=VendorCredentialPatch,
    view=VendorCredentialView,
    page=VendorCredentialPage,
    filters=VendorCredentialFilters,
    make=_make,
    change=_change,
    show=_show,
    names_secrets=True,
)
