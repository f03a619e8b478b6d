"""Whether a process can work: the database answers, and has a schema."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.errors import Unavailable


class NotMigrated(Unavailable):
    """The database answers, and has no schema."""

    code = "not_migrated"

    def __init__(self) -> None:
        super().__init__("The database has no schema yet: run the migrations.")


def health(session: Session) -> dict[str, str]:
    """Return that all is well, and which schema the database has; raise `NotMigrated`."""
    if session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        raise NotMigrated
    return {"status": "ok", "migration": session.scalars(text("SELECT version_num FROM alembic_version")).one()}
