"""A handle on the engine: what one call, or one session's calls, run on. Blocking; the only user of chdb's API.

Two facts about chdb 26.9 shape this file:

- A handle has its own settings, current database and temporary tables, and costs about 0.1 ms. So a call
  without a session gets a fresh one, and nothing can leak from it.
- `query("INSERT ... FORMAT X <data>")` ends the data at the first empty line and reports success: rows are
  lost in silence, in binary formats too (bytes 0A 0A). Data therefore goes through `send_insert`, which takes
  it apart from the statement; deduplication and all-or-nothing are then as in ClickHouse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from deploy.local.clickhouse.errors import from_engine
from deploy.local.clickhouse.requests import Call, ExternalTable


class _QueryResult(Protocol):
    def bytes(self) -> bytes | None: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class _Written(Protocol):
    rows_written: int
    bytes_written: int


class _Inserter(Protocol):
    def append(self, data: bytes) -> None: ...
    def finish(self) -> _Written: ...
    def cancel(self) -> None: ...


class Connection(Protocol):
    """What is used of `chdb.state.sqlitelike.Connection`, which is only partly annotated."""

    def query(self, sql: str | bytes, output_format: str, /, params: dict[str, str] | None = None) -> _QueryResult: ...
    def send_insert(self, head: str | bytes, input_format: str, /) -> _Inserter: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Result:
    """`data` in the call's output format, and the counts of ClickHouse's X-ClickHouse-Summary.

    `written_rows` includes what materialized views wrote, and rows that deduplication then dropped.
    """

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    result_rows: int
    result_bytes: int
    elapsed_ns: int


class Handle:
    """One connection to the engine, for one thread at a time.

    Every method raises ClickHouseError for what the engine refuses. Of a refused inline insert nothing is
    written, up to `min_insert_block_size_rows` (about a million rows), as in ClickHouse.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # chdb takes a bare expression for a SELECT; a server does not, and answers a misspelt verb with another error.
        self._set({"implicit_select": "0"})

    def run_once(self, call: Call) -> Result:
        """Run the only call of this handle."""
        with _engine_errors():
            self._prepare(call)
            if call.readonly != "0":
                # Last, because nothing can be set on a read-only handle.
                self._set({"readonly": call.readonly})
            return self._execute(call)

    def run_in_session(self, call: Call) -> Result:
        """Run one of many calls: what belongs to the call alone is put back afterwards.

        The parameters of an inline insert stay, as chdb has no way to unset them; the next use overwrites them.
        """
        with _engine_errors():
            undo = self._undo_statements(call)
            try:
                self._prepare(call)
                return self._execute(call)
            finally:
                for statement in undo:
                    self._connection.query(statement, "Null")

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, call: Call) -> None:
        if call.database:
            self._connection.query(f"USE {_name(call.database)}", "Null")
        for table in call.external_tables:
            self._create_temporary(table)
        self._set(call.settings)

    def _execute(self, call: Call) -> Result:
        started_ns = time.perf_counter_ns()
        if call.insert is not None:
            # send_insert has no argument for parameters, but reads a handle's `param_x`.
            self._set({f"param_{name}": value for name, value in call.params.items()})
            written = self._insert(call.insert.head, call.insert.format, call.insert.data)
            elapsed_ns = time.perf_counter_ns() - started_ns
            return Result(b"", 0, 0, written.rows_written, written.bytes_written, 0, 0, elapsed_ns)
        result = self._connection.query(call.sql, call.output_format, params=dict(call.params))
        return Result(
            data=bytes(result.bytes() or b""),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read(),
            elapsed_ns=time.perf_counter_ns() - started_ns,
        )

    def _insert(self, head: str | bytes, format_name: str, data: bytes) -> _Written:
        inserter = self._connection.send_insert(head, format_name)
        try:
            if data:
                inserter.append(data)
            return inserter.finish()
        finally:
            inserter.cancel()  # does nothing after finish(); without it a failed insert would keep the handle busy

    def _create_temporary(self, table: ExternalTable) -> None:
        self._connection.query(f"CREATE TEMPORARY TABLE {table.name} ({table.structure})", "Null")
        self._insert(f"INSERT INTO {table.name}", table.format, table.data)

    def _set(self, settings: Mapping[str, str]) -> None:
        if settings:
            changes = ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
            self._connection.query(f"SET {changes}", "Null")

    def _undo_statements(self, call: Call) -> list[str]:
        undo = [f"DROP TEMPORARY TABLE IF EXISTS {table.name}" for table in call.external_tables]
        if call.database and not call.changes_database:
            (row,) = self._rows("SELECT currentDatabase()")
            undo.append(f"USE {_name(row[0])}")
        if call.settings:
            names = ", ".join(_literal(name) for name in call.settings)
            for name, value, changed in self._rows(
                f"SELECT name, value, toString(changed) FROM system.settings WHERE name IN ({names})"
            ):
                undo.append(f"SET {name} = {_literal(value) if changed == '1' else 'DEFAULT'}")
        return undo

    def _rows(self, query: str) -> list[list[str]]:
        lines = (self._connection.query(query, "JSONCompactEachRow").bytes() or b"").splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # chdb's only kind: ChdbError is one, and send_insert raises it bare
        raise from_engine(str(error)) from error


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"
