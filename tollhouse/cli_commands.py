"""The commands of the command line, made from the admin API's own table of operations: so neither can lag behind. Pure.

`/keys` is `tollhouse keys`; its operations are verbs. `/usage` and `/audit` have one each, and no verb.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from admin_api.operation import Operation
from admin_api.operations import OPERATIONS
from tollhouse.cli_options import Option, add_options, clearable, options_of

COMMANDS = (
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
)
DEFAULT_ROWS = 1000

_WITHOUT_VERB = ("usage", "audit")
_VERBS = {"get": "show"}


@dataclass(frozen=True, slots=True)
class Verb:
    """One operation. variables: of its path, which are arguments in this order."""

    command: str
    name: str
    operation: Operation
    variables: tuple[str, ...]
    query: list[Option]
    body: list[Option]
    clears: dict[str, Any]

    @property
    def pages(self) -> bool:
        return self.operation.query is not None and "cursor" in self.operation.query.__struct_fields__


def verbs_of(command: str) -> list[Verb]:
    """Those of "keys", …"""
    return [_verb(command, operation) for operation in OPERATIONS if operation.path.split("/")[1] == command]


def parser_of(command: str) -> argparse.ArgumentParser:
    """Its result has `verb` (a Verb), and the values of the options of `tollhouse.cli_options`."""
    verbs = verbs_of(command)
    parser = argparse.ArgumentParser(
        prog=f"tollhouse {command}",
        description=verbs[0].operation.summary if command in _WITHOUT_VERB else None,
        epilog="Exit code: 0 done, 1 refused or not reachable, 2 wrong options or settings. See docs/cli.md.",
        allow_abbrev=False,
    )
    if command in _WITHOUT_VERB:
        _add(parser, verbs[0])
        return parser
    choices = parser.add_subparsers(required=True, metavar="|".join(verb.name for verb in verbs))
    for verb in verbs:
        summary = verb.operation.summary
        _add(choices.add_parser(verb.name, help=summary, description=summary, allow_abbrev=False), verb)
    return parser


def _verb(command: str, operation: Operation) -> Verb:
    word = operation.operation_id.partition("_")[0]
    body = options_of(operation.body)
    return Verb(
        command=command,
        name=_VERBS.get(word, word),
        operation=operation,
        variables=tuple(part[1:-1] for part in operation.path.split("/") if part.startswith("{")),
        query=options_of(operation.query),
        body=body,
        clears=clearable(body) if operation.method == "PATCH" else {},
    )


def _add(parser: argparse.ArgumentParser, verb: Verb) -> None:
    for name in verb.variables:
        parser.add_argument(f"variable_{name}", metavar=name.upper())
    add_options(parser, verb.query)
    add_options(parser, verb.body)
    if verb.clears:
        parser.add_argument("--clear", action="append", choices=sorted(verb.clears), default=[], help="unset a field")
    if verb.pages:
        parser.add_argument(
            "--limit", type=int, default=DEFAULT_ROWS, metavar="N", help=f"rows at most ({DEFAULT_ROWS}; 0: all)"
        )
    parser.add_argument("--json", action="store_true", help="the API's answer as it is")
    parser.add_argument("--admin-url", metavar="URL", help="instead of TOLLHOUSE_CLI_ADMIN_URL")
    parser.add_argument("--management-key-file", metavar="FILE", help="instead of TOLLHOUSE_CLI_MANAGEMENT_KEY")
    parser.set_defaults(verb=verb)
