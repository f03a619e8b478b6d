"""Settling a deal of a million cases: the product's own `distribute_deal`, against Decimal and ORM, and a bare COPY.

    .venv/bin/python -m benchmarks.allocation [--cases 1000000] [--rounds 3]

Ours: claims read, shared out exactly, allocations stored with their key, control totals checked, the entry and the
payout posted, one transaction. Bare: a binary COPY of the allocations that ours stored into a table without keys or
triggers. Naive: rows of an ORM, Decimal shares, rows of an ORM again, on fewer cases, scaled linearly. Each way runs
in a process of its own, whose peak of memory is its own. PostgreSQL is embedded, fsync on; medians; only ratios count.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import BigInteger, ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks import _engine, sold
from benchmarks.tape_import import prepare
from marketplace.actor import SYSTEM
from settlement import payouts

PRICE = 123_456_789_012_34
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAIVE_CASES = 50_000
Measured = tuple[float, float]
"""Seconds, and the peak of memory in MB."""


class Naive(DeclarativeBase):
    """The peer's own tables."""


class NaiveClaim(Naive):
    """A case of a package."""

    __tablename__ = "naive_claims"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_key: Mapped[str]
    weight: Mapped[int] = mapped_column(BigInteger)


class NaiveAllocation(Naive):
    """What a case receives."""

    __tablename__ = "naive_allocations"
    deal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_claims.id"), primary_key=True)
    case_key: Mapped[str]
    weight: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)


def main() -> None:
    """Start PostgreSQL, run, clean up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with _engine.postgresql() as url:
        run(url, chosen.cases, chosen.rounds)


def run(url: str, cases: int, rounds: int) -> None:
    """Measure every way in turn, `rounds` times, and print the medians."""
    database = create_engine(url)
    with database.connect() as connection:
        sold.migrate(connection)
        seller, buyer = sold.add_organisation(connection, 1), sold.add_organisation(connection, 2)
        package = sold.add_package(connection, cases)
        few = min(cases, NAIVE_CASES)
        Naive.metadata.create_all(connection)
        connection.execute(
            text(
                "INSERT INTO naive_claims SELECT case_id, case_key, principal_minor + interest_minor"
                " FROM package_cases LIMIT :few"
            ),
            {"few": few},
        )
        connection.commit()
        taken: dict[str, list[Measured]] = {}
        for _ in range(rounds):
            deal = sold.add_deal(connection, package=package, seller=seller, buyer=buyer, price=PRICE)
            taken.setdefault("ours", []).append(apart(ours, url, deal))
            taken.setdefault("bare COPY", []).append(apart(bare_copy, url, deal))
            seconds, memory = apart(naive, url, deal)
            taken.setdefault("naive, scaled", []).append((seconds * cases / few, memory))
    database.dispose()
    report(taken, cases)


def apart(way: Callable[..., float], url: str, deal: uuid.UUID) -> Measured:
    """Run a way in a new process; return its seconds and the peak of that process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(with_memory, way, url, deal).result()


def with_memory(way: Callable[..., float], url: str, deal: uuid.UUID) -> Measured:
    """Return the seconds of a way and this process's peak so far."""
    seconds = way(url, deal)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return seconds, int(peak.split()[1]) / 1024


def ours(url: str, deal: uuid.UUID) -> float:
    """Distribute the deal as the worker does, commit included."""
    with tempfile.TemporaryDirectory() as files, prepare(url, Path(files)).sessions() as session:
        session.execute(text("SELECT 1"))
        started = time.perf_counter()
        payouts.distribute_deal(session, deal_id=deal, actor=SYSTEM, at=AT)
        session.commit()
        return time.perf_counter() - started


def bare_copy(url: str, deal: uuid.UUID) -> float:
    """Send the rows of the deal into a table without keys, commit included."""
    with psycopg.connect(url) as connection:
        rows = f"SELECT * FROM allocations WHERE deal_id = '{deal}'"
        with connection.cursor().copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)".encode()) as out:
            ready = b"".join(bytes(block) for block in out)
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute("CREATE TABLE bare AS SELECT * FROM allocations LIMIT 0")
        connection.commit()
        started = time.perf_counter()
        with connection.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(ready)
        connection.commit()
        return time.perf_counter() - started


def naive(url: str, deal: uuid.UUID) -> float:
    """The usual way: objects in, Decimal shares, a sort of the remainders, objects out, commit included."""
    database = create_engine(url)
    with Session(database) as session:
        session.execute(text("SELECT 1"))
        started = time.perf_counter()
        claims = session.scalars(select(NaiveClaim).order_by(NaiveClaim.case_key)).all()
        amounts = decimal_shares([claim.weight for claim in claims])
        session.add_all(
            NaiveAllocation(
                deal_id=deal, case_id=claim.id, case_key=claim.case_key, weight=claim.weight, amount_minor=amount
            )
            for claim, amount in zip(claims, amounts, strict=True)
        )
        session.commit()
        return time.perf_counter() - started


def decimal_shares(minor: list[int]) -> list[int]:
    """Share the price out by weights in order of their keys."""
    weights = [Decimal(weight) / 100 for weight in minor]
    total, whole = Decimal(PRICE) / 100, sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [share.quantize(Decimal("0.01"), ROUND_FLOOR) for share in exact]
    rest = int((total - sum(parts)) * 100)
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], -weights[i], i))
    for i in order[:rest]:
        parts[i] += Decimal("0.01")
    return [int(part * 100) for part in parts]


def report(taken: dict[str, list[Measured]], cases: int) -> None:
    """Print medians and ratios."""
    medians: dict[str, Any] = {name: statistics.median(one for one, _ in found) for name, found in taken.items()}
    print(f"{cases:,} cases, medians of {len(taken['ours'])} rounds")
    for name, seconds in medians.items():
        peak = max(memory for _, memory in taken[name])
        print(
            f"{name:16} {seconds:8.2f} s  {seconds / medians['bare COPY']:7.2f} x COPY"
            f"  {seconds / medians['ours']:7.2f} x ours  peak {peak:6.0f} MB"
        )


if __name__ == "__main__":
    main()
