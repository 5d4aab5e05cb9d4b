"""Brings ClickHouse's tables up to date: `migrations/*.sql` in order, each once.

ClickHouse has no transactions over DDL. So every statement is one that may run twice (IF NOT EXISTS), a file is
recorded after its last statement, and a run that was cut off is finished by the next. A file that was applied must not
be edited: the tables would no longer be what the repository says.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from clickhouse_connect.driver.asyncclient import AsyncClient

from runtime.clickhouse import connect
from runtime.shared_settings import ClickHouseSettings

DEDUPLICATION_WINDOW = 20_000
"""How many blocks a table remembers. A busy fleet writes some twenty a second, so about a quarter of an hour: far
longer than a consumer that lost its partition can go on writing (billing_consumer/batch_loop.py)."""

# The one place that names engines. Deduplication must be on for each table and for each target of a materialized view:
# without it on a target, a batch that is inserted twice counts once in the table and twice in the rollup.
_ENGINES = {
    "merge_tree": "MergeTree",
    "summing_merge_tree": "SummingMergeTree",
    "replacing_merge_tree": "ReplacingMergeTree",
    "deduplication": f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}",
}

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name String,
    sha256 String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = $merge_tree
ORDER BY name
"""


class MigrationRefused(Exception):
    """An applied file has changed. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """A statement ends with a semicolon at the end of a line."""
        parts = (self.text + "\n").split(";\n")
        return [Template(part.strip()).substitute(_ENGINES) for part in parts if part.strip()]


def load_migrations() -> list[Migration]:
    """The files that come with this version, in order of their numbers."""
    folder = files("billing_consumer") / "migrations"
    found = [Migration(f.name, f.read_text(encoding="utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")]
    return sorted(found, key=lambda migration: migration.name)


async def migrate(
    settings: ClickHouseSettings, say: Callable[[str], None], migrations: list[Migration] | None = None
) -> None:
    """Safe to run at every deploy, by one process at a time. `migrations`: instead of this version's own.

    Raises MigrationRefused, or one of runtime.clickhouse.CLICKHOUSE_ERRORS.
    """
    wanted = load_migrations() if migrations is None else migrations
    server = await connect(settings, database="default")
    try:
        await server.command(f"CREATE DATABASE IF NOT EXISTS {_quoted(settings.database)}")
        say(f"database {settings.database}: there")
    finally:
        await server.close()
    client = await connect(settings)
    try:
        await client.command(Template(_RECORD_TABLE).substitute(_ENGINES))
        applied = dict(await _rows(client, "SELECT name, sha256 FROM schema_migrations"))
        _refuse_changes(wanted, applied)
        for migration in wanted:
            if migration.name in applied:
                say(f"migration {migration.name}: applied before")
                continue
            for statement in migration.statements:
                await client.command(statement)
            await client.insert(
                "schema_migrations", [[migration.name, migration.sha256]], column_names=["name", "sha256"]
            )
            say(f"migration {migration.name}: applied")
    finally:
        await client.close()


def _refuse_changes(wanted: list[Migration], applied: dict[str, str]) -> None:
    known = {migration.name: migration.sha256 for migration in wanted}
    for name, sha256 in sorted(applied.items()):
        # A file that is not known here was applied by a newer version. Its tables only add to what this one needs.
        if name in known and known[name] != sha256:
            raise MigrationRefused(
                f"migration {name} was applied with other contents than it has now. "
                "Restore the file, and put the change in a new one."
            )


async def _rows(client: AsyncClient, query: str) -> list[tuple[str, str]]:
    return [(str(name), str(sha256)) for name, sha256 in (await client.query(query)).result_rows]


def _quoted(identifier: str) -> str:
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"
