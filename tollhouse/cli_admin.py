"""`tollhouse keys create …` and its like: the admin API from a terminal."""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS
from tollhouse.admin_client import AdminAnswer, AdminAway, AdminClient, AdminRefused, filled
from tollhouse.cli_commands import COMMANDS, Verb, parser_of
from tollhouse.cli_options import as_query, flag, given
from tollhouse.cli_output import as_json, sheet, table

PAGE_ROWS = 500

_HINTS = {
    401: "Set TOLLHOUSE_CLI_MANAGEMENT_KEY, or give --management-key-file. It takes a management key (thm_...).",
    503: "It is not certain whether anything was changed: look, before you try again.",
}
_DONE = {"delete": "deleted", "revoke": "revoked, everywhere within a second"}


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the admin API is, and the management key to open it with. For the command line only."""

    admin_url: str = "http://127.0.0.1:8081"
    management_key: str = ""


class CliSettings(msgspec.Struct, frozen=True, kw_only=True):
    cli: AccessSettings


def run(arguments: list[str]) -> int:
    """`arguments` begin with the command: ["keys", "list"]. Exit code: 0 done, 1 refused or not reachable, 2 wrong
    options or settings."""
    command = arguments[0]
    assert command in COMMANDS, command
    parser = parser_of(command)
    options = vars(parser.parse_args(arguments[1:]))
    verb: Verb = options["verb"]
    if verb.clears and not options["clear"] and not given(verb.body, options):
        parser.error(f"nothing to change: give at least one of {', '.join(option.flag for option in verb.body)}")
    try:
        client = _client(options)
        _tell(verb, options, _answer(client, verb, options))
    except _Unusable as error:
        return _fail(command, str(error), 2)
    except AdminRefused as error:
        named = f" ({_named(verb, error.param)})" if error.param else ""
        hint = f"\n{_HINTS[error.status]}" if error.status in _HINTS else ""
        return _fail(command, f"{error.message}{named}{hint}", 1)
    except AdminAway as error:
        hint = "Is it running (tollhouse admin-api), and is TOLLHOUSE_CLI_ADMIN_URL its address?"
        return _fail(command, f"{error}\n{hint}", 1)
    return 0


class _Unusable(Exception):
    """What the command was given cannot be used."""


def _client(options: dict[str, Any]) -> AdminClient:
    try:
        settings = load_settings(CliSettings, os.environ, KNOWN_GROUPS).cli
    except InvalidSettings as error:
        raise _Unusable("\n".join(error.problems)) from error
    key = settings.management_key
    if (path := options["management_key_file"]) is not None:
        try:
            key = Path(path).read_text(encoding="ascii").strip()
        except OSError as error:
            raise _Unusable(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise _Unusable(f"{path}: holds no management key") from error
    if not key:
        raise _Unusable(f"There is no management key. {_HINTS[401]}")
    if not (key.isascii() and key.isprintable()):
        raise _Unusable("The management key has characters that no key has.")
    try:
        return AdminClient(options["admin_url"] or settings.admin_url, key)
    except ValueError as error:
        raise _Unusable(str(error)) from error


def _answer(client: AdminClient, verb: Verb, options: dict[str, Any]) -> AdminAnswer:
    """Of a collection all pages, up to the limit."""
    path = filled(verb.operation.path, {name: options[f"variable_{name}"] for name in verb.variables})
    query = as_query(given(verb.query, options))
    body = given(verb.body, options) if verb.operation.body is not None else None
    for name in options.get("clear", ()):
        assert body is not None
        body.setdefault(name, verb.clears[name])
    if not verb.pages or query.get("format") == "csv":
        return client.call(verb.operation.method, path, query, body)
    limit = options["limit"] or sys.maxsize
    rows: list[Any] = []
    while True:
        page = client.call(
            verb.operation.method, path, query | {"limit": str(max(1, min(PAGE_ROWS, limit - len(rows))))}
        )
        rows += page.data["data"]
        cursor = page.data["next_cursor"]
        if cursor is None or len(rows) >= limit:
            return AdminAnswer(page.data | {"data": rows}, "")
        query["cursor"] = cursor


def _tell(verb: Verb, options: dict[str, Any], answer: AdminAnswer) -> None:
    data = answer.data
    if data is None:
        print(answer.text, end="")
        return
    if verb.pages and data["next_cursor"] is not None:
        print(f"There are more than {options['limit']}: --limit 0 shows all.", file=sys.stderr)
    if "secret" in data:
        print("Keep the secret: it is shown this once, and stored nowhere.", file=sys.stderr)
    if options["json"]:
        print(as_json(data), end="")
    elif verb.pages:
        rows = data["data"]
        # Usage tells a total, which the rows need not add up to.
        print(table([*rows, {"period_start": "total", **data["total"]}] if "total" in data else rows), end="")
    elif verb.name in _DONE:
        print(f"{verb.command} {options[f'variable_{verb.variables[-1]}']}: {_DONE[verb.name]}")
    else:
        print(sheet(data), end="")


def _named(verb: Verb, param: str) -> str:
    """A field of the API by its option, where it has one."""
    names = {option.name for option in (*verb.query, *verb.body)}
    last = param.rpartition(".")[2]
    return flag(last) if last in names else param


def _fail(command: str, message: str, code: int) -> int:
    print("\n".join(f"{command}: {line}" for line in message.splitlines()), file=sys.stderr)
    return code
