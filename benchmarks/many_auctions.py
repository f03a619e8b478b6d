"""100 auctions at once: do more processes decide more, and does every answer belong to its auction?

64 connections, each on the next auction after every answer, so that all 100 are bid on all the time by the same 16
bidders, through the live door with 1 and with 2 workers, and on one auction alone for comparison; interleaved runs.
Afterwards every answer that was given is held against the logs: it names the auction it was asked of, is found there
under its number with its amount, and nowhere else; numbers are without a gap, chains hold, and the rows agree. The
runs on one auction by two workers are checked in the same way. `python -m benchmarks.many_auctions [SECONDS] [ROUNDS]`
"""

import asyncio
import re
import secrets
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from auctions import log, playback
from auctions.models import Auction
from benchmarks import _engine, halls
from benchmarks.hot_auction import STEP, Target, prepare, serving
from benchmarks.log_growth import settings

AUCTIONS: Final = 100
CONNECTIONS: Final = 64
WARMING: Final = 1.0
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class CrossTalk(AssertionError):
    """An answer or an entry stands where it does not belong."""


@dataclass
class Load:
    """Connections that go from auction to auction; every acceptance is kept. Counts begin after the warm-up."""

    port: int
    paths: Sequence[str]
    tokens: Sequence[str]
    seconds: float
    prices: dict[str, int]
    decided: int = 0
    latencies: list[float] = field(default_factory=list)
    accepted: list[tuple[str, int, bytes]] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)

    async def run(self) -> None:
        """Bid for the time given."""
        self.start = time.perf_counter() + WARMING
        self.end = self.start + self.seconds
        await asyncio.gather(*(self._connection(number) for number in range(CONNECTIONS)))

    async def _connection(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        token, key, turn = self.tokens[number % len(self.tokens)], secrets.token_hex(6), number
        while time.perf_counter() < self.end:
            turn += 1
            path = self.paths[turn * 7 % len(self.paths)]
            self.prices[path] += STEP
            minor = self.prices[path]
            body = b'{"amount":{"amount":"%d.%02d","currency":"CNY"}}' % divmod(minor, 100)
            sent = time.perf_counter()
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: "
                f"application/json\r\nIdempotency-Key: {key}-{turn}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            assert found is not None, head
            self._note(path, minor, head[9:12], await reader.readexactly(int(found[1])), sent)
        writer.close()

    def _note(self, path: str, minor: int, status: bytes, answer: bytes, sent: float) -> None:
        now = time.perf_counter()
        if status == b"201":
            self.accepted.append((path, minor, answer))
        elif status != b"409":
            self.others.append(answer)
            return
        if self.start <= now < self.end:
            self.latencies.append(now - sent)


@dataclass
class Mode:
    """A door with so many workers, bid on in so many auctions, and what its runs decided a second."""

    workers: int
    paths: Sequence[str]
    target: Target
    decided: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)


class Ledger:
    """Everything that was answered, to be held against the logs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.given: list[tuple[str, int, bytes]] = []

    def check(self, paths: Sequence[str]) -> tuple[int, int]:
        """Return how many entries and answers agree; raise `CrossTalk` where one does not."""
        engine = create_engine(self.url)
        answers: dict[uuid.UUID, list[tuple[int, dict[str, Any]]]] = {halls.auction_of(path): [] for path in paths}
        for path, minor, content in self.given:
            document = orjson.loads(content)
            if uuid.UUID(document["auction_id"]) != halls.auction_of(path):
                raise CrossTalk(f"{path} was answered for {document['auction_id']}")
            answers[halls.auction_of(path)].append((minor, document))
        entries = 0
        with Session(engine) as session:
            for auction_id, told in answers.items():
                playback.checked(session, session.get_one(Auction, auction_id))
                found = {row.number: row for row in log.read(session, auction_id)}
                entries += len(found)
                if len(found) != len(told):
                    raise CrossTalk(f"{auction_id}: {len(told)} acceptances were answered, the log has {len(found)}")
                for minor, document in told:
                    self._same(auction_id, found[document["number"]], minor, document)
        engine.dispose()
        return entries, len(self.given)

    @staticmethod
    def _same(auction_id: uuid.UUID, row: Any, minor: int, document: dict[str, Any]) -> None:
        signed = orjson.loads(row.receipt)
        same = (row.sequence, row.amount_minor, row.bidder_code) == (document["sequence"], minor, document["bidder"])
        if not same or signed != document["receipt"]["receipt"] or signed["auction_id"] != str(auction_id):
            raise CrossTalk(f"{auction_id}: entry {row.number} is not what was answered: {document}")


def modes(url: str, paths: Sequence[str], tokens: list[str]) -> list[Mode]:
    """Return 100 auctions and one, each with one worker and with two."""
    made = []
    for workers in (1, 2):
        command = [sys.executable, "-m", "live", "--port", "{port}", "--processes", str(workers)]
        for chosen in (paths[1:], paths[:1]):
            target = Target(f"{len(chosen)} auctions, {workers}", "", command, settings(url), tokens)
            made.append(Mode(workers, chosen, target))
    return made


def measure(mode: Mode, ledger: Ledger, prices: dict[str, int], seconds: float) -> None:
    """Run one mode once."""
    with serving(mode.target):
        loads = [Load(mode.target.port, mode.paths, mode.target.tokens, length, prices) for length in (0.0, seconds)]
        for load in loads:  # the first waits until every worker has answered
            asyncio.run(load.run())
            if load.others:
                raise CrossTalk(f"{len(load.others)} answers that nobody expects, such as {load.others[0]!r}")
            ledger.given += load.accepted
    ordered = sorted(load.latencies)
    mode.decided.append(len(ordered) / seconds)
    mode.p99.append(ordered[len(ordered) * 99 // 100] * 1000)


def report(found: list[Mode]) -> None:
    """Print medians and what a second worker brings."""
    print(f"\n{'auctions':>9} {'workers':>8} {'decided/s':>10} {'p99 ms':>8}")
    for mode in found:
        decided, p99 = statistics.median(mode.decided), statistics.median(mode.p99)
        print(f"{len(mode.paths):>9} {mode.workers:>8} {decided:>10.0f} {p99:>8.1f}")
    for count in (AUCTIONS, 1):
        one, two = (statistics.median(mode.decided) for mode in found if len(mode.paths) == count)
        print(f"{count} auctions, 2 workers / 1 worker: {two / one:.2f} x")


def main() -> None:
    """Open the auctions, measure, check every answer, report."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with _engine.postgresql("max_connections=300") as url:
        path, tokens = prepare(url)
        paths = [path, *halls.more(url, path, AUCTIONS)]
        ledger, prices = Ledger(url), dict.fromkeys(paths, 10_000_000)
        found = modes(url, paths, tokens)
        for _ in range(rounds):
            for mode in found:
                measure(mode, ledger, prices, seconds)
        report(found)
        entries, answers = ledger.check(paths)
        print(f"{answers} acceptances answered and {entries} entries in {len(paths)} logs agree")


if __name__ == "__main__":
    main()
