"""HTTP/1.1 on the loop: connections that hand over requests and write answers, with a bound on everything.

`httptools` (llhttp, the parser of Node.js) reads; a `Connection` keeps the order of requests, and a `Listener` what
they may cost: bytes, seconds and number. A request is handed over when it is read completely, and costs no task and no
future. Chunked bodies, `Expect` and pipelining work; whoever asks for an upgrade is answered in HTTP/1.1. TLS is for a
proxy.
"""

import asyncio
import contextlib
import functools
import http
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final, cast
from urllib.parse import unquote

import httptools

from marketplace import aio
from marketplace.aio import Answer, Asked, Reply
from marketplace.errors import Failure, Invalid, Unavailable

MAX_BODY: Final = 64 * 1024
MAX_HEAD: Final = 16 * 1024
"""The greatest body, and the greatest head, that is read."""

MESSAGE_SECONDS: Final = 10.0  # no money: seconds
"""So long a request may take to arrive."""

IDLE_SECONDS: Final = 75.0  # no money: seconds
"""So long a connection stays open without a request."""

SEND_SECONDS: Final = 30.0  # no money: seconds
"""So long an answer may take to leave, to somebody who does not read it or before the connection closes."""

STOP_SECONDS: Final = 10.0  # no money: seconds
"""So long those are waited for who have not got their answer when the listener stops."""

MAX_WAITING: Final = 16
"""So many requests of one connection are read ahead of their answers before reading stops."""


class NotHttp(Invalid):
    """What came is no request that this listener reads."""

    status = 400
    code = "bad_request"

    def __init__(self) -> None:
        super().__init__("This is not an HTTP/1.1 request.")


class TooManyConnections(Unavailable):
    """As many are connected as this process serves."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("As many are connected as this server takes; nothing was done. Try again.")


@dataclass(frozen=True, slots=True)
class _Read:
    """A request as it was read, or why it cannot be; after the latter, or without `keep`, the connection closes."""

    asked: Asked
    fault: Failure | None
    keep: bool


class Connection(asyncio.Protocol):
    """One connection: reads ahead a little, answers in order."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Read] = deque()
        self._reply: Reply | None = None
        self._keep = True
        self._going = False
        self._blocked = False
        self._broken = False
        self._fault: Failure | None = None
        self._begin()
        self._reading = False
        self.since = listener.now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count this connection, or send it away."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._listener.connections) >= self._listener.limit:
            self._break(TooManyConnections())
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever asked is gone: what waits for an answer waits no more."""
        del exc
        self._waiting.clear()
        if self._reply is not None:
            self._reply.forget()
        self._listener.forget(self)

    def pause_writing(self) -> None:
        """Take no further request from somebody who does not read the answers."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = False
        self._go()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._broken:
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._broken = True
        except httptools.HttpParserError:
            self._break(self._fault or NotHttp())
        if self._reading and self._received > MAX_HEAD + MAX_BODY:
            self._break(aio.TooLarge())
        if len(self._waiting) > MAX_WAITING:
            self._transport.pause_reading()
        self._go()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()

    def _begin(self) -> None:
        self._reading = True
        self._received = 0
        self._url = b""
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self.since = self._listener.now

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the address."""
        self._count(len(url), MAX_HEAD)
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; the first of several counts."""
        self._count(len(name) + len(value), MAX_HEAD)
        self._headers.setdefault(name.lower().decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """Refuse a body that says that it is too great, and ask for one that waits to be asked for."""
        self._size = 0
        length = self._headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self._stop(aio.TooLarge())
        if self._headers.get("expect", "").lower() == "100-continue" and self._reply is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._count(len(body), MAX_BODY)
        self._parts.append(body)

    def _count(self, size: int, most: int) -> None:
        self._size += size
        if self._size > most:
            self._stop(aio.TooLarge())

    def on_message_complete(self) -> None:
        """Queue a request."""
        self._reading = False
        asked = Asked(self._parser.get_method().decode(), self._path(), self._headers, b"".join(self._parts))
        keep = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._waiting.append(_Read(asked, None, keep))

    def _path(self) -> str:
        target = self._url
        if not target.startswith(b"/"):
            with contextlib.suppress(httptools.HttpParserInvalidURLError):
                target = httptools.parse_url(target).path or b"/"
        path = target.partition(b"?")[0].decode("latin-1")
        return unquote(path) if "%" in path else path

    def _stop(self, fault: Failure) -> None:
        """Let the parser stop."""
        self._fault = fault
        raise fault

    def _break(self, fault: Failure) -> None:
        """Answer what was read before, then this, and close; nothing more is read."""
        if not self._broken:
            self._broken, self._reading = True, False
            self._waiting.append(_Read(Asked("GET", "/", {}, b""), fault, keep=False))
            self._go()

    def _go(self) -> None:
        """Hand over the next request, if none is being answered."""
        if self._going:
            return
        self._going = True
        while self._waiting and self._reply is None and not self._blocked and not self._transport.is_closing():
            read = self._waiting.popleft()
            self._keep = read.keep
            self._reply = Reply(self._bodiless if read.asked.method == "HEAD" else self._answer, read.asked.path)
            if read.fault is None:
                self._listener.take(read.asked, self._reply)
            else:
                self._reply.set_exception(read.fault)
        self._going = False
        if not self._waiting and not self._transport.is_reading() and not self._transport.is_closing():
            self._transport.resume_reading()

    def _bodiless(self, answer: Answer) -> None:
        self._write(answer, b"")

    def _answer(self, answer: Answer) -> None:
        self._write(answer, answer.body)

    def _write(self, answer: Answer, body: bytes) -> None:
        self._reply = None
        keep = self._keep and not self._listener.stopping
        head = _head(answer.status, answer.headers, self._listener.date, keep=keep)
        self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(answer.body), body))
        self.since = self._listener.now
        if not keep:
            self._transport.close()
        elif self._waiting:
            self._go()

    def look(self, now: float) -> None:
        """Close what takes too long, at the time of the listener's clock."""
        waited = now - self.since
        if self._blocked or self._transport.is_closing():
            if waited > SEND_SECONDS:
                self._transport.abort()
        elif self._reading and waited > MESSAGE_SECONDS:
            self._break(aio.TooSlow())
        elif self._is_idle() and (self._listener.stopping or waited > IDLE_SECONDS):
            self._transport.close()

    def _is_idle(self) -> bool:
        return not self._reading and self._reply is None and not self._waiting


@functools.lru_cache(maxsize=256)
def _head(status: int, headers: tuple[tuple[str, str], ...], date: str, *, keep: bool) -> bytes:
    """Return the head of an answer but for the length of its body."""
    fields = [*headers, ("date", date), *([] if keep else [("connection", "close")])]
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


@dataclass(eq=False)
class Listener:
    """The connections of one process, and its clock, which moves once a second."""

    take: Callable[[Asked, Reply], None]
    limit: int = 4096
    connections: set[Connection] = field(default_factory=set)
    stopping: bool = False
    now: float = 0.0  # no money: seconds
    date: str = ""

    async def serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve on a socket until told to stop; then answer everybody who asked, for `STOP_SECONDS` at most."""
        loop = asyncio.get_running_loop()
        self._tick(loop)
        clock = asyncio.create_task(self._watch(loop))
        server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=1024)
        await stop.wait()
        self.stopping = True
        server.close()
        self._look()
        until = loop.time() + STOP_SECONDS
        while self.connections and loop.time() < until:
            await asyncio.sleep(0.02)
            self._look()
        clock.cancel()

    def forget(self, connection: Connection) -> None:
        """Count a connection no longer."""
        self.connections.discard(connection)

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            await asyncio.sleep(1)
            self._tick(loop)
            self._look()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now, self.date = loop.time(), formatdate(usegmt=True)

    def _look(self) -> None:
        for connection in list(self.connections):
            connection.look(self.now)
