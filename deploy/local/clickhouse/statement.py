"""Reading a SQL statement just far enough: which kind it is, and where its inline insert data begins. Pure.

The grammar followed is that of ClickHouse's ParserInsertQuery: `FORMAT name`, optional settings, an optional
`;`, blanks, at most one line end, and then data, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.local.clickhouse.errors import NOT_IMPLEMENTED, refuse

# Strings and quoted names are one token each, so that a `;`, a bracket or a keyword within them counts for nothing.
_TOKEN = re.compile(
    rb"""
      (?P<blank>  \s+ | --[^\n]* | \#[\s!][^\n]* | /\*.*?\*/ )
    | (?P<quoted> '[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | "[^"\\]*(?:\\.[^"\\]*)*" | `[^`\\]*(?:\\.[^`\\]*)*` )
    | (?P<word>   \w+ )
    | (?P<mark>   . )
    """,
    re.DOTALL | re.VERBOSE,
)
# Settings after FORMAT must stand on its line: further on, the same words would be data.
_SETTING = rb"\w+[ \t]*=[ \t]*(?:'[^'\\]*(?:\\.[^'\\]*)*'|[\w.+-]+)"
_DATA_FOLLOWS = re.compile(
    rb"\s+(?P<format>\w+)(?:[ \t]+(?P<settings>SETTINGS[ \t]+" + _SETTING + rb"(?:[ \t]*,[ \t]*" + _SETTING + rb")*))?"
    rb"[ \t\f]*;?[ \t\f]*\r?\n?",
    re.IGNORECASE,
)
_RESULT_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^;]*)?;?\s*$", re.IGNORECASE)

_READING_VERBS = frozenset(
    {"SELECT", "WITH", "FROM", "SHOW", "DESC", "DESCRIBE", "EXISTS", "EXPLAIN", "CHECK", "VALUES", "KILL"}
)


@dataclass(frozen=True, slots=True)
class InlineInsert:
    """`head` is the statement up to its FORMAT clause; `data` is in the input format named `format`."""

    head: bytes
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: bytes
    start: int
    end: int


def _tokens(sql: bytes) -> Iterator[_Token]:
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup
        if kind is not None and kind != "blank":
            yield _Token(kind, found[0], found.start(), found.end())


def verb(sql: bytes) -> str:
    """The first word in upper case, past comments and brackets; empty if there is none."""
    for token in _tokens(sql):
        if token.text != b"(":
            return token.text.decode("ascii", "replace").upper() if token.kind == "word" else ""
    return ""


def gives_result(sql: bytes) -> bool:
    """Whether the statement answers with rows, even when there are none; nothing else passes as read-only."""
    return verb(sql) in _READING_VERBS


def result_format(sql: bytes) -> str | None:
    """The format named at the end of a statement that is not an insert."""
    found = _RESULT_FORMAT.search(sql[-4096:])
    return found[1].decode() if found else None


def has_second_statement(sql: bytes) -> bool:
    """Whether anything but comments follows a `;`. ClickHouse's HTTP interface refuses it, chdb would run it."""
    if b";" not in sql.rstrip(b"; \t\r\n"):
        return False
    ended = False
    for token in _tokens(sql):
        if token.text == b";":
            ended = True
        elif ended:
            return True
    return False


def split_insert(sql: bytes) -> InlineInsert | None:
    """Divide `INSERT INTO t (a) FORMAT X <data>`; None for every other statement.

    `INSERT ... VALUES (...)` is not divided: the engine reads it whole, empty lines included.

    Raises:
        ClickHouseError: NOT_IMPLEMENTED for `INSERT ... SELECT ... FROM input(...)`, whose data chdb would cut
            at the first empty line.
    """
    if verb(sql) != "INSERT":
        return None
    depth = 0
    selects = False
    previous = b""
    for token in _tokens(sql):
        if token.text == b"(":
            if selects and previous.lower() == b"input":
                raise refuse(NOT_IMPLEMENTED, "INSERT SELECT FROM input() is not supported by this local server")
            depth += 1
        elif token.text == b")":
            depth -= 1
        elif token.kind == "word" and depth == 0 and not selects and previous != b".":
            word = token.text.upper()
            if word == b"FORMAT":
                return _divide(sql, token)
            if word in (b"VALUES", b"INFILE"):
                return None
            selects = word in (b"SELECT", b"WITH", b"FROM")
        previous = token.text
    return None


def _divide(sql: bytes, format_word: _Token) -> InlineInsert | None:
    found = _DATA_FOLLOWS.match(sql, format_word.end)
    if found is None:
        return None
    head = sql[: format_word.start].rstrip()
    if found["settings"]:
        head += b" " + found["settings"]
    return InlineInsert(head, found["format"].decode(), sql[found.end() :])
