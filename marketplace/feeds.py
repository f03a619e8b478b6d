"""A listener for streams of events: one loop, one write of the same bytes for each watcher, and a bound on each buffer.

It speaks just enough HTTP/1.1 for `EventSource`: one bounded GET a connection, answered by a stream without an end or
by a problem document. A watcher that reads more slowly than it is written to, so that its buffer passes `MAX_BUFFER`,
is dropped: it comes back and is told what it missed. What is told comes from those who own the channels.
"""

import asyncio
import contextlib
import re
import socket
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import structlog

from marketplace import aio, policies
from marketplace.actor import Actor
from marketplace.errors import Failure, Invalid, TooMany, Unavailable
from marketplace.policies import NotSignedIn, Policy, credential

log = structlog.get_logger(__name__)

Key = TypeVar("Key", bound=Hashable)

MAX_HEAD: Final = 8 * 1024
HEAD_SECONDS: Final = 10.0
OPEN_SECONDS: Final = 10.0
"""So long a watcher waits for the first look at what it watches."""

MAX_BUFFER: Final = 128 * 1024
"""More unsent bytes than this, beside as many in the kernel, and a watcher is dropped."""

SPARE: Final = 256
"""Connections beyond the watchers: those being read, or being refused."""

SILENCE_SECONDS: Final = 5.0
"""A watcher hears the time so often, whatever happens."""

STOP_SECONDS: Final = 5.0
RECHECK_SECONDS: Final = 60.0
"""So often it is asked whether credentials are still good."""

_REQUEST: Final = re.compile(rb"([A-Z]{3,7}) (/[\x21-\x7e]*) HTTP/1\.1")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*")


class NotHttp(Invalid):
    """What came is no request that this listener reads."""

    status = 400
    code = "bad_request"

    def __init__(self) -> None:
        super().__init__("This is not one HTTP/1.1 request without a body and with a head of at most 8 KiB.")


class HouseFull(Unavailable):
    """As many watch as this process serves."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("As many watch as this server takes; try again, or read the auction itself.")


class TooManyStreams(TooMany):
    """One credential watches as often as it may."""

    code = "too_many_streams"

    def __init__(self, limit: int) -> None:
        super().__init__(f"This sign-in has {limit} streams open already; close one first.")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request."""

    method: str
    path: str
    headers: dict[str, str]


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read the head of a request; None when nothing came. Raises `NotHttp`, `TooSlow`."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            text = await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        raise aio.TooSlow from None
    except asyncio.LimitOverrunError:
        raise NotHttp from None
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise NotHttp from None
    return parse_head(text[:-4])


def parse_head(text: bytes) -> Head:
    """Read the lines of a head, strictly: no field twice, no folded line, no body; raise `NotHttp`."""
    first, *lines = text.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if request is None or len(text) > MAX_HEAD:
        raise NotHttp
    headers: dict[str, str] = {}
    for found in fields:
        name = found.group(1).decode().lower() if found else ""
        if found is None or name in headers:
            raise NotHttp
        headers[name] = found.group(2).decode("latin-1")
    if "host" not in headers or "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise NotHttp
    return Head(request.group(1).decode(), request.group(2).decode(), headers)


@dataclass(eq=False, slots=True)
class Watcher:
    """One open stream."""

    transport: asyncio.WriteTransport
    token: str

    def send(self, message: bytes) -> bool:
        """Write without waiting; False when the watcher was dropped because it does not read."""
        if self.transport.is_closing():
            return False
        self.transport.write(message)
        if self.transport.get_write_buffer_size() > MAX_BUFFER:
            self.transport.abort()
            return False
        return True


class Channel:
    """What is watched by many: the last messages by their number, and the watchers. Lives on the loop.

    `greet(after)` is set by the owner once it has had a look, or `refuse` is called: the message that tells a new
    watcher where things stand.
    """

    def __init__(self, remembered: int) -> None:
        self.watchers: set[Watcher] = set()
        self.recent: deque[tuple[int, bytes]] = deque(maxlen=remembered)
        self.beat: Callable[[], bytes] = lambda: b": \n\n"
        self.greet: Callable[[], bytes] = lambda: b""
        self.skipped: Callable[[int], bytes] = lambda _before: b""
        self.complete = True
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dropped = 0

    def opened(self) -> None:
        """Let those in who wait."""
        if not self.ready.done():
            self.ready.set_result(None)

    def refuse(self, failure: Failure) -> None:
        """Send those away who wait."""
        if not self.ready.done():
            self.ready.set_exception(failure)
            self.ready.exception()

    def remember(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Keep messages for those who come back."""
        self.complete = self.complete and len(self.recent) + len(messages) <= (self.recent.maxlen or 0)
        self.recent.extend(messages)

    def publish(self, message: bytes) -> None:
        """Send a message to everybody."""
        gone = [watcher for watcher in self.watchers if not watcher.send(message)]
        self.dropped += len(gone)
        self.watchers.difference_update(gone)

    def missed(self, after: int | None) -> bytes:
        """Return what a watcher missed after a number."""
        if after is None:
            return b""
        told = [message for number, message in self.recent if number > after]
        cut = not self.complete and self.recent and self.recent[0][0] > after + 1
        return b"".join([self.skipped(self.recent[0][0]), *told] if cut else told)


@dataclass
class Doors(Generic[Key]):
    """What a listener asks of its owner.

    `key` reads what is watched from a path, None when there is no such address. `channel` returns its channel, made
    when needed, `leave` is told when a watcher has gone. `authenticate` returns who holds a token; `good` which of many
    tokens still hold.
    """

    key: Callable[[str], Key | None]
    channel: Callable[[Key], Channel]
    leave: Callable[[Key], None]
    authenticate: Callable[[str], Awaitable[Actor | None]]
    good: Callable[[Collection[str]], Awaitable[Collection[str]]]
    after: Callable[[str | None], int | None]
    policy: Policy
    homes: Collection[str]
    watchers: int = 10_000
    each: int = 50


@dataclass
class Listener(Generic[Key]):
    """Serves the watchers of one process."""

    doors: Doors[Key]
    streams: Counter[str] = field(default_factory=Counter)
    channels: dict[Watcher, Channel] = field(default_factory=dict)
    connections: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve until told to stop, then let everybody go."""
        server = await asyncio.start_server(self._connected, sock=sock, limit=MAX_HEAD, backlog=4096)
        rounds = [asyncio.create_task(self._beat()), asyncio.create_task(self._recheck())]
        await stop.wait()
        server.close()
        for task in rounds:
            task.cancel()
        for watcher in list(self.channels):
            watcher.transport.close()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.empty.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.empty.clear()
        try:
            await self._answer(reader, writer)
        except OSError:
            pass  # the watcher went away
        finally:
            self.connections -= 1
            if not self.connections:
                self.empty.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = "/"
        try:
            head = await self._head(reader)
            if head is None:
                return
            path = head.path.partition("?")[0]
            await self._watch(head, reader, writer)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge answers whatever happened
            failure = aio.failure_of(error, path=path)
            writer.write(_problem(failure, path))
            async with asyncio.timeout(HEAD_SECONDS):
                await writer.drain()

    async def _head(self, reader: asyncio.StreamReader) -> Head | None:
        if self.connections > self.doors.watchers + SPARE:
            raise HouseFull
        return await read_head(reader)

    async def _watch(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = self.doors.key(head.path)
        if key is None:
            raise aio.NoRoute
        if head.method != "GET":
            raise aio.WrongMethod
        token = await self._admit(head)
        if self.streams[token] >= self.doors.each:
            raise TooManyStreams(self.doors.each)
        if len(self.channels) >= self.doors.watchers:
            raise HouseFull
        self.streams[token] += 1
        try:
            await self._stream(key, token, head, reader, writer)
        finally:
            self.streams[token] -= 1
            if not self.streams[token]:
                del self.streams[token]

    async def _admit(self, head: Head) -> str:
        token = credential(
            authorization=head.headers.get("authorization", ""),
            cookie=aio.cookie(head.headers, policies.COOKIE),
            safe=False,
            origin=head.headers.get("origin"),
            fetch_site=head.headers.get("sec-fetch-site"),
            homes=self.doors.homes,
        )
        if not token:
            raise NotSignedIn
        self.doors.policy.admit(await self.doors.authenticate(token), reading=True)
        return token

    async def _stream(
        self, key: Key, token: str, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        channel = self.doors.channel(key)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.shield(channel.ready)
        except TimeoutError:
            raise HouseFull from None
        bound_buffers(writer.get_extra_info("socket"))
        watcher = Watcher(writer.transport, token)
        after = self.doors.after(head.headers.get("last-event-id"))
        if watcher.send(_opening(head, self.doors.homes) + channel.missed(after) + channel.greet()):
            channel.watchers.add(watcher)
            self.channels[watcher] = channel
            try:
                await reader.read(1)
            finally:
                channel.watchers.discard(watcher)
                del self.channels[watcher]
                self.doors.leave(key)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            for channel in set(self.channels.values()):
                channel.publish(channel.beat())
                await asyncio.sleep(0)

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self.recheck()

    async def recheck(self) -> None:
        """Let those go whose credential no longer holds; when nobody can say, they stay until the next time."""
        asked = set(self.streams)
        try:
            good = set(await self.doors.good(asked))
        except Exception as error:
            log.warning("credentials of watchers were not checked", exc_info=error)
            return
        for watcher in list(self.channels):
            if watcher.token in asked and watcher.token not in good:
                watcher.transport.close()


def bound_buffers(sock: socket.socket) -> None:
    """Bound what the kernel keeps for a watcher, and how long it waits for a peer that is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def _opening(head: Head, homes: Collection[str]) -> bytes:
    lines = [
        "HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Cache-Control: no-store", "Connection: close",
        "X-Content-Type-Options: nosniff", "X-Accel-Buffering: no",
    ]  # fmt: skip
    origin = head.headers.get("origin")
    if origin is not None and origin in homes:
        lines += [f"Access-Control-Allow-Origin: {origin}", "Access-Control-Allow-Credentials: true", "Vary: Origin"]
    return ("\r\n".join(lines) + "\r\n\r\nretry: 1000\n\n").encode()


def _problem(failure: Failure, path: str) -> bytes:
    answer = aio.problem(failure, path)
    lines = [f"HTTP/1.1 {answer.status} Problem", *(f"{name}: {value}" for name, value in answer.headers)]
    lines += [f"content-length: {len(answer.body)}", "connection: close"]
    if failure.status == aio.WrongMethod.status:
        lines.append("allow: GET")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + answer.body
