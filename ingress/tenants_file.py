"""Reads the bootstrap file: the first projects and API keys (TOML).

[[projects]]
project_id = "default"
organization_id = "acme"
budget_usd = "100.00"            # optional; a string, because money is exact

[[api_keys]]
api_key_id = "backend"
project_id = "default"
key_sha256 = "<hex SHA-256 of the secret>"
budget_usd = "10"                # optional
"""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from schemas.money import usd_to_pico
from schemas.tenancy import ApiKey, Project, Tenants


class InvalidTenants(Exception):
    """Everything that is wrong with the file, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_tenants(path: str) -> Tenants:
    """Raises InvalidTenants."""
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTenants([f"{path}: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTenants([f"{path}: {error}"]) from error
    problems = [f"{path}: unknown section '{name}'" for name in document if name not in ("projects", "api_keys")]
    projects = _read(document, "projects", Project, path, problems)
    # Where a project could not be read, a key that names it is not a mistake of its own.
    all_projects_read = not problems
    api_keys = _read(document, "api_keys", ApiKey, path, problems)
    known = {project.project_id for project in projects}
    problems += [
        f"{path}: api_keys '{key.api_key_id}': there is no project '{key.project_id}'"
        for key in api_keys
        if all_projects_read and key.project_id not in known
    ]
    for what, names in (
        ("project_id", [project.project_id for project in projects]),
        ("api_key_id", [key.api_key_id for key in api_keys]),
        ("key_sha256", [key.key_sha256 for key in api_keys]),
    ):
        problems += [f"{path}: {what} '{name}' is there twice" for name, count in Counter(names).items() if count > 1]
    if problems:
        raise InvalidTenants(problems)
    return Tenants(tuple(projects), tuple(api_keys))


def _read(document: dict[str, Any], section: str, record_type: Any, path: str, problems: list[str]) -> list[Any]:
    tables = document.get(section, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(f"{path}: {section} must be written as tables, each headed [[{section}]]")
        return []
    records = []
    for number, raw in enumerate(tables, start=1):
        entry = dict(raw)
        try:
            if "budget_usd" in entry:
                budget = entry.pop("budget_usd")
                if not isinstance(budget, str):
                    raise ValueError(f'budget_usd must be a string such as "12.50", not {budget!r}')
                entry["budget_pico_usd"] = usd_to_pico(budget)
                if entry["budget_pico_usd"] < 0:
                    raise ValueError("budget_usd must not be negative")
            records.append(msgspec.convert(entry, record_type))
        except (msgspec.ValidationError, ValueError) as error:
            problems.append(f"{path}: {section} number {number}: {error}")
    return records
