"""What do 2,000 watchers of one auction hear of ten bids a second, how late, and what does telling them cost?

Bids are placed by the product's own service and committed; a watcher's lateness runs from the return of the commit to
the last byte of the message, on the one clock of this machine. In one run, in turn: (1) the feed process, with 20
watchers more who never read, (2) the naive peer: gunicorn gthread, a thread for each watcher that asks the database
once a second, here with the threads it can have, (3) the limit: a bare loop that writes bytes as long to as many
sockets, told by a pipe. What the watchers' own process spends is told beside it.
`python -m benchmarks.live_feed [SECONDS] [WATCHERS] [PEER_WATCHERS]`
"""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import select

import wsgi
from auctions import bidding
from auctions.models import Auction
from benchmarks import _engine
from benchmarks.hot_auction import KEY, prepare
from marketplace import runtime
from marketplace.money import Money
from marketplace.parties import service as parties
from marketplace.settings import Settings

RATE = 10
SETTLE = 2.0
PEER_THREADS = 400
DEAD = 20


@dataclass(frozen=True)
class Result:
    """What one feed did."""

    name: str
    watchers: int
    delivered: float
    p50: float
    p99: float
    cores: float
    sent: int
    watching: float
    message: int


@contextmanager
def serving(command: list[str], environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a feed in a process."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"nothing answers on port {port}: {command}") from None
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def cpu_of(pid: int) -> float:
    """Processor seconds of a process and its children that live."""
    total = 0.0
    for task in [pid, *_children(pid)]:
        fields = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Bidders:
    """Bids that the product's own service decides and commits."""

    def __init__(self, url: str, path: str, tokens: list[str]) -> None:
        keys = dict.fromkeys(("SECRET_KEY", "IDENTITY_KEY", "MATCHING_KEY"), KEY)
        self.environment = {"DATABASE_URL": url, "REDIS_URL": "unix:///nonexistent", **keys}
        running = runtime.build(Settings.from_environment(self.environment), wsgi.MODULES)
        runtime.install(running)
        self.sessions, self.auction_id = running.sessions, uuid.UUID(path.split("/")[4])
        with self.sessions() as session:
            self.actors = list(parties.authenticate_all(session, tokens, at=datetime.now(UTC)).values())
            self.price = session.scalars(select(Auction.price_minor)).one() or 10_000_000
        self.turn = 0

    def bid(self) -> tuple[int, int]:
        """Place and commit one accepted bid; return its number and when the commit returned, in nanoseconds."""
        self.turn += 1
        self.price += 1000
        with self.sessions() as session:
            receipt = bidding.place_bid(
                session, auction_id=self.auction_id, idempotency_key=uuid.uuid4().hex,
                actor=self.actors[self.turn % len(self.actors)], amount=Money(self.price, "CNY"), confirmed=True,
            )  # fmt: skip
            session.commit()
        assert receipt.number is not None
        return receipt.number, time.monotonic_ns()


def measure(
    name: str, process: Any, port: int, path: str, tokens: list[str], count: int, seconds: float, act: Any
) -> Result:
    """Let watchers listen while `act` makes events; return what they heard."""
    source = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live_feed_watchers", "watch", str(port), path, str(count),
         str(seconds + SETTLE)],
        cwd=ROOT, env={**os.environ, "TOKENS": json.dumps(tokens)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert source.stdout is not None
    listening = json.loads(source.stdout.readline())["listening"]
    time.sleep(0.5)
    began, spent = time.monotonic(), cpu_of(process.pid)
    made: dict[int, int] = {}
    for turn in range(int(RATE * seconds)):
        time.sleep(max(0.0, began + turn / RATE - time.monotonic()))
        number, at = act()
        made[number] = at
    cores = (cpu_of(process.pid) - spent) / (time.monotonic() - began)
    told = json.loads(source.stdout.readline())
    heard = told["arrivals"]
    source.wait(30)
    late = sorted((at - made[number]) / 1e6 for number in made for at in heard.get(str(number), [])) or [float("nan")]
    delivered = len(late) / (len(made) * count)
    return Result(
        name, listening, delivered, late[len(late) // 2], late[len(late) * 99 // 100], cores, len(made), told["cores"],
        told["bytes"],
    )  # fmt: skip


def run(url: str, seconds: float, count: int, peer_count: int) -> list[Result]:
    """Measure all three."""
    bids_path, tokens = prepare(url)
    bidders, path = Bidders(url, bids_path, tokens), bids_path.removesuffix("/bids") + "/feed"
    results = []
    port = free_port()
    ours = [sys.executable, "-m", "feed", "--port", str(port), "--each", "10000"]
    with serving(ours, bidders.environment, port) as process, _dead(port, path, tokens):
        results.append(measure("ours", process, port, path, tokens, count, seconds, bidders.bid))
    port = free_port()
    peer = [
        sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "1", "--threads", str(PEER_THREADS), "--log-level",
        "error", "-b", f"127.0.0.1:{port}", "benchmarks.live_feed_peer:app",
    ]  # fmt: skip
    environment = {"PEER_DATABASE_URL": url}
    with serving(peer, environment, port) as process:
        naive_path = f"/auctions/{bidders.auction_id}/feed"
        results.append(measure("naive peer", process, port, naive_path, tokens, peer_count, seconds, bidders.bid))
    results.append(_limit(path, tokens, count, seconds, results[0].message))
    return results


@contextmanager
def _dead(port: int, path: str, tokens: list[str]) -> Iterator[None]:
    """Let some watch who never read a byte."""
    sockets = []
    for token in (tokens * DEAD)[:DEAD]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", port))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        sockets.append(sock)
    yield
    for sock in sockets:
        sock.close()


def _limit(path: str, tokens: list[str], count: int, seconds: float, message: int) -> Result:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live_feed_watchers", "bare", str(port), str(message)],
        cwd=ROOT, stdin=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    turn = iter(range(1, 1_000_000))

    def tell() -> tuple[int, int]:
        number, at = next(turn), time.monotonic_ns()
        process.stdin.write(b"%d\n" % number)  # type: ignore[union-attr]  # present by how it was opened
        process.stdin.flush()  # type: ignore[union-attr]  # present by how it was opened
        return number, at

    try:
        time.sleep(2)
        return measure("bare writes", process, port, path, tokens, count, seconds, tell)
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10)


def report(results: list[Result]) -> None:
    """Print what was heard."""
    print(
        f"{'':<14} {'watchers':>8} {'events':>7} {'heard':>9} {'p50 ms':>8} {'p99 ms':>8} {'cores':>6} {'ms/event':>9}"
        f" {'watchers, cores':>16} {'bytes':>6}"
    )
    for one in results:
        print(
            f"{one.name:<14} {one.watchers:>8} {one.sent:>7} {one.delivered:>9.4%} {one.p50:>8.1f} {one.p99:>8.1f}"
            f" {one.cores:>6.2f} {one.cores * 1000 / RATE:>9.1f} {one.watching:>16.2f} {one.message:>6}"
        )


def main() -> None:
    """Start PostgreSQL and all feeds, measure, report."""
    arguments = [*sys.argv[1:], *("", "", "")][:3]
    with _engine.postgresql("max_connections=600") as url:
        results = run(url, float(arguments[0] or 10), int(arguments[1] or 2000), int(arguments[2] or PEER_THREADS))
        report(results)


if __name__ == "__main__":
    main()
