import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from billing_consumer.migrate import Migration, MigrationRefused, load_migrations, migrate
from billing_consumer.tables import ATTEMPTS, INTENTS, REQUESTS, Table
from runtime.shared_settings import ClickHouseSettings


async def run(settings: ClickHouseSettings, migrations: list[Migration] | None = None) -> list[str]:
    said: list[str] = []
    await migrate(settings, said.append, migrations)
    return said


async def test_each_file_is_applied_once_and_said_in_one_line(empty_database: ClickHouseSettings) -> None:
    names = [migration.name for migration in load_migrations()]
    first, second = await run(empty_database), await run(empty_database)
    assert first == [f"database {empty_database.database}: there", *(f"migration {name}: applied" for name in names)]
    assert second[1:] == [f"migration {name}: applied before" for name in names]


async def test_a_file_that_has_changed_is_refused_before_anything_is_done(empty_database: ClickHouseSettings) -> None:
    one = Migration("0001_a.sql", "CREATE TABLE IF NOT EXISTS a (x Int8) ENGINE = $merge_tree ORDER BY x;\n")
    await run(empty_database, [one])
    changed = Migration(one.name, one.text + "-- a word more\n")
    two = Migration("0002_b.sql", "CREATE TABLE IF NOT EXISTS b (x Int8) ENGINE = $merge_tree ORDER BY x;\n")
    with pytest.raises(MigrationRefused, match=r"0001_a\.sql"):
        await run(empty_database, [changed, two])
    assert await run(empty_database, [one, two]) == [
        f"database {empty_database.database}: there",
        "migration 0001_a.sql: applied before",
        "migration 0002_b.sql: applied",
    ]


async def test_a_run_that_was_cut_off_is_finished_by_the_next(empty_database: ClickHouseSettings) -> None:
    whole = load_migrations()
    for cut in range(len(whole)):
        settings = ClickHouseSettings(url=empty_database.url, database=f"{empty_database.database}_{cut}")
        # The last statement of the file fails, as if the process had died before it.
        broken = Migration(whole[cut].name, ";\n".join([*whole[cut].text.split(";\n")[:-2], "", "NOT SQL;\n"]))
        with pytest.raises(Exception, match="NOT"):
            await run(settings, [*whole[:cut], broken])
        said = await run(settings)
        assert said[1 + cut] == f"migration {whole[cut].name}: applied"


_REPEATABLE = re.compile(
    r"CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS "
    r"|CREATE OR REPLACE VIEW "
    r"|ALTER TABLE \w+\s+(ADD (COLUMN|INDEX|CONSTRAINT) IF NOT EXISTS|(DROP CONSTRAINT|COMMENT COLUMN) IF EXISTS) "
    r"|DROP VIEW IF EXISTS |TRUNCATE TABLE |SELECT sleep"
    # Only after the file has emptied it.
    r"|INSERT INTO spend_by_scope(_starts)?\s"
)


def test_every_statement_may_run_twice() -> None:
    for migration in load_migrations():
        for statement in migration.statements:
            words = re.sub(r"(?m)^\s*--.*$", "", statement).strip()
            assert _REPEATABLE.match(words), words[:80]


def test_files_are_numbered_without_gaps() -> None:
    assert [int(migration.name[:4]) for migration in load_migrations()] == list(range(1, len(load_migrations()) + 1))
    folder = Path(__file__).parents[2] / "billing_consumer" / "migrations"
    assert {migration.name for migration in load_migrations()} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("table", [ATTEMPTS, REQUESTS, INTENTS], ids=lambda table: table.name)
async def test_rows_have_the_columns_of_their_table(table: Table, client: AsyncClient) -> None:
    result = await client.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s"
        # Filled in by ClickHouse.
        " AND name != 'written_at' ORDER BY position",
        parameters={"table": table.name},
    )
    assert tuple(tuple(row) for row in result.result_rows) == table.columns


async def test_every_table_that_rows_reach_remembers_tokens(client: AsyncClient) -> None:
    result = await client.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
        " AND engine LIKE '%MergeTree' AND name != 'schema_migrations'"
    )
    tables = {str(name): str(query) for name, query in result.result_rows}
    targets = {"unusual_reports", "spend_by_key", "spend_by_project", "spend_by_model_hour", "spend_by_scope"}
    # Changes of the configuration are known by their versions instead.
    assert tables.keys() - {"config_changes"} == {"attempts", "requests", "intents"} | targets
    for name, query in tables.items():
        if name == "config_changes":
            continue
        assert re.search(r"non_replicated_deduplication_window = [1-9]", query), name
