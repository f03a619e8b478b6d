"""One head, up and down on PostgreSQL, models equal migrations, locks given up early."""

import re

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from conftest import alembic_config, migrate
from sqlalchemy import Column, Enum, MetaData, String, Table, create_engine, inspect

from marketplace.db import Base


def _differences(url, metadata):
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def test_one_head_and_one_line():
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_models_equal_migrations(database):
    assert _differences(database, Base.metadata) == []


def test_the_words_of_every_column_are_those_of_its_enum(database):
    """Alembic does not compare check constraints: a word that only the model knows would fail when it is first used."""
    engine = create_engine(database)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
        ).all()
    engine.dispose()
    stored = {(table, name): set(re.findall(r"'([^']*)'", definition)) for table, name, definition in rows}
    wanted = {
        (table.name, f"ck_{table.name}_{column.type.name}"): set(column.type.enums)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Enum) and column.type.create_constraint
    }
    assert wanted
    assert {key: stored.get(key) for key in wanted} == wanted


def test_a_difference_is_noticed(database):
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    Table("forgotten", metadata, Column("id", String, primary_key=True))
    metadata.tables["jobs"].append_column(Column("forgotten", String))
    assert {difference[0] for difference in _differences(database, metadata)} == {"add_table", "add_column"}


def test_up_and_down_and_up_again(empty_database):
    migrate(empty_database)
    config = alembic_config()
    engine = create_engine(empty_database)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
        assert inspect(connection).get_table_names() == ["alembic_version"]
        leftovers = connection.exec_driver_sql(
            "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'"
        ).all()
        assert leftovers == []
    engine.dispose()
    migrate(empty_database)
    assert _differences(empty_database, Base.metadata) == []


@pytest.mark.parametrize(
    "path",
    sorted((rules_root := __import__("rules").ROOT / "migrations" / "versions").glob("*.py")),
    ids=lambda path: path.stem,
)
def test_every_migration_gives_up_locks_early(path):
    assert path.read_text().count("SET LOCAL lock_timeout") == 2
