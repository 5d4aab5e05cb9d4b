"""`tollhouse <command>`: everything that the image and the Makefile call."""

import importlib
import sys
from collections.abc import Callable

USAGE = """usage: tollhouse <command> [options]

services (each takes --validate: check the settings and exit)
  ingress             the API for clients
  router-worker       calls the vendors
  billing-consumer    writes usage to ClickHouse, and is the authority on budgets
  admin-api           projects, keys, budgets; usage and audit

set-up, safe to repeat
  topics              create the Kafka topics
  migrate             bring the ClickHouse schema up to date
  bootstrap FILE      make the first projects, keys and budgets

reference
  settings            every setting, with its default (docs/settings.md)

day to day, through the admin API (docs/cli.md)
  organizations projects keys management-keys customers tags budgets
  vendor-credentials webhooks          list, show, create, update, delete ...
  usage audit requests                 what was spent, who changed what, one request
  reconcile           compare every account with every other; exit code 1 on a difference
  corrections FILE    replace what was counted for single calls by what their vendor says

one machine
  local up|down       the whole fleet, for development (see 'make help')
"""

# Imported only when asked for: an ingress should not load ClickHouse's client, nor a worker the local stack.
_MODULES = {
    "ingress": "ingress.__main__",
    "router-worker": "router_worker.__main__",
    "billing-consumer": "billing_consumer.__main__",
    "admin-api": "admin_api.__main__",
    "bootstrap": "tollhouse.bootstrap",
    "reconcile": "tollhouse.reconcile",
    "corrections": "tollhouse.corrections",
    "topics": "tollhouse.topics",
    "migrate": "tollhouse.migrate",
    "settings": "tollhouse.settings_page",
    "local": "deploy.local.command",
}
# All one module's, which has them from the admin API's own table of operations.
_ADMIN_COMMANDS = frozenset(
    {
        "organizations",
        "projects",
        "keys",
        "management-keys",
        "customers",
        "tags",
        "budgets",
        "vendor-credentials",
        "webhooks",
        "usage",
        "audit",
        "requests",
    }
)


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] in _ADMIN_COMMANDS:
        sys.exit(importlib.import_module("tollhouse.cli_admin").run(arguments))
    run = _command(arguments[0])
    if run is None:
        print(f"tollhouse: there is no command '{arguments[0]}'\n\n{USAGE}", end="", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(arguments[1:]))


def _command(name: str) -> Callable[[list[str]], int] | None:
    module = _MODULES.get(name)
    if module is None:
        return None
    run: Callable[[list[str]], int] = importlib.import_module(module).run
    return run


if __name__ == "__main__":
    main()
