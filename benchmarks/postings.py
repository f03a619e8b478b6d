"""Postings per second on a hot account: ours, a naive ORM peer with a balance row, and bare inserts without any check.

    .venv/bin/python -m benchmarks.postings [--connections 4] [--seconds 3] [--rounds 2]

Every transaction debits one account that everybody debits and credits one of its own choice. Bare: the same rows into
tables without keys, constraints, triggers or indexes, through the driver alone, sent as arrays in the same way. One
interleaved run on an embedded PostgreSQL with fsync on; medians; what counts are the ratios.
"""

import argparse
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import BigInteger, ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import wsgi
from benchmarks import _engine
from marketplace import arrays, db
from marketplace.actor import SYSTEM
from settlement import ledger
from settlement.domain import ledger as books

ROOT = Path(__file__).resolve().parent.parent
DAY = date(2026, 3, 2)
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CREDITS = [f"unapplied:{uuid.UUID(int=number)}" for number in range(64)]
Way = Callable[[Any, int, int], None]


class Naive(DeclarativeBase):
    """The peer's own tables."""


class NaiveAccount(Naive):
    """An account with its balance, as most books keep it."""

    __tablename__ = "naive_accounts"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    balance_minor: Mapped[int] = mapped_column(BigInteger, default=0)


class NaiveEntry(Naive):
    """An entry."""

    __tablename__ = "naive_entries"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    source_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    description: Mapped[str]
    value_on: Mapped[date]


class NaivePosting(Naive):
    """A line."""

    __tablename__ = "naive_postings"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_entries.id"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_accounts.id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)


def main() -> None:
    """Start PostgreSQL, run, clean up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--connections", type=int, default=4)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    with _engine.postgresql() as url:
        run(url, chosen.connections, chosen.seconds, chosen.rounds)


def run(url: str, connections: int, seconds: float, rounds: int) -> None:
    """Measure each way in turn with one entry and with two hundred a transaction, and print the medians."""
    database = create_engine(url, pool_size=connections)
    prepare(database)
    sessions = sessionmaker(database, expire_on_commit=False)
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for batch in (1, 200):
            for name, way, connect in (
                ("bare inserts", bare, lambda: psycopg.connect(url)),
                ("ours", ours, sessions),
                ("naive ORM with a balance row", naive, sessions),
            ):
                rate = measure(way, connect, connections, seconds, batch)
                rates.setdefault((name, batch), []).append(rate)
    for batch in (1, 200):
        floor = statistics.median(rates["bare inserts", batch])
        print(f"\n{batch} entries of two lines a transaction, {connections} connections")
        for (name, of), found in rates.items():
            if of == batch:
                rate = statistics.median(found)
                print(f"  {name:30} {rate:10,.0f} postings/s   {rate / floor:5.2f} x bare")
    database.dispose()


def prepare(database: Any) -> None:
    """Migrate, make the peer's tables and the bare ones, open the accounts."""
    assert wsgi.MODULES, "every package's tables are known"
    with database.connect() as connection:
        config = Config(str(ROOT / "alembic.ini"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for table in ("entries", "postings"):
            connection.exec_driver_sql(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WHERE false")
        connection.commit()
    Naive.metadata.create_all(database)
    with Session(database) as session:
        ledger.open_accounts(session, {(key, "CNY") for key in ("bank", *CREDITS)}, at=AT)
        session.add_all(NaiveAccount(id=_account(key), balance_minor=0) for key in ("bank", *CREDITS))
        session.commit()


def _account(key: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, key)


def measure(way: Way, connect: Callable[[], Any], connections: int, seconds: float, batch: int) -> float:
    """Run a way on every connection at once for a while; return lines written per second."""
    counts, started = [0] * connections, threading.Barrier(connections + 1)
    stop = threading.Event()

    def work(number: int) -> None:
        with connect() as connection:
            way(connection, batch, number)
            connection.commit()
            started.wait()
            while not stop.is_set():
                way(connection, batch, number)
                connection.commit()
                counts[number] += 2 * batch

    threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    started.wait()
    begun = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def ours(session: Session, batch: int, number: int) -> None:
    """Post as the product does: one entry that is given back, many that are not."""
    drafts = [
        ledger.Draft(
            "statement_line",
            uuid.uuid4(),
            "Bank line",
            books.transfer(debit="bank", credit=CREDITS[(number * 16 + one) % 64], amount_minor=100),
            "CNY",
            DAY,
        )
        for one in range(batch)
    ]
    write = ledger.post_all if batch == 1 else ledger.post_many
    write(session, drafts, actor=SYSTEM, at=AT)
    session.expunge_all()


def bare(connection: psycopg.Connection[Any], batch: int, number: int) -> None:
    """Write the same rows into tables without anything on them."""
    ids = [db.new_id() for _ in range(batch)]
    connection.execute(
        "INSERT INTO bare_entries (id, source_kind, source_id, description, currency, value_on, posted_on, posted_at,"
        " posted_by) SELECT id, 'statement_line', source, 'Bank line', 'CNY', %s, %s, %s, 'system'"
        " FROM unnest(%s::uuid[], %s::uuid[]) AS d(id, source)",
        (DAY, DAY, AT, arrays.uuids(ids), arrays.uuids(uuid.uuid4() for _ in ids)),
    )
    lines = [
        (entry, line, account, amount)
        for at, entry in enumerate(ids)
        for line, account, amount in (
            (1, _account("bank"), 100),
            (2, _account(CREDITS[(number * 16 + at) % 64]), -100),
        )
    ]
    connection.execute(
        "INSERT INTO bare_postings (entry_id, line, account_id, currency, amount_minor, posted_on)"
        " SELECT l.*, %s FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::bigint[]) AS l",
        (
            DAY,
            arrays.uuids(row[0] for row in lines),
            arrays.bigints(row[1] for row in lines),
            arrays.uuids(row[2] for row in lines),
            arrays.texts(["CNY"] * len(lines)),
            arrays.bigints(row[3] for row in lines),
        ),
    )


def naive(session: Session, batch: int, number: int) -> None:
    """Lock the accounts in one order, add objects, move the balances."""
    others = [_account(CREDITS[(number * 16 + one) % 64]) for one in range(batch)]
    wanted = select(NaiveAccount).where(NaiveAccount.id.in_({_account("bank"), *others})).order_by(NaiveAccount.id)
    accounts = {row.id: row for row in session.scalars(wanted.with_for_update())}
    for credit in others:
        entry = NaiveEntry(id=uuid.uuid4(), source_id=uuid.uuid4(), description="Bank line", value_on=DAY)
        session.add(entry)
        session.flush()
        for key, amount in ((_account("bank"), 100), (credit, -100)):
            session.add(NaivePosting(id=uuid.uuid4(), entry_id=entry.id, account_id=key, amount_minor=amount))
            accounts[key].balance_minor += amount
    session.expunge_all()


if __name__ == "__main__":
    main()
