"""What is left of the throughput when a disk flush costs a millisecond more?

PostgreSQL itself is told to wait before each flush of a commit (`commit_delay`, with `commit_siblings` 0, so always),
holding the lock under which it writes, as a slower disk would. Runs with and without the wait are interleaved on one
server: the live door with one process and with two, and the naive peer at its best thread count. The limit beside them
is a commit alone on one connection, which shows what a flush costs.
`python -m benchmarks.flush_cost [SECONDS] [ROUNDS] [MS]`
"""

import contextlib
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import create_engine, text

from benchmarks import _engine, halls
from benchmarks.hot_auction import START, Target, serving, targets

COMMITS: Final = 200
FIRST: Final = f"{START // 100}.00".encode()


def slow_down(url: str, milliseconds: float) -> None:
    """Let every flush of a commit take so much longer from now on."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER SYSTEM SET commit_delay = {int(milliseconds * 1000)}"))
        connection.execute(text("ALTER SYSTEM SET commit_siblings = 0"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    time.sleep(0.2)


def commits_alone(url: str) -> float:
    """Return how many commits a second one connection does, each of one row."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS flushes (number integer)"))
        began = time.perf_counter()
        for number in range(COMMITS):
            connection.execute(text("INSERT INTO flushes VALUES (:number)"), {"number": number})
        took = time.perf_counter() - began
    engine.dispose()
    return COMMITS / took


def measure(url: str, chosen: list[Target], seconds: float, rounds: int, extra: float) -> None:
    """Run everything without and with the wait in turn, and print medians and ratios."""
    found: dict[tuple[str, float], list[float]] = defaultdict(list)
    for target in chosen:
        halls.warm(target.port, target.path, target.tokens, FIRST)
    for _ in range(rounds):
        for wait in (0.0, extra):
            slow_down(url, wait)
            found["commits alone", wait].append(commits_alone(url))
            for target in chosen:
                run = halls.measure(target.port, target.path, target.tokens, seconds, FIRST)
                found[target.name, wait].append(run.decided)
    print(f"{'':<18} {'as it is':>10} {f'+{extra:g} ms':>10} {'left':>6}   a second")
    for name in dict.fromkeys(name for name, _ in found):
        fast, slow = (statistics.median(found[name, wait]) for wait in (0.0, extra))
        print(f"{name:<18} {fast:>10.0f} {slow:>10.0f} {slow / fast:>6.0%}")


def main() -> None:
    """Start PostgreSQL and both servers, measure, report."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    extra = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    with _engine.postgresql("max_connections=300", "fsync=on") as url:
        made = targets(url)
        doors = [one for one in made if one.name.startswith("live door")]
        chosen = [*doors, next(one for one in made if one.name.startswith("naive peer"))]
        with contextlib.ExitStack() as servers:
            for target in chosen:
                servers.enter_context(serving(target))
            measure(url, chosen, seconds, rounds, extra)


if __name__ == "__main__":
    main()
