"""The bidders of `benchmarks.durability`: each keeps what it sent and what it was told, as a careful bidder would.

A bidder whose connection broke, or who was told 503, does not know whether its attempt counts. It keeps the attempt
and sends it again under the same key once the gate is open.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

CONNECTIONS: Final = 64
STEP: Final = 100
ANSWER_SECONDS: Final = 60.0
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Attempt:
    """One attempt under its key, and the answer with the receipt that was given for it, if one was."""

    token: str
    key: str
    minor: int
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: 0 when the connection broke before it was complete."""

    status: int
    content: bytes = b""

    @property
    def body(self) -> dict[str, Any]:
        """The answer's document."""
        found: dict[str, Any] = orjson.loads(self.content)
        return found

    @property
    def decided(self) -> bool:
        """Whether the attempt was accepted, or refused by a rule of the auction."""
        return self.status in {201, 409}


@dataclass
class Room:
    """Everybody who bids, what they know, and the gate that lets them send. Each bid is higher than all before it."""

    port: int
    path: str
    tokens: Sequence[str]
    price: int
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    busy: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    accepted: list[Attempt] = field(default_factory=list)
    refused: int = 0
    odd: list[Told] = field(default_factory=list)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    decided_at: float = 0.0
    bidders: list["Bidder"] = field(default_factory=list)

    def goes_on(self) -> bool:
        """Whether bids are still sent; asked anew after each wait."""
        return not self.ended

    def start(self) -> list[asyncio.Task[None]]:
        """Let 64 bidders begin."""
        self.bidders = [Bidder(self, self.tokens[number % len(self.tokens)]) for number in range(CONNECTIONS)]
        return [asyncio.create_task(bidder.run()) for bidder in self.bidders]

    @property
    def undecided(self) -> list[Attempt]:
        """The attempts of which nobody knows whether they count."""
        return [bidder.pending for bidder in self.bidders if bidder.pending is not None]

    async def quiet(self) -> None:
        """Close the gate and wait until every attempt has its answer, or has lost its connection."""
        self.gate.clear()
        if self.busy:
            await self.idle.wait()

    def note(self, attempt: Attempt, told: Told) -> bool:
        """Write an answer down; False when the attempt is still undecided."""
        if told.status == 201:
            attempt.answer = told.content
            self.accepted.append(attempt)
        elif told.status == 409:
            self.refused += 1
        else:
            if told.status not in {0, 503}:
                self.odd.append(told)
            return False
        if not self.decided.is_set():
            self.decided_at = time.monotonic()
            self.decided.set()
        return True


@dataclass(eq=False)
class Bidder:
    """One keep-alive connection."""

    room: Room
    token: str
    pending: Attempt | None = None
    number: int = 0
    prefix: str = field(default_factory=lambda: secrets.token_hex(6))
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        """Bid while the gate is open, until the room is ended."""
        while not self.room.ended:
            await self.room.gate.wait()
            if not self.room.goes_on():
                break
            attempt = self.pending or self._next()
            self.pending = attempt
            self.room.busy += 1
            self.room.idle.clear()
            told = await self.send(attempt)
            if self.room.note(attempt, told):
                self.pending = None
            else:
                await asyncio.sleep(0.02)
            self.room.busy -= 1
            if not self.room.busy:
                self.room.idle.set()
        await self._close()

    def _next(self) -> Attempt:
        self.number += 1
        self.room.price += STEP
        return Attempt(self.token, f"{self.prefix}-{self.number}", self.room.price)

    async def send(self, attempt: Attempt) -> Told:
        """Send an attempt and read its answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(attempt)
        except (OSError, asyncio.IncompleteReadError):
            await self._close()
            return Told(0)
        except TimeoutError:
            await self._close()
            return Told(-1)

    async def _exchange(self, attempt: Attempt) -> Told:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.room.port)
        reader, writer = self.streams
        amount = f"{attempt.minor // 100}.{attempt.minor % 100:02d}"
        body = orjson.dumps({"amount": {"amount": amount, "currency": "CNY"}})
        writer.write(
            f"POST {self.room.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {attempt.token}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {attempt.key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, head
        return Told(int(head[9:12]), await reader.readexactly(int(length[1])))

    async def _close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None
