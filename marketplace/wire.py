"""Statements in a pipeline, over the driver's own connection: what the hot path asks PostgreSQL, in few exchanges.

libpq's pipeline mode, as psycopg exposes it, without what psycopg does around each statement: a handful of C calls for
each. Statements are prepared on first use and keep their names as long as the connection lives. Nothing here knows
SQLAlchemy (`marketplace.db` ties a wire to a session), and no statement is tried again.
"""

import functools
import itertools
import re
import select
import uuid
from collections import namedtuple
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_NUMBERS: Final = itertools.count(1)
_FINE: Final = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK})


class Reply:
    """The rows of one statement, once they came."""

    __slots__ = ("_wire", "found", "statement", "wants_rows")

    def __init__(self, wire: "Wire", statement: str, *, wants_rows: bool) -> None:
        self._wire = wire
        self.statement = statement
        self.wants_rows = wants_rows
        self.found: list[Any] | None = None

    def rows(self) -> list[Any]:
        """Wait for everything that was sent up to now and return these rows, with named columns."""
        if self.found is None:
            self._wire.settle()
        assert self.found is not None
        return self.found


class Wire:
    """A connection of the driver in pipeline mode, in one transaction, which begins with the first statement.

    `begun`: whether it has begun. `prepared` are the names of statements on this connection; it must live exactly as
    long. Failures are raised as psycopg's, at the latest by `settle`, which waits; after one the transaction can only
    be rolled back.
    """

    def __init__(self, driver: psycopg.Connection[Any], prepared: dict[str, bytes]) -> None:
        self._pgconn = driver.pgconn
        self._driver = driver
        self._prepared = prepared
        self.begun = self._pgconn.transaction_status != pq.TransactionStatus.IDLE
        self._awaited: list[Reply] = []
        self._poll = select.poll()
        self._pgconn.enter_pipeline_mode()

    def ask(self, statement: str, values: Mapping[str, Any]) -> Reply:
        """Send a statement with `%(name)s` for its values; their types are those that PostgreSQL infers."""
        text, names = _numbered(statement)
        if not self.begun:
            self.begun = True
            self._send("BEGIN", lambda: self._pgconn.send_query_params(b"BEGIN", None))
        name = self._prepared.get(statement)
        if name is None:
            name = self._prepared[statement] = b"npl_%d" % next(_NUMBERS)
            self._send(statement, functools.partial(self._pgconn.send_prepare, name, text))
        given = [_plain(values[name]) for name in names]
        self._pgconn.send_query_prepared(name, given)
        reply = Reply(self, statement, wants_rows=True)
        self._awaited.append(reply)
        return reply

    def commit(self) -> None:
        """Commit with whatever was not settled yet, in one exchange."""
        if self.begun:
            self._send("COMMIT", lambda: self._pgconn.send_query_params(b"COMMIT", None))
            self.settle()
            self.begun = False

    def settle(self) -> None:
        """Wait for the answers of everything that was sent; raise the first failure among them."""
        if not self._awaited:
            return
        awaited, self._awaited = self._awaited, []
        self._pgconn.pipeline_sync()
        failed: tuple[Reply, Any] | None = None
        for reply in awaited:
            result = self._result()
            if result.status in _FINE:
                reply.found = self._rows(result) if reply.wants_rows else []
            elif failed is None:
                failed = (reply, result)
            self._result()
        self._result()
        if failed is not None:
            self._forget(awaited)
            raise psycopg.errors.error_from_result(failed[1], encoding="utf-8")

    def close(self) -> None:
        """Leave pipeline mode, when everything was answered; raise what failed."""
        try:
            self.settle()
        finally:
            if self._pgconn.status == pq.ConnStatus.OK and not self._awaited:
                self._pgconn.exit_pipeline_mode()

    def _send(self, statement: str, send: Callable[[], None]) -> None:
        send()
        self._awaited.append(Reply(self, statement, wants_rows=False))

    def _forget(self, awaited: list[Reply]) -> None:
        """Drop the names of statements that may not have been prepared after all."""
        for reply in awaited:
            self._prepared.pop(reply.statement, None)

    def _result(self) -> Any:
        """Return the next result, None between those of two statements; wait for it with the interpreter let go."""
        pgconn = self._pgconn
        while pgconn.is_busy():
            unsent = pgconn.flush()
            self._poll.register(pgconn.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            self._poll.poll()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None and pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection to PostgreSQL was lost")
        return result

    def _rows(self, result: Any) -> list[Any]:
        if not result.nfields:
            return []
        transformer = Transformer(self._driver)
        transformer.set_pgresult(result)
        names = tuple(result.fname(number) for number in range(result.nfields))
        return list(transformer.load_rows(0, result.ntuples, _maker(names)))


@functools.lru_cache(maxsize=256)
def _maker(names: tuple[bytes, ...]) -> Callable[[Any], Any]:
    kind: Any = namedtuple("Row", [name.decode() for name in names])  # type: ignore[misc]  # noqa: PYI024 - its names are known at run time
    make: Callable[[Any], Any] = kind._make
    return make


@functools.lru_cache(maxsize=256)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a statement with `$1` and so on for its values, and their names in that order."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(statement)))
    text = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    return text.encode(), names


def _plain(value: Any) -> bytes | None:
    """Write a value as PostgreSQL reads it in a text."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    if isinstance(value, date):
        return value.isoformat().encode()
    if isinstance(value, int | uuid.UUID):
        return str(value).encode()
    raise TypeError(type(value).__name__)
