"""Allocation of one price to many cases: compute, and compute and store, against naive Decimal and a bare COPY.

    .venv/bin/python -m benchmarks.allocation [--cases 1000000] [--rounds 3]

One interleaved run on an embedded PostgreSQL with fsync on; medians; what counts are the ratios. The bare COPY sends
the same rows, already in binary, into a table without keys or triggers: nothing that stores them can be faster.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import numpy as np
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from marketplace import embedded
from marketplace.money import share_out
from settlement import allocation
from settlement.allocation import Claims
from settlement.domain.allocation import Integers, allocate

ROOT = Path(__file__).resolve().parent.parent
NET = 123_456_789_012_34


def main() -> None:
    """Start PostgreSQL, run, clean up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="npl-bench-"))
    folder.chmod(0o755)
    engine = embedded.start_postgresql(folder)
    try:
        run(engine.url, chosen.cases, chosen.rounds)
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(url: str, cases: int, rounds: int) -> None:
    """Measure every way in turn, `rounds` times, and print the medians."""
    claims = make_claims(cases)
    database = create_engine(url)
    with Session(database) as session:
        prepare(session)
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            amounts = measure(times, "compute: naive Decimal", lambda: naive(claims))
            assert measure(times, "compute: int reference", lambda: reference(claims)) == amounts
            parts = measure(times, "compute: ours", lambda: allocate(NET, claims.weights, claims.keys))
            assert parts.tolist() == amounts
            ready = b"".join(allocation.binary_rows(new_deal(session, cases), claims, parts))
            measure(times, "store: bare COPY, no keys", lambda ready=ready: bare_copy(session, ready))
            measure(times, "store: ours, keys and checks", lambda parts=parts: store(session, claims, parts))
            measure(times, "compute and store: ours", lambda: store(session, claims, None))
    database.dispose()
    report(times, cases)


def make_claims(cases: int) -> Claims:
    """Cases with UUIDv7-like ids in order of creation, keys as tapes have them, claims of 100 to 500,000 yuan."""
    random = np.random.default_rng(20260302)
    first = uuid.UUID("01950000-0000-7000-8000-000000000000").int
    ids = [uuid.UUID(int=first + (number << 20)) for number in range(cases)]
    keys = [f"LN{number:09d}" for number in range(cases)]
    return Claims(ids, keys, random.integers(10_000, 50_000_000, cases))


def prepare(session: Session) -> None:
    """Migrate, and make the bare table."""
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["connection"] = session.connection()
    command.upgrade(config, "head")
    columns = "deal_id uuid, case_id uuid, case_key text, weight bigint, amount_minor bigint"
    session.execute(text(f"CREATE TABLE bare ({columns})"))
    session.commit()


def new_deal(session: Session, cases: int) -> uuid.UUID:
    """Add a deal row without its award and parties: what is measured here begins after them."""
    deal_id = uuid.uuid4()
    session.execute(text("SET session_replication_role = replica"))
    session.execute(
        text(
            "INSERT INTO deals (id, award_id, package_id, listing_id, seller_organisation_id, buyer_organisation_id,"
            " registration_id, fee_schedule_id, reference, state, currency, price_minor, deposit_minor,"
            " received_minor, due_on, opened_at, net_minor, case_count) VALUES (:id, :id, :id, :id, :id, :id, :id, :id,"
            " :id, 'ready', 'CNY', :net, 0, :net, '2026-03-02', now(), :net, :cases)"
        ),
        {"id": deal_id, "net": NET, "cases": cases},
    )
    session.execute(text("SET session_replication_role = origin"))
    session.commit()
    return deal_id


def naive(claims: Claims) -> list[int]:
    """The usual way: Decimal shares rounded down, then a sort of the remainders."""
    weights = [Decimal(weight) / 100 for weight in claims.weights.tolist()]
    total, whole = Decimal(NET) / 100, sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [share.quantize(Decimal("0.01"), ROUND_FLOOR) for share in exact]
    rest = int((total - sum(parts)) * 100)
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], -weights[i], claims.keys[i]))
    for i in order[:rest]:
        parts[i] += Decimal("0.01")
    return [int(part * 100) for part in parts]


def reference(claims: Claims) -> list[int]:
    """The reference of the product, in Python integers."""
    return share_out(NET, claims.weights.tolist(), claims.keys)


def bare_copy(session: Session, ready: bytes) -> None:
    """Send rows that are ready into a table without keys, and forget them."""
    connection: Any = session.connection().connection.driver_connection
    with connection.cursor() as cursor, cursor.copy(allocation.copy_statement("bare")) as copy:
        copy.write(ready)
    session.commit()
    session.execute(text("TRUNCATE bare"))


def store(session: Session, claims: Claims, amounts: Integers | None) -> None:
    """Store a deal's allocations as the product does; with None compute them too."""
    deal_id = new_deal(session, len(claims.keys))
    parts = allocate(NET, claims.weights, claims.keys) if amounts is None else amounts
    allocation.store(session, deal_id=deal_id, claims=claims, amounts=parts)
    session.commit()


def measure(times: dict[str, list[float]], name: str, work: Callable[[], Any]) -> Any:
    """Return what `work` gives, and keep the seconds it took under `name`."""
    start = time.perf_counter()
    result = work()
    times.setdefault(name, []).append(time.perf_counter() - start)
    return result


def report(times: dict[str, list[float]], cases: int) -> None:
    """Print medians and ratios."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    fast, limit = medians["compute: ours"], medians["store: bare COPY, no keys"]
    print(f"{cases:,} cases, medians of {len(next(iter(times.values())))} rounds\n")
    for name, seconds in medians.items():
        base, word = (fast, "our computation") if name.startswith("compute: ") else (limit, "bare COPY")
        print(f"{name:32} {seconds:8.3f} s   {seconds / base:7.2f} x {word}")
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
