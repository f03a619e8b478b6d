"""A light generator of bids: one asyncio process, each connection a protocol that reads no more than it needs."""

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

CONNECTIONS = 64
WARM_UP = 0.5
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NEXT = re.compile(rb'"minimum_next": ?\{"amount": ?"([0-9.]+)"')


@dataclass
class Load:
    """64 connections, each bidding the least amount that its last answer named; counts begin after the warm-up."""

    port: int
    path: str
    tokens: Sequence[str]
    seconds: float
    first: bytes
    start: float = 0.0
    end: float = 0.0
    accepted: int = 0
    others: int = 0
    latencies: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Bid for the time given."""
        loop = asyncio.get_running_loop()
        self.start = time.perf_counter() + WARM_UP
        self.end = self.start + self.seconds
        made = [
            await loop.create_connection(lambda n=number: _Bidder(self, n), "127.0.0.1", self.port)  # type: ignore[misc]  # its library has no types
            for number in range(CONNECTIONS)
        ]
        await asyncio.gather(*(bidder.done for _, bidder in made))

    def count(self, status: bytes, answer: bytes, sent: float) -> None:
        """Count one answer: decided is what was accepted, or refused by a rule."""
        now = time.perf_counter()
        if not self.start <= now < self.end:
            return
        if status == b"201" or (status == b"409" and b'"code"' in answer):
            self.latencies.append(now - sent)
            self.accepted += status == b"201"
        else:
            self.others += 1


class _Bidder(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.head = (
            f"POST {load.path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {load.tokens[number % len(load.tokens)]}\r\nContent-Type: application/json\r\n"
        ).encode()
        self.amount, self.buffer, self.sent = load.first, b"", 0.0
        self.prefix, self.number = secrets.token_hex(6), 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bid at once."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._bid()

    def _bid(self) -> None:
        self.number += 1
        body = b'{"amount":{"amount":"%s","currency":"CNY"}}' % self.amount
        key = b"Idempotency-Key: %s-%d\r\nContent-Length: %d\r\n\r\n" % (self.prefix.encode(), self.number, len(body))
        self.sent = time.perf_counter()
        self.transport.write(self.head + key + body)

    def data_received(self, data: bytes) -> None:
        """Read an answer and bid again."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        assert length is not None, head
        if len(body) < int(length[1]):
            return
        self.buffer = b""
        self.load.count(head[9:12], body, self.sent)
        named = _NEXT.search(body)
        if named is not None:
            self.amount = named[1]
        if time.perf_counter() < self.load.end:
            self._bid()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by us at the end of the run, or by a server that is not up to it."""
        if exc is not None or time.perf_counter() < self.load.end:
            self.load.others += 1
        if not self.done.done():
            self.done.set_result(None)
