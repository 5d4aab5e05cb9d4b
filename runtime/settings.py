"""Settings: environment and an optional TOML file → frozen, typed structs. Every error at once, each with its name.

A service declares a struct of groups, each group a struct of plain fields. The field `bootstrap` of the group `kafka`
is `TOLLHOUSE_KAFKA_BOOTSTRAP` in the environment and `bootstrap` under `[kafka]` in the file that
`TOLLHOUSE_CONFIG_FILE` names. The environment wins. A name of a group that exists, but of a field that does not, is an
error: a mistyped limit must not silently become no limit.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

PREFIX = "TOLLHOUSE_"
CONFIG_FILE_VARIABLE = f"{PREFIX}CONFIG_FILE"
# Read elsewhere: the second by deploy.local.
_NO_SETTINGS = frozenset({CONFIG_FILE_VARIABLE, f"{PREFIX}CACHE_DIR"})

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class InvalidSettings(Exception):
    """Everything that is wrong, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def variable_name(group: str, field: str) -> str:
    """The environment's name of a setting."""
    return f"{PREFIX}{group}_{field}".upper()


def load_settings(
    settings_type: type[SettingsT], environ: Mapping[str, str], known_groups: frozenset[str]
) -> SettingsT:
    """Raises InvalidSettings.

    `known_groups` are the groups of all services: a file or an environment may be shared, so another service's groups
    are passed over, but a group that nobody has is a mistake.
    """
    problems: list[str] = []
    from_file = _read_file(environ.get(CONFIG_FILE_VARIABLE), problems)
    groups = {field.name: field for field in msgspec.structs.fields(settings_type)}
    problems += [
        f"[{name}] in the settings file: there is no such group" for name in set(from_file) - known_groups - set(groups)
    ]
    known_prefixes = tuple(variable_name(group, "") for group in known_groups | set(groups))
    problems += [
        f"{name}: there is no such group of settings"
        for name in environ
        if name.startswith(PREFIX) and name not in _NO_SETTINGS and not name.startswith(known_prefixes)
    ]
    values: dict[str, Any] = {}
    for name, group in groups.items():
        table = from_file.get(name, {})
        if not isinstance(table, Mapping):
            problems.append(f"{name} in the settings file: expected a table, [{name}]")
            table = {}
        values[name] = _load_group(name, group.type, environ, table, problems)
    if problems:
        raise InvalidSettings(sorted(problems))
    return settings_type(**values)


def _read_file(path: str | None, problems: list[str]) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{CONFIG_FILE_VARIABLE}: {path}: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{CONFIG_FILE_VARIABLE}: {path}: {error}")
    return {}


def _load_group(
    group: str, group_type: Any, environ: Mapping[str, str], from_file: Mapping[str, Any], problems: list[str]
) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(group_type)}
    problems += [
        f"{group}.{name} in the settings file: there is no such setting" for name in set(from_file) - set(fields)
    ]
    group_prefix = variable_name(group, "")
    known_variables = {variable_name(group, name) for name in fields}
    problems += [
        f"{name}: there is no such setting"
        for name in environ
        if name.startswith(group_prefix) and name not in known_variables
    ]
    values: dict[str, Any] = {}
    before = len(problems)
    for name, field in fields.items():
        variable = variable_name(group, name)
        if variable in environ:
            raw: Any = environ[variable]
            if get_origin(field.type) is tuple:
                raw = [item.strip() for item in raw.split(",") if item.strip()]
            elif raw == "" and type(None) in get_args(field.type):
                raw = None
        elif name in from_file:
            raw = from_file[name]
        elif field.required:
            problems.append(f"{variable}: is required and not set")
            continue
        else:
            continue
        try:
            values[name] = msgspec.convert(raw, field.type, strict=False)
        except msgspec.ValidationError as error:
            # A secret must not be quoted back: msgspec's messages name types and bounds, never the value.
            problems.append(f"{variable}: {error}")
    if len(problems) > before:
        return None
    return group_type(**values)
