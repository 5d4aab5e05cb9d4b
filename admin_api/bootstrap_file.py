"""Reads the bootstrap file: the first entities, in TOML. Fields are those of schemas.tenancy and schemas.budgets, with
money as strings in USD (`limit_usd`, `amount_usd`).

    [[projects]]
    project_id = "default"
    organization_id = "acme"         # made, if it is not listed under [[organizations]]
    budget_usd = "100.00"            # short for a hard, total budget with the id "project.default"

    [[api_keys]]
    api_key_id = "backend"
    project_id = "default"
    key_sha256 = "<hex SHA-256 of the secret>"
    budget_usd = "10"                # likewise "key.backend"
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from admin_api.checks import called
from admin_api.config_state import KIND_OF
from schemas.budgets import MAX_LIMIT_PICO_USD, Raise
from schemas.config_record import ENTITY_TYPES, Entity, EntityKind, entity_id_of
from schemas.money import PICO_PER_USD, usd_to_pico
from schemas.tenancy import ApiKey, ManagementKey, Organization, Project

# In the order in which they must be made.
SECTIONS: dict[str, EntityKind] = {
    "organizations": "organization",
    "projects": "project",
    "api_keys": "api_key",
    "management_keys": "management_key",
    "customers": "customer",
    "tags": "tag",
    "budgets": "budget",
    "vendor_credentials": "vendor_credential",
    "webhooks": "webhook",
}
MAX_ID_CHARACTERS = 64
MAX_TIME_MS = 253_370_764_800_000
"""The beginning of the year 9999: what cannot be shown as a date is a mistake."""


class InvalidBootstrap(Exception):
    """Everything that is wrong with the file, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ShortBudget(NamedTuple):
    """A hard, total budget that a project or an API key came with."""

    scope_kind: Literal["project", "api_key"]
    scope_id: str
    limit_pico_usd: int

    @property
    def budget_id(self) -> str:
        return f"{'project' if self.scope_kind == 'project' else 'key'}.{self.scope_id}"


class Bootstrap(NamedTuple):
    """`entities` in the order in which they must be made. What they refer to need not be among them: it may have been
    made long ago."""

    entities: tuple[Entity, ...]
    short_budgets: tuple[ShortBudget, ...]


def load_bootstrap(path: str) -> Bootstrap:
    """Raises InvalidBootstrap."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidBootstrap([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidBootstrap([f"{path}: {error}"]) from error
    return read_bootstrap(text, path)


def read_bootstrap(text: str, path: str) -> Bootstrap:
    """`path`: what the problems call it. Raises InvalidBootstrap."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidBootstrap([f"{path}: {error}"]) from error
    problems = [f"{path}: unknown section '{name}'" for name in document if name not in SECTIONS]
    entities: list[Entity] = []
    short_budgets: list[ShortBudget] = []
    for section, kind in SECTIONS.items():
        for number, table in enumerate(_tables(document, section, path, problems), start=1):
            try:
                entity, short_budget = _read(kind, table)
            except (msgspec.ValidationError, ValueError) as error:
                problems.append(f"{path}: {section} number {number}: {error}")
                continue
            entities.append(entity)
            if short_budget is not None:
                short_budgets.append(short_budget)
    problems += [f"{path}: {problem}" for problem in _repetitions(entities, short_budgets)]
    if problems:
        raise InvalidBootstrap(problems)
    return Bootstrap((*_organizations_of_projects(entities), *entities), tuple(short_budgets))


def _tables(document: dict[str, Any], section: str, path: str, problems: list[str]) -> list[dict[str, Any]]:
    tables = document.get(section, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(f"{path}: {section} must be written as tables, each headed [[{section}]]")
        return []
    return tables


def _read(kind: EntityKind, table: dict[str, Any]) -> tuple[Entity, ShortBudget | None]:
    """What one table makes. Raises ValidationError or ValueError."""
    entry = dict(table)
    if kind == "budget":
        entry["limit_pico_usd"] = _pico_usd(entry, "limit_usd")
        if isinstance(raises := entry.get("raises"), list):
            entry["raises"] = [_raise(each) for each in raises]
    has_budget = kind in ("project", "api_key") and "budget_usd" in entry
    short_pico_usd = _pico_usd(entry, "budget_usd") if has_budget else None
    entity: Entity = msgspec.convert(entry, ENTITY_TYPES[kind])
    for name in ("expires_at_ms", "previous_valid_until_ms"):
        if not 0 <= (getattr(entity, name, None) or 0) <= MAX_TIME_MS:
            raise ValueError(f"{name} must be unix milliseconds, before the year 9999")
    if short_pico_usd is None:
        return entity, None
    scope_kind: Literal["project", "api_key"] = "project" if kind == "project" else "api_key"
    short = ShortBudget(scope_kind, entity_id_of(entity), short_pico_usd)
    if len(short.budget_id) > MAX_ID_CHARACTERS:
        raise ValueError(f"budget_usd needs a shorter id: '{short.budget_id}' is longer than {MAX_ID_CHARACTERS}")
    return entity, short


def _pico_usd(entry: dict[str, Any], field: str) -> int:
    if field not in entry:
        raise ValueError(f"Object missing required field `{field}`")
    amount = entry.pop(field)
    if not isinstance(amount, str):
        raise ValueError(f'{field} must be a string such as "12.50", not {amount!r}')
    pico_usd = usd_to_pico(amount)
    if not 0 <= pico_usd <= MAX_LIMIT_PICO_USD:
        raise ValueError(f"{field} must not be negative, nor more than {MAX_LIMIT_PICO_USD // PICO_PER_USD} USD")
    return pico_usd


def _raise(value: Any) -> Any:
    if not isinstance(value, dict):
        return value  # for msgspec to refuse
    entry = dict(value)
    entry["amount_pico_usd"] = _pico_usd(entry, "amount_usd")
    if not 0 <= (msgspec.convert(entry, Raise)).expires_at_ms <= MAX_TIME_MS:
        raise ValueError("raises: expires_at_ms must be unix milliseconds, before the year 9999")
    return entry


def _organizations_of_projects(entities: list[Entity]) -> Iterator[Organization]:
    """Those that projects name and nobody lists: a file of one project and one key should stay that short."""
    listed = {entity.organization_id for entity in entities if isinstance(entity, Organization)}
    for organization_id in dict.fromkeys(each.organization_id for each in entities if isinstance(each, Project)):
        if organization_id not in listed:
            yield Organization(organization_id=organization_id)


def _repetitions(entities: list[Entity], short_budgets: list[ShortBudget]) -> Iterator[str]:
    ids: Counter[tuple[EntityKind, str]] = Counter((KIND_OF[type(entity)], entity_id_of(entity)) for entity in entities)
    ids.update(("budget", short.budget_id) for short in short_budgets)
    yield from (f"the {called(kind)} '{entity_id}' is there twice" for (kind, entity_id), n in ids.items() if n > 1)
    hashes = Counter(entity.key_sha256 for entity in entities if isinstance(entity, ApiKey | ManagementKey))
    yield from (f"key_sha256 '{key_sha256}' is there twice" for key_sha256, n in hashes.items() if n > 1)
