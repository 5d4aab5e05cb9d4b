"""`tollhouse settings`: every setting as a page of Markdown, from the code itself. docs/settings.md is its output."""

import argparse
import inspect
from typing import Any

import msgspec

from admin_api.settings import AdminApiSettings
from billing_consumer.settings import BillingSettings
from ingress.settings import IngressSettings
from router_worker.settings import WorkerSettings
from runtime.settings import CONFIG_FILE_VARIABLE, variable_name
from tollhouse.bootstrap import BootstrapSettings
from tollhouse.cli_admin import CliSettings

SERVICES: dict[str, type[msgspec.Struct]] = {
    "ingress": IngressSettings,
    "router-worker": WorkerSettings,
    "billing-consumer": BillingSettings,
    "admin-api": AdminApiSettings,
}
COMMANDS: dict[str, type[msgspec.Struct]] = {"bootstrap": BootstrapSettings, "keys, budgets, usage ...": CliSettings}

_INTRODUCTION = f"""# Settings

Made by `tollhouse settings`. A setting is an environment variable, or a line in the TOML file that
`{CONFIG_FILE_VARIABLE}` names (`TOLLHOUSE_KAFKA_BOOTSTRAP` is `bootstrap` under `[kafka]`); the environment wins.
`tollhouse <service> --validate` says all that is wrong at once. Lists are written with commas. Vendors' keys are in
variables of their own (`ZAI_API_KEY`, …) or in mounted files (`TOLLHOUSE_VENDORS_KEYS_DIR`).
"""


def run(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="tollhouse settings", description="Every setting, as Markdown.").parse_args(arguments)
    print(page(), end="")
    return 0


def page() -> str:
    sections = [_INTRODUCTION]
    users: dict[str, list[str]] = {}
    types: dict[str, Any] = {}
    for service, settings_type in {**SERVICES, **COMMANDS}.items():
        for group in msgspec.structs.fields(settings_type):
            users.setdefault(group.name, []).append(service)
            types[group.name] = group.type
    for group_name, group_type in types.items():
        sections.append(_section(group_name, group_type, users[group_name]))
    return "\n".join(sections)


def _section(group: str, group_type: Any, services: list[str]) -> str:
    used_by = "all services" if SERVICES.keys() <= set(services) else ", ".join(services)
    lines = [f"## {group} ({used_by})", "", inspect.cleandoc(group_type.__doc__ or ""), ""]
    lines += ["| variable | default |", "|---|---|"]
    for field in msgspec.structs.fields(group_type):
        default = "**required**" if field.required else _text(field)
        lines.append(f"| `{variable_name(group, field.name)}` | {default} |")
    return "\n".join(lines) + "\n"


def _text(field: msgspec.structs.FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return "*(not set)*"
    if value == "":
        return "*(empty)*"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
