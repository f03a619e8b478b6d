"""Alembic's environment: every package's rows in one metadata, one transaction a migration, locks given up early."""

import os

from alembic import context
from sqlalchemy import create_engine, text

import wsgi  # noqa: F401 - importing the list of packages fills the metadata
from marketplace.db import Base


def run() -> None:
    """Migrate the database that `DATABASE_URL` names, or the connection handed over by a caller."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    with create_engine(os.environ["DATABASE_URL"]).connect() as opened:
        _migrate(opened)
        opened.commit()


def _migrate(connection: object) -> None:
    connection.execute(text("SET lock_timeout = '5s'"))  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    context.configure(
        connection=connection,  # type: ignore[arg-type]  # wider in the library than in its stubs
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
