"""The asyncio edge: what `marketplace.http` is to threads, for the few routes that must answer thousands at once.

Routes are few and exact; failures become the same problem documents. Work on the database is done in threads by those
who take the requests. Requests come from `marketplace.http1`; nothing here makes a task or a future for one of them.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from marketplace import db, direct, documents, lanes
from marketplace.errors import Failure, Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

_HARDENED: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
)
JSON: Final = (("content-type", "application/json"), *_HARDENED)
_PROBLEM: Final[tuple[tuple[str, str], ...]] = (("content-type", "application/problem+json"), *_HARDENED)


class TooLarge(Invalid):
    """The body is greater than the route takes."""

    status = 413
    code = "request_entity_too_large"

    def __init__(self) -> None:
        super().__init__("The data value transmitted exceeds the capacity limit.")


class TooSlow(Invalid):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"

    def __init__(self) -> None:
        super().__init__("The server closed the network connection because the request did not finish in time.")


class NoRoute(NotFound):
    """This door has no such address."""

    def __init__(self) -> None:
        Failure.__init__(
            self,
            "The requested URL was not found on the server. If you entered the URL manually please check your spelling"
            " and try again.",
        )


class WrongMethod(Invalid):
    """The address is there, and takes another method."""

    status = 405
    code = "method_not_allowed"

    def __init__(self) -> None:
        super().__init__("The method is not allowed for the requested URL.")


class Undecided(Unavailable):
    """The connection broke while the work was being committed: nobody knows yet whether it was."""

    code = "undecided"

    def __init__(self) -> None:
        super().__init__(
            "The database went away while this was being written; it may have been done. Send it again with the same"
            " Idempotency-Key: it is never done twice."
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read completely. `headers` are by their small name, the first of several."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def home(self) -> str:
        """The origin under which it came in, such as `http://127.0.0.1:8000`."""
        return f"http://{self.headers.get('host', '')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = JSON


class Reply:
    """Where the answer to one request goes: as much of a future as a lane needs, without the cost of one."""

    __slots__ = ("_answered", "_path", "_send")

    def __init__(self, send: Callable[[Answer], None], path: str) -> None:
        self._send = send
        self._path = path
        self._answered = False

    def done(self) -> bool:
        """Whether it was answered, or nobody waits any more."""
        return self._answered

    def set_result(self, answer: Answer) -> None:
        """Send the answer, once."""
        if not self._answered:
            self._answered = True
            self._send(answer)

    def set_exception(self, error: BaseException) -> None:
        """Answer with the problem that an exception means."""
        self.set_result(problem(failure_of(error, path=self._path), self._path))

    def forget(self) -> None:
        """Whoever asked went away."""
        self._answered = True


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a pattern of the whole path.

    The handler gets the request, its reply and the pattern's named groups, on the loop, and does not wait there.
    """

    method: str
    path: re.Pattern[str]
    handler: Callable[..., None]


def problem(failure: Failure, path: str) -> Answer:
    """Render a failure as the threads' edge does."""
    document = documents.problem(failure) | {"instance": path}
    headers = _PROBLEM
    if failure.status == 401:  # noqa: PLR2004 - RFC 9110 wants the challenge with this status
        headers += (("www-authenticate", "Bearer"),)
    after = lanes.retry_after(failure)
    if after is not None:
        headers += (("retry-after", after),)
    return Answer(failure.status, orjson.dumps(document), headers)


@contextlib.contextmanager
def transaction(sessions: Callable[[], contextlib.AbstractContextManager[Session]]) -> Iterator[Session]:
    """Open a session, and commit at the end; raise `Undecided` when it cannot be known whether that was done.

    `sessions`: a sessionmaker, or `direct.Pipelines`, where the last statement travels with the commit.
    """
    with sessions() as session:
        yield session
        try:
            direct.commit(session)
        except DBAPIError as error:
            if db.is_busy(error):
                raise Undecided from error
            raise


def failure_of(error: BaseException, *, path: str) -> Failure:
    """Return the failure that an exception means to whoever asked; what is not anticipated is logged as a bug."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and db.is_busy(error)):
        return db.Busy()
    log.error("bug", path=path, exc_info=error)
    bug = Failure("This is a fault of ours; it was logged.")
    bug.status, bug.code = 500, "internal"  # type: ignore[misc]  # its library has no types
    return bug


class Application:
    """Answers the requests of a few routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)

    def take(self, asked: Asked, reply: Reply) -> None:
        """Begin to answer one request."""
        try:
            self._take(asked, reply)
        except Exception as error:  # noqa: BLE001 - the edge answers whatever happened
            reply.set_exception(error)

    def _take(self, asked: Asked, reply: Reply) -> None:
        allowed = []
        for route in self._routes:
            match = route.path.fullmatch(asked.path)
            if match is None:
                continue
            if route.method == asked.method:
                route.handler(asked, reply, **match.groupdict())
                return
            allowed.append(route.method)
        if not allowed:
            raise NoRoute
        failed = problem(WrongMethod(), asked.path)
        more = ("allow", ", ".join(sorted(allowed)))
        reply.set_result(Answer(failed.status, failed.body, (*failed.headers, more)))


def cookie(headers: Mapping[str, str], name: str) -> str:
    """Return a cookie of a request, empty when it has none."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return str(value)
    return ""


def mimetype(headers: Mapping[str, str]) -> str:
    """Return the kind of the body without parameters."""
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()
