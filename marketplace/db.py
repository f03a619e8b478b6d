"""The database: declarative base, naming of constraints, column types, the engine and the session *factory*.

No Flask object and no global session live here. Only the edge (`marketplace.edge`, `marketplace.tasks`) opens, commits
and rolls back.
"""

import enum
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import orjson
import psycopg
import structlog
import uuid6
from psycopg import sql
from sqlalchemy import CHAR, BigInteger, DateTime, Engine, Enum, MetaData, Select, create_engine, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import TypeDecorator

from marketplace.errors import Failure, Invalid, Unavailable
from marketplace.settings import Settings

T = TypeVar("T")

log = structlog.get_logger(__name__)

LONGEST: Final = "6h"
"""How long a statement of a job may take."""

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive values and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        """Refuse a naive instant."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}")
        return value

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        """Answer in UTC."""
        return value.astimezone(UTC) if value is not None else None


class Base(DeclarativeBase):
    """Root of every row class; one metadata for all packages."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSONB, list[Any]: JSONB, int: BigInteger}  # noqa: RUF012 - SQLAlchemy's own hook


def enum_column(kind: type[enum.StrEnum]) -> Enum:
    """Column type for an enum: its values as text with a check constraint."""
    return Enum(
        kind,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=40,
        name=_snake(kind.__name__),
    )


def _snake(name: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in name).lstrip("_")


def new_id() -> uuid.UUID:
    """Return a UUIDv7: unique, and in order of creation."""
    return uuid.UUID(int=uuid6.uuid7().int)


def new_ids(count: int) -> list[uuid.UUID]:
    """Return UUIDv7s in order, one after the other: a tenth of the cost of as many `new_id` calls."""
    first = uuid6.uuid7().int & ~_COUNTED
    return [uuid.UUID(int=first + number) for number in range(count)]


_COUNTED: Final = (1 << 24) - 1
"""Last bits of an id that `new_ids` counts in; the random ones before them keep two calls apart."""


def copy_rows(session: Session, table: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """COPY rows into a table over the session's own connection, in its transaction; names come from code only."""
    session.flush()
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


def key() -> Mapped[uuid.UUID]:
    """Primary key column of a row class."""
    return mapped_column(primary_key=True, default=new_id)


def currency() -> Mapped[str]:
    """Currency column (ISO 4217)."""
    return mapped_column(CHAR(3))


def make_engine(settings: Settings, *, ping: bool = True) -> Engine:
    """Return the engine; statements of more than `statement_seconds` and locks of more than ten seconds are given up.

    What is long by its nature raises the first for its own transaction (`allow_long`). Without `ping` a connection is
    not tried before it is used: whoever asks for that tries its transaction again.
    """
    return create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_size,
        pool_pre_ping=ping,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "options": "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=10min"
            f" -c statement_timeout={settings.statement_seconds}s"
        },
    )


def allow_long(session: Session) -> None:
    """Let every statement of this transaction take up to `LONGEST`: for jobs and clockwork, which nobody waits for."""
    session.execute(select(func.set_config("statement_timeout", LONGEST, True)))


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return the session factory."""
    return sessionmaker(engine, expire_on_commit=False, autoflush=True)


def at_start(sessions: sessionmaker[Session], work: Callable[[Session], Any]) -> bool:
    """Do what an installation must have before its first request, in a transaction of its own, as a door opens.

    False while that cannot be: the database is away, or not migrated yet. The door opens none the less, and the
    clockwork does the work later.
    """
    try:
        with sessions.begin() as session:
            work(session)
    except (OperationalError, ProgrammingError) as error:
        log.warning("not ready at the start", error=str(error.orig)[:200])
        return False
    return True


class UnknownCursor(Invalid):
    """The cursor was not given out by this list."""

    code = "unknown_cursor"

    def __init__(self) -> None:
        super().__init__("The cursor is not one that this list gave out; start again without it.")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first; `next` is the cursor of the following page, None at the end."""

    items: Sequence[T]
    next: str | None


def page(session: Session, query: Select[Any], *, key_column: Any, cursor: str | None, limit: int) -> Page[T]:
    """Cut one page out of `query`, newest first by a UUIDv7 key column; raise `UnknownCursor`."""
    if cursor is not None:
        try:
            query = query.where(key_column < uuid.UUID(cursor))
        except ValueError:
            raise UnknownCursor from None
    rows = session.scalars(query.order_by(key_column.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, str(getattr(rows[-1], key_column.key)) if more else None)


_VIOLATIONS: dict[str, Callable[[], Failure]] = {}


def violation(constraint: str, failure: Callable[[], Failure]) -> None:
    """Say which failure the violation of a named constraint means: a lost race then reads like a failed check."""
    _VIOLATIONS[constraint] = failure


def explain(error: IntegrityError) -> Failure | None:
    """Return the anticipated failure behind a violated constraint, None when it is a bug."""
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    failure = _VIOLATIONS.get(name or "")
    return failure() if failure else None


_BUSY: Final = {"55P03", "40P01", "40001", "57014"}


class Busy(Unavailable):
    """The database could not do it in time: a lock is held, or it is away."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("Too many are at this just now, or the database is away; nothing was done. Try again.")


def is_busy(error: DBAPIError) -> bool:
    """Whether the database could not do it in time or is away, rather than refused what it was asked."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state in _BUSY or state.startswith(("08", "57P", "53"))
