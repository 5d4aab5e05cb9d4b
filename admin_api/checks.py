"""Whether an entity fits the others: what it names must be there, and what must be unique must be so. Pure.

A `Refusal` names the field. What the caller may not see is for it as if it were not there.
"""

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from admin_api.config_state import ConfigState
from admin_api.operation import conflict, invalid
from admin_api.webhook_address import check_webhook_address
from schemas.budgets import Budget
from schemas.config_record import Entity, EntityKind
from schemas.tenancy import (
    ApiKey,
    Customer,
    ManagementKey,
    Organization,
    Project,
    Tag,
    VendorCredential,
    Webhook,
)

Sees = Callable[[str], bool]
"""Whether the caller may know of an organization."""

MAX_ALERTS = 10
MAX_RAISES = 100

_CALLED: dict[EntityKind, str] = {
    "organization": "organization",
    "project": "project",
    "api_key": "API key",
    "management_key": "management key",
    "customer": "customer",
    "tag": "tag",
    "budget": "budget",
    "vendor_credential": "vendor credential",
    "webhook": "webhook",
}

DEFAULT_POLICY = "default"
"""Routes in the order of the catalogue. There is no other policy yet."""


def called(kind: EntityKind) -> str:
    """What people call it."""
    return _CALLED[kind]


def everything(_organization_id: str) -> bool:
    return True


def check_new(state: ConfigState, kind: EntityKind, entity_id: str, organization_id: str, param: str) -> None:
    """Whether an entity may be made under this id. Ids name spend for good, so they never go to somebody else."""
    held = state.find(kind, entity_id)
    if held is None:
        return
    if held.entity is not None:
        raise conflict("already_exists", f"The {called(kind)} '{entity_id}' is there already.", param)
    # A budget's id also names its ledgers: a new budget of that name would find the old one's.
    if kind == "budget" or held.organization_id != organization_id:
        text = f"'{entity_id}' was the id of another {called(kind)}, which is deleted. Ids are not used twice."
        raise conflict("id_was_used", text, param)


def check_entity(
    state: ConfigState, entity: Entity, sees: Sees = everything, *, plain_http_webhooks: bool = False
) -> None:
    """Raises Refusal. The entity itself may be in the state already, as it was or as it is."""
    _check_text(entity)
    if isinstance(entity, Project | Customer | Webhook):
        _organization(state, entity.organization_id, sees)
    if isinstance(entity, ApiKey):
        if not _sees_project(state, entity.project_id, sees):
            raise invalid("project_id", f"There is no project '{entity.project_id}'.")
        _check_hash(state, "api_key", entity.api_key_id, entity.key_sha256)
        if entity.routing_policy not in (None, DEFAULT_POLICY):
            raise invalid("routing_policy", f"There is no policy of this name; '{DEFAULT_POLICY}' is the only one.")
    elif isinstance(entity, ManagementKey):
        if entity.organization_id is not None:
            _organization(state, entity.organization_id, sees)
        _check_hash(state, "management_key", entity.management_key_id, entity.key_sha256)
    elif isinstance(entity, Tag):
        _organization(state, entity.organization_id, sees)
        if "=" in entity.key:
            raise invalid("key", "A tag's key has no '=': it would be unclear where its value begins.")
    elif isinstance(entity, Budget):
        _check_budget(state, entity, sees)
    elif isinstance(entity, VendorCredential):
        _check_credential(state, entity, sees)
    elif isinstance(entity, Webhook):
        check_webhook_address(entity.url, plain_http=plain_http_webhooks)


def _organization(state: ConfigState, organization_id: str, sees: Sees) -> None:
    if not sees(organization_id) or state.get(Organization, organization_id) is None:
        raise invalid("organization_id", f"There is no organization '{organization_id}'.")


def _sees_project(state: ConfigState, project_id: str, sees: Sees) -> bool:
    project = state.get(Project, project_id)
    return project is not None and sees(project.organization_id)


def _check_hash(state: ConfigState, kind: EntityKind, entity_id: str, key_sha256: str) -> None:
    if state.owner_of_hash(key_sha256) not in (None, (kind, entity_id)):
        raise conflict("secret_in_use", "Another key has this secret.", "key_sha256")


def _check_budget(state: ConfigState, budget: Budget, sees: Sees) -> None:
    _organization(state, budget.organization_id, sees)
    _check_scope(state, budget)
    other = state.budget_of(budget.scope, budget.period)
    if other not in (None, budget.budget_id):
        text = f"The budget '{other}' is there already for this scope and period."
        raise conflict("scope_has_budget", text, "scope_id")
    if len(budget.alerts_percent) > MAX_ALERTS or len(set(budget.alerts_percent)) != len(budget.alerts_percent):
        raise invalid("alerts_percent", f"At most {MAX_ALERTS} thresholds, each once.")
    if len(budget.raises) > MAX_RAISES:
        raise invalid("raises", f"At most {MAX_RAISES} raises.")


def _check_scope(state: ConfigState, budget: Budget) -> None:
    """Requests may name customers and tags that were never registered, so a budget may as well."""
    owner: str | None = budget.organization_id
    if budget.scope_kind == "organization":
        owner = budget.scope_id
    elif budget.scope_kind == "project":
        project = state.get(Project, budget.scope_id)
        owner = None if project is None else project.organization_id
    elif budget.scope_kind == "api_key":
        held = state.find("api_key", budget.scope_id)
        owner = None if held is None or held.entity is None else held.organization_id
    elif budget.scope_kind == "tag":
        key, equals, value = budget.scope_id.partition("=")
        if not (key and equals and value):
            raise invalid("scope_id", "A tag is written as key=value.")
    if owner != budget.organization_id:
        what = called(budget.scope_kind)
        text = f"The organization '{budget.organization_id}' has no {what} '{budget.scope_id}'."
        raise invalid("scope_id", text)


def _check_credential(state: ConfigState, credential: VendorCredential, sees: Sees) -> None:
    _organization(state, credential.organization_id, sees)
    if credential.project_id is not None:
        project = state.get(Project, credential.project_id)
        if project is None or project.organization_id != credential.organization_id:
            text = f"The organization '{credential.organization_id}' has no project '{credential.project_id}'."
            raise invalid("project_id", text)
    place = (credential.organization_id, credential.project_id, credential.vendor)
    for other in state.every(VendorCredential):
        if (other.organization_id, other.project_id, other.vendor) == place and (
            other.credential_id != credential.credential_id
        ):
            text = f"The vendor credential '{other.credential_id}' is there already for this vendor."
            raise conflict("vendor_has_credential", text, "vendor")


def _check_text(entity: Entity) -> None:
    """A line break in a name would forge lines in whatever prints it; half of a pair of UTF-16 cannot be written."""
    for param, text in _texts(msgspec.structs.asdict(entity), ""):
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise invalid(param, "Control characters are not allowed here.")


def _texts(value: Any, param: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield param, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{param}.{name}" if param else name)
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{param}[{number}]")
