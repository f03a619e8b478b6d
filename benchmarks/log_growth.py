"""Does an auction become slower as its log grows? Bids, reads and closing with 0 to 1,000,000 entries in the log.

Auctions of the same bidders, one for each length, filled by the engine: every entry signed and linked. Bids: 64
connections through the live door with one worker, in interleaved short runs; the baseline is the empty log. Reads:
what the pages, the list of bids and the feed ask. Closing: the log played again, held against its row and hashed, as
`close_due` does, in a process of its own whose memory is measured; the limit beside it is reading the rows and no more.
`python -m benchmarks.log_growth [SECONDS] [ROUNDS] [LENGTH ...]`
"""

import multiprocessing
import resource
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy.orm import Session

import wsgi
from auctions import feed, log, playback, viewing
from auctions.models import Auction
from benchmarks import _engine, halls
from benchmarks.hot_auction import KEY, Run, Target, prepare, serving
from marketplace import runtime
from marketplace.settings import Settings

LENGTHS: Final = (0, 10_000, 100_000, 1_000_000)
PAGE: Final = 50
FORK: Final = multiprocessing.get_context("fork")


def settings(url: str) -> dict[str, str]:
    """Return the environment of a door."""
    keys = dict.fromkeys(("SECRET_KEY", "IDENTITY_KEY", "MATCHING_KEY"), KEY)
    return {"DATABASE_URL": url, "REDIS_URL": "unix:///nonexistent", **keys}


def running(url: str) -> runtime.Runtime:
    """Return a runtime over a database, installed."""
    built = runtime.build(Settings.from_environment(settings(url)), wsgi.MODULES)
    runtime.install(built)
    return built


def measure_bids(url: str, paths: dict[int, str], tokens: list[str], seconds: float, rounds: int) -> None:
    """Print decided and accepted bids a second for each length, and their ratio to the empty log's."""
    door = Target("live door", "", [sys.executable, "-m", "live", "--port", "{port}"], settings(url), tokens)
    runs: dict[int, list[Run]] = {length: [] for length in paths}
    with serving(door):
        firsts = {length: _price(url, path) for length, path in paths.items()}
        for length, path in paths.items():
            halls.warm(door.port, path, tokens, firsts[length])
        for _ in range(rounds):
            for length, path in paths.items():
                runs[length].append(halls.measure(door.port, path, tokens, seconds, firsts[length]))
    base = statistics.median(run.decided for run in runs[min(runs)])
    print(
        f"\n{'entries':>10} {'decided/s':>10} {'accepted/s':>11} {'p99 ms':>8} {'others':>7} {'x of the shortest':>18}"
    )
    for length, found in runs.items():
        decided, accepted, p99 = (
            statistics.median(getattr(run, name) for run in found) for name in ("decided", "accepted", "p99")
        )
        others = sum(run.others for run in found)
        print(f"{length:>10,} {decided:>10.0f} {accepted:>11.0f} {p99:>8.1f} {others:>7} {decided / base:>18.2f}")


def _price(url: str, path: str) -> bytes:
    with running(url).sessions() as session:
        auction = session.get_one(Auction, halls.auction_of(path))
        return f"{(auction.price_minor or 10_000_000) // 100}.00".encode()


def measure_reads(url: str, paths: dict[int, str]) -> None:
    """Print how long each read takes."""
    built = running(url)
    print(f"\n{'entries':>10} " + " ".join(f"{name:>16}" for name in READS) + "   ms, median of 7")
    for length, path in paths.items():
        with built.sessions() as session:
            auction = session.get_one(Auction, halls.auction_of(path))
            figures = [_median_ms(read, session, auction) for read in READS.values()]
        print(f"{length:>10,} " + " ".join(f"{figure:>16.1f}" for figure in figures))
    built.engine.dispose()


def _median_ms(read: Callable[[Session, Auction], object], session: Session, auction: Auction) -> float:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        read(session, auction)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _bids(session: Session, auction: Auction, cursor: str | None) -> object:
    return viewing.list_bids(session, auction_id=auction.id, cursor=cursor, limit=PAGE, actor=feed.SPECTATOR)


READS: Final[dict[str, Callable[[Session, Auction], object]]] = {
    "the auction": lambda session, row: viewing.view_auction(session, row.id, actor=feed.SPECTATOR),
    "newest bids": lambda session, row: _bids(session, row, None),
    "bids from half": lambda session, row: _bids(session, row, str(row.number // 2 + 1)),
    "feed, one new": lambda session, row: feed.read_news(session, auction_id=row.id, after=max(0, row.number - 1)),
    "feed, all missed": lambda session, row: feed.read_news(session, auction_id=row.id, after=0),
}


def _read_only(session: Session, auction: Auction) -> None:
    for _ in log.read(session, auction.id):
        pass


CLOSING: Final[dict[str, Callable[[Session, Auction], object]]] = {
    "reading the rows": _read_only,
    "closing": playback.concluded,
}


def measure_closing(url: str, paths: dict[int, str]) -> None:
    """Print seconds, processor seconds and memory of closing, beside those of reading."""
    print(f"\n{'entries':>10} {'':<17} {'seconds':>8} {'processor s':>12} {'us/entry':>9} {'more memory, MB':>16}")
    for length, path in paths.items():
        for name, work in CLOSING.items():
            mine, theirs = FORK.Pipe()
            process = FORK.Process(target=_apart, args=(url, halls.auction_of(path), work, theirs))
            process.start()
            took, spent, memory = mine.recv()
            process.join()
            each = spent / max(1, length) * 1e6
            print(f"{length:>10,} {name:<17} {took:>8.2f} {spent:>12.2f} {each:>9.1f} {memory:>16.0f}")


def _apart(url: str, auction_id: uuid.UUID, work: Callable[[Session, Auction], object], pipe: Any) -> None:
    with running(url).sessions() as session:
        auction = session.get_one(Auction, auction_id)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, spent = time.perf_counter(), time.process_time()
        work(session, auction)
        took, used = time.perf_counter() - began, time.process_time() - spent
        pipe.send((took, used, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def main() -> None:
    """Fill the logs, measure, report."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    lengths = [int(one) for one in sys.argv[3:]] or list(LENGTHS)
    with _engine.postgresql("max_connections=300") as url:
        path, tokens = prepare(url)
        paths = dict(zip(lengths, [path, *halls.more(url, path, len(lengths) - 1)], strict=True))
        for length, one in paths.items():
            halls.fill(url, one, tokens, length)
        measure_closing(url, paths)
        measure_reads(url, paths)
        measure_bids(url, paths, tokens, seconds, rounds)


if __name__ == "__main__":
    main()
