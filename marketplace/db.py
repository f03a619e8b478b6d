"""The database: declarative base, naming of constraints, column types, the engine and the session *factory*.

No Flask object and no global session live here. Only the edge (`marketplace.edge`, `marketplace.tasks`) opens, commits
and rolls back.
"""

import contextlib
import enum
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import orjson
import psycopg
import structlog
import uuid6
from psycopg import sql
from psycopg.rows import namedtuple_row
from sqlalchemy import CHAR, BigInteger, DateTime, Engine, Enum, MetaData, Select, create_engine, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import TypeDecorator

from marketplace.errors import Failure, Invalid, Unavailable
from marketplace.settings import Settings
from marketplace.wire import Reply, Wire

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


class Asked:
    """A plain statement that was given to the driver; inside `pipelined` its answer is waited for only by `rows`."""

    __slots__ = ("_line", "_reply", "_statement")

    def __init__(self, session: Session, statement: str, values: Mapping[str, Any]) -> None:
        self._line = session.info.get(_LINE) or _Line(session)
        self._statement = statement
        with self._line.explaining(statement):
            self._reply = self._line.ask(statement, values)

    def rows(self) -> list[Any]:
        """Return the rows, with named columns."""
        with self._line.explaining(self._statement):
            return self._reply.rows()


class _Line:
    """How a session reaches the driver in its present transaction: a cursor for each statement, or a wire for all."""

    __slots__ = ("_connection", "driver", "wire")

    def __init__(self, session: Session) -> None:
        self._connection = session.connection()
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self.driver = driver
        self.wire: Wire | None = None

    def open(self) -> None:
        """Put up the wire; the names of its statements live with the connection, on which the driver prepares no more.

        It would drop all names after a rollback, those of the wire too; so it drops its own once, before there are any.
        """
        kept = self._connection.connection.info
        if _LINE not in kept:
            for _ in range(2):  # what the first of them found is dropped with the second
                self.driver.execute("DEALLOCATE ALL")
            self.driver.prepare_threshold = None
            kept[_LINE] = {}
        self.wire = Wire(self.driver, kept[_LINE])

    def is_gone(self) -> bool:
        """Whether the connection was lost."""
        return bool(self.driver.broken or self.driver.closed)

    def is_free(self) -> bool:
        """Whether the wire is up and in no transaction."""
        return self.wire is not None and not self.wire.begun

    def ask(self, statement: str, values: Mapping[str, Any]) -> "Reply | _Answered":
        """Give a statement to the driver."""
        if self.wire is not None:
            return self.wire.ask(statement, values)
        with self.driver.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(statement.encode(), values)
            return _Answered(cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else [])

    @contextlib.contextmanager
    def explaining(self, statement: str) -> Iterator[None]:
        """Turn failures of the driver into those that SQLAlchemy raises."""
        try:
            yield
        except psycopg.Error as error:
            gone = self.is_gone()
            if gone:
                self._connection.invalidate(error)
            dialect = self._connection.dialect
            raise DBAPIError.instance(
                statement, None, error, psycopg.Error, connection_invalidated=gone, dialect=dialect
            ) from error


@dataclass(frozen=True, slots=True)
class _Answered:
    """Rows that came at once."""

    found: list[Any]

    def rows(self) -> list[Any]:
        """Return them."""
        return self.found


def array(values: Iterable[uuid.UUID | bytes]) -> str:
    """Return ids or byte strings as the text of a PostgreSQL array: for the hot path, a tenth of the driver's cost.

    The statement says of which type it is: `%(ids)s::uuid[]`.
    """
    return "{" + ",".join([f'"\\\\x{one.hex()}"' if type(one) is bytes else str(one) for one in values]) + "}"


def rows(session: Session, statement: str, values: Mapping[str, Any]) -> list[Any]:
    """Run plain SQL through the driver alone and return its rows with named columns: for the hot path.

    In the session's transaction; failures are those that SQLAlchemy raises.
    """
    return Asked(session, statement, values).rows()


def tell(session: Session, statement: str, values: Mapping[str, Any]) -> None:
    """Run plain SQL that returns nothing; inside `pipelined` it may fail only at the next answer, or the commit."""
    Asked(session, statement, values)


_LINE: Final = "line"
"""Where a session keeps its line while it is pipelined, and a connection the names of prepared statements."""


@contextlib.contextmanager
def pipelined(session: Session) -> Iterator[None]:
    """Send statements without waiting for their answers, which arrive in order when the first of them is read.

    A transaction then takes as many exchanges with PostgreSQL as it has questions whose answer is needed to ask on; the
    last statement travels with the commit, if `commit` is called inside. Inside, only `Asked` and what is made of it
    may be used: SQLAlchemy's own statements need `end_pipeline` first. For processes that do little else: the driver
    prepares no statements of its own any more on a connection that was used so.
    """
    line = _Line(session)
    with line.explaining("pipeline"):
        line.open()
    session.info[_LINE] = line
    try:
        yield
    except BaseException:
        with contextlib.suppress(DBAPIError):
            end_pipeline(session)
        raise
    end_pipeline(session)


class Pipelines:
    """Pipelined sessions that stay open from one transaction to the next: making one costs more than a statement.

    Called, it gives one for a `with` block, as a `sessionmaker` does. It is kept if its transaction was committed in
    the pipeline, and closed otherwise. Each has a connection of the pool for itself until `close`.
    """

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._kept: deque[tuple[Session, contextlib.ExitStack]] = deque()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Session]:
        """Lend a session."""
        session, ending = self._take() or self._open()
        try:
            yield session
        except BaseException:
            line = session.info.get(_LINE)
            gone = line is not None and line.is_gone()
            with contextlib.suppress(DBAPIError):
                ending.close()
            if gone:
                self._drop()
            raise
        line = session.info.get(_LINE)
        if line is not None and line.is_free():
            self._kept.append((session, ending))
        else:
            ending.close()

    def _take(self) -> tuple[Session, contextlib.ExitStack] | None:
        """Take one that is kept, None when there is none; other threads may take at the same time."""
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def _drop(self) -> None:
        """Drop all that are kept: what ended one connection, such as a restart, has mostly ended the others too."""
        while (kept := self._take()) is not None:
            session, ending = kept
            session.invalidate()
            ending.close()

    def _open(self) -> tuple[Session, contextlib.ExitStack]:
        with contextlib.ExitStack() as ending:
            session = ending.enter_context(self._sessions())
            ending.enter_context(pipelined(session))
            return session, ending.pop_all()

    def close(self) -> None:
        """Give all connections back."""
        while (kept := self._take()) is not None:
            kept[1].close()


def end_pipeline(session: Session) -> None:
    """Wait for whatever was sent, and from now on for each statement; outside of a pipeline do nothing."""
    line = session.info.pop(_LINE, None)
    if line is not None and line.wire is not None:
        with line.explaining("pipeline"):
            line.wire.close()


def commit(session: Session) -> None:
    """Commit the session's transaction; inside `pipelined` together with what was not waited for yet."""
    line = session.info.get(_LINE)
    if line is not None and line.wire is not None:
        with line.explaining("COMMIT"):
            line.wire.commit()
    else:
        session.commit()


class Plain:
    """A query of SQLAlchemy as text for the driver alone, made once: for the hot path.

    Its parameters are its `bindparam`s, of types that the driver knows by itself; enums are written by their values.
    """

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        compiled = query.compile(dialect=psycopg_dialect.dialect())  # type: ignore[no-untyped-call]  # the library has no type there
        self._text = str(compiled)
        self._fixed = {
            name: value.value if isinstance(value, enum.Enum) else value for name, value in compiled.params.items()
        }

    def ask(self, session: Session, **values: Any) -> Asked:
        """Give it to the driver with values for its parameters."""
        return Asked(session, self._text, self._fixed | values)


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
