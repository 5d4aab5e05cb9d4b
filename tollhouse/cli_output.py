"""The API's answers as text for a terminal. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> str:
    """A line for each row, aligned. Columns in which no row has anything are left out."""
    if not rows:
        return "(none)\n"
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    columns = [name for name in names if any(row.get(name, "") for row in flat)]
    lines = [[name.upper() for name in columns], *([row.get(name, "") for name in columns] for row in flat)]
    return _aligned(lines)


def sheet(item: Row) -> str:
    """A line for each field; lists of things below it as tables."""
    lists = {name: value for name, value in item.items() if _is_rows(value)}
    lines = [[name, text] for name, text in _flat({n: v for n, v in item.items() if n not in lists}).items() if text]
    below = [f"\n{name}\n{table(value)}" for name, value in lists.items()]
    return _aligned(lines) + "".join(below)


def as_json(data: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def _flat(row: Row) -> dict[str, str]:
    """What is one level below gets a column of its own."""
    cells: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            # Two levels may use one name: a budget's limit, and that limit with its raises, in force now.
            cells |= {f"{name}_{inner}" if inner in row else inner: _text(one) for inner, one in value.items()}
        else:
            cells[name] = _text(value)
    return cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A value that somebody chose must not move the cursor, or make lines of its own.
        return "".join(character if character.isprintable() else "�" for character in value)
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ",".join(_text(item) for item in value)
    return msgspec.json.encode(value).decode()


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
