"""From an HTTP request to the one call it makes on the engine. Pure: no aiohttp, no engine.

Follows ClickHouse's HTTP interface: the statement is the URL's (or form's) `query` and then the body; a
`param_x` field is the query parameter `x`; any other field that is not the transport's is a setting for
this call alone; a file in a multipart form is a temporary table that exists for this call alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.clickhouse.errors import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    READONLY,
    SYNTAX_ERROR,
    UNKNOWN_FORMAT,
    UNKNOWN_SETTING,
    refuse,
)
from deploy.local.clickhouse.statement import (
    InlineInsert,
    gives_result,
    has_second_statement,
    result_format,
    split_insert,
    verb,
)

# Fields that steer the HTTP interface itself. To take one for a setting would fail: the engine knows none of them,
# or (the cancel and exception ones) has no use for it without a server.
_TRANSPORT_FIELDS = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_write_exception_in_output_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FORMAT_NAME = re.compile(r"\w+", re.ASCII)
# chdb's own, for results as Python objects; ClickHouse has no such formats.
_PYTHON_ONLY_FORMATS = frozenset({"arrowtable", "dataframe", "datastore"})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came, its body already decoded. `fields` are the URL's and a form's, the form's winning."""

    method: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    uploads: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """`structure` is a column list as in CREATE TABLE; `data` is in the input format named `format`."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One statement and all that it depends on.

    `readonly` is the value of ClickHouse's setting of that name, kept apart from `settings` because it
    must be set last. `output_format` is also the default that the engine uses when `sql` names none.
    """

    sql: bytes
    insert: InlineInsert | None
    params: Mapping[str, str]
    settings: Mapping[str, str]
    readonly: str
    database: str
    output_format: str
    gives_result: bool
    changes_database: bool
    external_tables: tuple[ExternalTable, ...]


def parse_call(request: HttpRequest) -> Call:
    """Read a request.

    Raises:
        ClickHouseError: for an empty or second statement, a name that cannot be one, and what is not supported.
    """
    for name in ("compress", "decompress"):
        if request.fields.get(name, "0") not in ("", "0"):
            raise refuse(NOT_IMPLEMENTED, f"Native block compression ({name}=1) is not supported")
    sql, insert = _statement(request.fields.get("query", "").encode(), request.body)
    settings = _settings(request)
    readonly = settings.pop("readonly", "0")
    if readonly == "0" and request.method in ("GET", "HEAD"):
        readonly = "2"  # ClickHouse: a GET changes nothing, but may carry settings
    return Call(
        sql=sql,
        insert=insert,
        params={key[6:]: value for key, value in request.fields.items() if key.startswith("param_")},
        settings=settings,
        readonly=readonly,
        database=request.fields.get("database") or request.headers.get("X-ClickHouse-Database", ""),
        output_format=_output_format(sql, insert, request),
        gives_result=insert is None and gives_result(sql),
        changes_database=verb(sql) == "USE",
        external_tables=tuple(_external_table(name, data, request) for name, data in request.uploads.items()),
    )


def guard_shared_handle(call: Call) -> None:
    """Refuse what is not plainly reading when a read-only call runs in a session.

    The engine could be told `readonly`, but no handle ever loses it again, so that the session's next call would fail.
    """
    if call.readonly != "0" and not call.gives_result:
        raise refuse(READONLY, "Cannot execute query in readonly mode")


def _statement(query: bytes, body: bytes) -> tuple[bytes, InlineInsert | None]:
    insert = split_insert(query)
    if insert is not None:
        # The URL holds the INSERT and the body is data: not even a line end may come between.
        return insert.head, InlineInsert(insert.head, insert.format, insert.data + body)
    sql = query + b"\n" + body if query and body else query or body
    insert = split_insert(sql)
    if insert is not None:
        return insert.head, insert
    if not verb(sql) and not sql.strip():
        raise refuse(SYNTAX_ERROR, "Syntax error: Empty query")
    if verb(sql) != "INSERT" and has_second_statement(sql):
        raise refuse(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
    return sql, None


def _settings(request: HttpRequest) -> dict[str, str]:
    options = {f"{name}_{option}" for name in request.uploads for option in ("format", "structure", "types")}
    settings = {
        key: value
        for key, value in request.fields.items()
        if key not in _TRANSPORT_FIELDS and key not in options and not key.startswith("param_")
    }
    for name in settings:
        if not _NAME.fullmatch(name):
            raise refuse(UNKNOWN_SETTING, f"Unknown setting {name!r}")
    return settings


def _output_format(sql: bytes, insert: InlineInsert | None, request: HttpRequest) -> str:
    named = result_format(sql) if insert is None and verb(sql) != "INSERT" else None
    chosen = named or request.fields.get("default_format") or request.headers.get("X-ClickHouse-Format")
    chosen = chosen or "TabSeparated"
    if not _FORMAT_NAME.fullmatch(chosen) or chosen.lower() in _PYTHON_ONLY_FORMATS:
        raise refuse(UNKNOWN_FORMAT, f"Unknown format {chosen}")
    return chosen


def _external_table(name: str, data: bytes, request: HttpRequest) -> ExternalTable:
    if not _NAME.fullmatch(name):
        raise refuse(BAD_ARGUMENTS, f"External table name {name!r} is not an identifier")
    structure = request.fields.get(f"{name}_structure")
    if structure is None:
        types = request.fields.get(f"{name}_types")
        if not types:
            raise refuse(BAD_ARGUMENTS, f"External table {name} has neither {name}_structure nor {name}_types")
        structure = _numbered_columns(types)
    return ExternalTable(name, structure, request.fields.get(f"{name}_format", "TabSeparated"), data)


def _numbered_columns(types: str) -> str:
    """Columns `_1`, `_2`, ... of a comma-separated list of types, which may themselves hold commas in brackets."""
    columns = [""]
    depth = 0
    for character in types:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            columns.append("")
        else:
            columns[-1] += character
    return ", ".join(f"_{number} {column.strip()}" for number, column in enumerate(columns, start=1))
