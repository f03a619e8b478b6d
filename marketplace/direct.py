"""Statements given to the driver directly, in the transaction of a session: the hot paths, in few exchanges.

SQLAlchemy composes nothing here and maps nothing; failures are those that it raises. `pipelined` puts a wire
(`marketplace.wire`) under a session, so that statements are sent without waiting for those before them.
"""

import contextlib
import enum
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from marketplace.wire import Reply, Wire


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
