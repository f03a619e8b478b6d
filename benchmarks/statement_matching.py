"""A whole bank statement against everything that is open: how far from the ceiling, how far from the obvious way?

One run on one machine: (1) our import: read the file, prove every running balance, store the lines, post them, match
each with one of as many open deposits, post that, cover the registrations, one transaction; at several sizes, to see
that it is linear; (2) the ceiling: binary COPY of exactly the rows that (1) wrote into tables without constraint or
index; (3) the naive peer: a query and a flush of ORM rows for each line, on fewer lines, scaled linearly. The naive
peer does less: no proof, no limits, no cover. Only ratios are worth keeping.

    .venv/bin/python -m benchmarks.statement_matching [LINES]
"""

import resource
import secrets
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from auctions.domain import references
from benchmarks.tape_import import database, prepare
from demo import tape as demo_tape
from marketplace import db, runtime
from marketplace.actor import SYSTEM, OrganisationKind
from marketplace.money import Money
from marketplace.parties import service as parties
from settlement import bank, own_accounts
from settlement.domain.bank_csv import CsvProfile

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAIVE_LINES = 1_000
PAYER = "华信资产"
WRITTEN = ("statement_lines", "accounts", "entries", "postings", "deposits", "matches", "audit_records")


def open_items(running: runtime.Runtime, organisation_id: uuid.UUID, count: int) -> list[str]:
    """Make as many approved registrations that wait for their deposits; return their references."""
    numbers = {secrets.randbelow(references.NUMBERS) for _ in range(count + 100)}
    made = [references.make_reference(number) for number in sorted(numbers)[:count]]
    with running.engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        columns = (
            "id, listing_id, organisation_id, state, bidder_code, reference, deposit_minor, currency, applied_at,"
            " no_resale_required, out_of_province"
        )
        with cursor.copy(f"COPY registrations ({columns}) FROM STDIN") as copy:
            for number, reference in enumerate(made):
                row = (db.new_id(), uuid.uuid4(), organisation_id, "approved", f"B{number}", reference)
                copy.write_row((*row, 1_000_00 + number, "CNY", AT, False, False))
        connection.execute(text("ANALYZE registrations"))
    return made


def statement(made: list[str], account: str) -> bytes:
    """Write a bank's CSV export that pays each of them, with running balances."""
    rows = [f"账号,{account},币种,人民币", "交易日期,贷方金额,借方金额,余额,摘要,对方户名,对方账号,流水号"]
    balance = 0
    for number, reference in enumerate(made):
        amount = 1_000_00 + number
        balance += amount
        money, total = (f"{minor // 100}.{minor % 100:02d}" for minor in (amount, balance))
        rows.append(f"2026-03-02,{money},,{total},竞买保证金 {reference},{PAYER},62170000{number:08d},L{number:09d}")
    return "\n".join(rows).encode("gb18030")


def ours(running: runtime.Runtime, content: bytes) -> dict[str, float]:
    """Time the import, commit included; return seconds by step."""
    steps: dict[str, float] = {}
    started = time.perf_counter()

    def report(_done: int, _total: int, step: str) -> None:
        steps[step] = time.perf_counter() - started

    with running.sessions.begin() as session:
        (view,) = bank.import_file(
            session, store=running.files, content=content, name="s.csv", written_in=None, profile=CsvProfile(),
            actor=SYSTEM, at=AT, report=report,
        )  # fmt: skip
        assert {line.line.finding.value for line in view.lines} == {"exact"}
    steps["all"] = time.perf_counter() - started
    return steps


def bare_copy(running: runtime.Runtime) -> float:
    """Time COPY of everything that was written into tables that check nothing, commit included."""
    with running.engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        blocks = {}
        for table in WRITTEN:
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT BINARY)") as copy:
                blocks[table] = [bytes(block) for block in copy]
            cursor.execute(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} LIMIT 0")
    started = time.perf_counter()
    with running.engine.begin() as connection:
        other: Any = connection.connection.driver_connection
        cursor = other.cursor()
        for table in WRITTEN:
            with cursor.copy(f"COPY bare_{table} FROM STDIN (FORMAT BINARY)") as copy:
                for block in blocks[table]:
                    copy.write(block)
    return time.perf_counter() - started


class Naive(DeclarativeBase):
    """Metadata of the naive peer."""


class NaiveItem(Naive):
    """Something that waits for money."""

    __tablename__ = "naive_items"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    reference: Mapped[str] = mapped_column(index=True)
    amount: Mapped[int] = mapped_column(BigInteger)


class NaiveLine(Naive):
    """A line and what it is for."""

    __tablename__ = "naive_lines"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    text: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("naive_items.id"))


class NaivePosting(Naive):
    """One side of an entry."""

    __tablename__ = "naive_postings"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    line_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("naive_lines.id"), index=True)
    account: Mapped[str] = mapped_column(index=True)
    amount: Mapped[int] = mapped_column(BigInteger)


def naive(running: runtime.Runtime, made: list[str]) -> float:
    """Time what a tutorial would do for each line, commit included."""
    Naive.metadata.create_all(running.engine)
    with Session(running.engine) as session:
        session.add_all(NaiveItem(reference=reference, amount=1_000_00 + n) for n, reference in enumerate(made))
        session.commit()
    started = time.perf_counter()
    with Session(running.engine) as session:
        for number, reference in enumerate(made[:NAIVE_LINES]):
            _naive_line(session, f"竞买保证金 {reference}", reference, 1_000_00 + number)
        session.commit()
    return time.perf_counter() - started


def _naive_line(session: Session, words: str, reference: str, amount: int) -> None:
    line = NaiveLine(text=words, amount=amount)
    session.add(line)
    session.flush()
    item = session.scalars(select(NaiveItem).where(NaiveItem.reference == reference)).one()
    held = session.scalar(select(func.sum(NaivePosting.amount)).where(NaivePosting.account == f"deposit:{item.id}"))
    if (held or 0) + amount <= item.amount:
        line.item_id = item.id
        sides: list[tuple[str, int]] = [
            ("bank", amount), (f"unapplied:{line.id}", -amount),
            (f"unapplied:{line.id}", amount), (f"deposit:{item.id}", -amount),
        ]  # fmt: skip
        session.add_all(NaivePosting(line_id=line.id, account=account, amount=minor) for account, minor in sides)
        session.flush()


def founded(running: runtime.Runtime) -> uuid.UUID:
    """Make the buyer; let go of the key to listings, which this benchmark does without."""
    with running.sessions.begin() as session:
        session.execute(text("ALTER TABLE registrations DROP CONSTRAINT fk_registrations_listing_id"))
        buyer = parties.create_organisation(
            session, name=PAYER, kind=OrganisationKind.BUYER, country="CN", uscc=demo_tape.company_code(1),
            province="33", actor=SYSTEM, at=AT,
        )  # fmt: skip
        return buyer.id


def register(running: runtime.Runtime, number: str) -> None:
    """Register one more account of ours."""
    with running.sessions.begin() as session:
        own_accounts.register_account(
            session, bank_name="", holder="", number=number, opening=Money(0, "CNY"), numbered=False, csv_profile="",
            four_eyes_above=Money(0, "CNY"), actor=SYSTEM, at=AT,
        )  # fmt: skip


def show(name: str, seconds: float, lines: int, note: Any = "") -> None:
    """Print one row."""
    print(f"{name:24} {seconds:8.2f} s  {lines / seconds:10,.0f} lines/s  {note}")


def main(lines: int) -> None:
    """Run the sizes, then the ceiling and the peer, and print ratios."""
    with tempfile.TemporaryDirectory() as files, database() as url:
        running = prepare(url, Path(files))
        buyer = founded(running)
        taken: dict[int, float] = {}
        for size in (lines // 4, lines // 2, lines):
            made = open_items(running, buyer, size)
            register(running, f"6222{size}")
            steps = ours(running, statement(made, f"6222{size}"))
            taken[size] = steps["all"]
            shown = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items() if step != "all")
            show(f"ours, {size} open items", steps["all"], size, f"until {shown}")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ceiling = bare_copy(running) * lines / sum(taken)
        peer = naive(running, made) * lines / NAIVE_LINES
        running.engine.dispose()
    show("bare COPY of the rows", ceiling, lines, f"ours is {taken[lines] / ceiling:.1f} x")
    show("naive, scaled", peer, lines, f"{peer / taken[lines]:.1f} x ours")
    growth = taken[lines] / taken[lines // 4]
    print(f"four times the lines: {growth:.2f} x the time; peak memory {memory:,.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
