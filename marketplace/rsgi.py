"""The asyncio edge: what `marketplace.http` is to threads, for the few routes that must answer thousands at once.

An `Application` speaks RSGI, the interface of granian. Routes are few and exact; bodies are bounded in size and time;
failures become the same problem documents. Work on the database is done in threads by those who take the requests.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from marketplace import db, documents, lanes
from marketplace.errors import Failure, Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 64 * 1024
"""The greatest body that is read."""

BODY_SECONDS: Final = 10
"""So long a body may take to arrive."""

_HARDENED: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
)
JSON: Final = (("content-type", "application/json"), *_HARDENED)
_PROBLEM: Final = (("content-type", "application/problem+json"), *_HARDENED)


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


class Headers(Protocol):
    """Header fields by their small name; the first of several."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field, or the default."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read completely."""

    method: str
    path: str
    headers: Headers
    body: bytes
    home: str
    """The origin under which it came in, such as `http://127.0.0.1:8000`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = JSON


Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a pattern of the whole path; the handler gets the request and the pattern's named groups."""

    method: str
    path: re.Pattern[str]
    handler: Handler


def problem(failure: Failure, path: str) -> Answer:
    """Render a failure as the threads' edge does."""
    document = documents.problem(failure) | {"instance": path}
    headers: list[tuple[str, str]] = list(_PROBLEM)
    if failure.status == 401:  # noqa: PLR2004 - RFC 9110 wants the challenge with this status
        headers.append(("www-authenticate", "Bearer"))
    after = lanes.retry_after(failure)
    if after is not None:
        headers.append(("retry-after", after))
    return Answer(failure.status, orjson.dumps(document), headers)


@contextlib.contextmanager
def transaction(sessions: sessionmaker[Session], *, pipelined: bool = False) -> Iterator[Session]:
    """Open a session, and commit at the end; raise `Undecided` when it cannot be known whether that was done.

    `pipelined`: statements are sent without waiting for those before them (`db.pipelined`), the last with the commit.
    """
    with sessions() as session, db.pipelined(session) if pipelined else contextlib.nullcontext():
        yield session
        try:
            db.commit(session)
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

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        started: Callable[[asyncio.AbstractEventLoop], None],
        stopped: Callable[[], Awaitable[None]],
    ) -> None:
        self._routes = tuple(routes)
        self._bodies = Deadlines(BODY_SECONDS)
        self._started = started
        self._stopped = stopped

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, on the loop of this process."""
        self._started(loop)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """End, when the server has let the last connection go."""
        loop.run_until_complete(self._stopped())

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        if scope.proto != "http":
            protocol.close(403)
            return
        try:
            answer = await self._answer(scope, protocol)
        except Exception as error:  # noqa: BLE001 - the edge answers whatever happened
            answer = problem(failure_of(error, path=scope.path), scope.path)
        protocol.response_bytes(answer.status, answer.headers, answer.body)

    async def _answer(self, scope: Any, protocol: Any) -> Answer:
        path, method = scope.path, scope.method
        found = [(route, match) for route in self._routes if (match := route.path.fullmatch(path))]
        if not found:
            raise NoRoute
        for route, match in found:
            if route.method == method:
                body = await read_body(protocol, scope.headers, self._bodies)
                home = f"{scope.scheme}://{scope.headers.get('host', '')}"
                return await route.handler(Asked(method, path, scope.headers, body, home), **match.groupdict())
        failed = problem(WrongMethod(), path)
        allowed = ", ".join(sorted(route.method for route, _ in found))
        return Answer(failed.status, failed.body, [*failed.headers, ("allow", allowed)])


@dataclass(eq=False, slots=True)
class _Deadline:
    """One piece of work that may not take for ever; `task` None once it is done."""

    until: float
    task: asyncio.Task[Any] | None
    passed: bool = False


class Deadlines:
    """Cancels what takes longer than `seconds`, found within a second more.

    One look a second at what is oldest, instead of a timer for each of thousands of requests a second: a timer made
    and cancelled costs a request more than reading it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: deque[_Deadline] = deque()
        self._looking = False

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Raise `TimeoutError` in the task that is in here for too long."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        one = _Deadline(loop.time() + self._seconds, task)
        self._open.append(one)
        if not self._looking:
            self._looking = True
            loop.call_later(1, self._look, loop)
        try:
            yield
        except asyncio.CancelledError:
            if not one.passed or task is None or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            one.task = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._open and (self._open[0].task is None or self._open[0].until <= now):
            one = self._open.popleft()
            if one.task is not None:
                one.passed = True
                one.task.cancel()
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(1, self._look, loop)


async def read_body(protocol: Any, headers: Headers, deadlines: Deadlines) -> bytes:
    """Return the body; raise `TooLarge`, `TooSlow`."""
    length = headers.get("content-length")
    if length is not None and length.isascii() and length.isdigit() and int(length) > MAX_BYTES:
        raise TooLarge
    try:
        with deadlines.hold():
            if length is not None:
                whole: bytes = await protocol()
                return whole
            parts, size = [], 0
            async for part in protocol:
                size += len(part)
                if size > MAX_BYTES:
                    raise TooLarge
                parts.append(bytes(part))
            return b"".join(parts)
    except TimeoutError:
        raise TooSlow from None


def cookie(headers: Headers, name: str) -> str:
    """Return a cookie of a request, empty when it has none."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return str(value)
    return ""


def mimetype(headers: Headers) -> str:
    """Return the kind of the body without parameters."""
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()
