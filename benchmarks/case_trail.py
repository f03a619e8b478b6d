"""The money trail among ten million case amounts: from a case to its bank lines, and from a bank line to its cases.

    .venv/bin/python -m benchmarks.case_trail [--cases 10000000] [--asks 300]

Deals of a million cases, each paid by two bank lines and distributed by the product itself, beside a hundred deals
of twenty cases. Ours: the product's functions, and its routes through the WSGI application with a credential. Limit:
the row of the allocation by its key, nothing else. Naive: a table with a key by deal and case alone, asked by the case.
Milliseconds at the middle and the 99th percentile. Fills a temporary folder with some 2.5 GB.
"""

import argparse
import random
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from benchmarks import sold
from benchmarks.tape_import import database, prepare
from marketplace import app, runtime
from marketplace.actor import SYSTEM, Role
from marketplace.crypto import token_hash
from marketplace.parties.domain import UserState, credentials
from marketplace.parties.models import User, UserSession
from settlement import deals, ledger, payouts, trail
from settlement.domain import ledger as books

PRICE = 123_456_789_012_34
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = date(2026, 3, 2)
LARGE = 1_000_000
SMALL_DEALS, SMALL = 100, 20


def main() -> None:
    """Fill, ask, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000_000)
    options.add_argument("--asks", type=int, default=300)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as files, database() as url:
        running = prepare(url, Path(files))
        started = time.perf_counter()
        lines = fill(running, chosen.cases)
        print(f"filled in {time.perf_counter() - started:.0f} s")
        ask(running, lines, chosen.asks)
        running.engine.dispose()


def fill(running: runtime.Runtime, cases: int) -> list[uuid.UUID]:
    """Make the packages and deals, pay and distribute each; return the bank lines."""
    with running.engine.connect() as connection:
        sold.let_go(connection)
        seller, buyer = sold.add_organisation(connection, 1), sold.add_organisation(connection, 2)
        size = min(LARGE, cases)
        package = sold.add_package(connection, size)
        small = sold.add_package(connection, SMALL)
        lines: list[uuid.UUID] = []
        for of in [package] * (cases // size) + [small] * SMALL_DEALS:
            deal = sold.add_deal(connection, package=of, seller=seller, buyer=buyer, price=PRICE)
            lines += distribute(running, connection, deal)
    with running.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        connection.execute(
            text("CREATE TABLE naive AS SELECT deal_id, case_id, amount_minor FROM allocations ORDER BY random()")
        )
        connection.execute(text("ALTER TABLE naive ADD PRIMARY KEY (deal_id, case_id)"))
    return lines


def distribute(running: runtime.Runtime, connection: Connection, deal: uuid.UUID) -> list[uuid.UUID]:
    """Pay a deal by two lines, and distribute it."""
    lines = [sold.add_line(connection, PRICE // 2), sold.add_line(connection, PRICE - PRICE // 2)]
    with running.sessions.begin() as session:
        for line, amount in zip(lines, (PRICE // 2, PRICE - PRICE // 2), strict=True):
            for kind, source, debit, credit in (
                ("statement_line", line, books.BANK, books.unapplied(line)),
                (deals.PAYMENT_RECEIVED, uuid.uuid4(), books.unapplied(line), books.receivable(deal)),
            ):
                moved = books.transfer(debit=debit, credit=credit, amount_minor=amount)
                draft = ledger.Draft(kind, source, "paid", moved, "CNY", DAY)
                ledger.post_many(session, [draft], actor=SYSTEM, at=AT)
        payouts.distribute_deal(session, deal_id=deal, actor=SYSTEM, at=AT)
    return lines


def ask(running: runtime.Runtime, lines: Sequence[uuid.UUID], asks: int) -> None:
    """Ask for cases and lines at random, each way in turn."""
    with running.sessions() as session:
        cases = session.scalars(text("SELECT case_id FROM allocations TABLESAMPLE SYSTEM (0.1)")).all()
    chosen = random.Random(1).sample(list(cases), min(asks, len(cases)))
    client, headers = signed_in(running)

    def route(path: str) -> Any:
        answer = client.get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 200, answer.get_data()
        return answer.get_json()

    def of_case(case: uuid.UUID) -> None:
        with running.sessions() as session:
            found = trail.money_trail(session, case_id=case, actor=SYSTEM)
            assert found.deals[0].entries

    def of_line(line: uuid.UUID) -> None:
        with running.sessions() as session:
            assert trail.cases_of_line(session, line_id=line, cursor=None, limit=50).items

    def row(case: uuid.UUID) -> None:
        with running.sessions() as session:
            session.execute(text("SELECT amount_minor FROM allocations WHERE case_id = :case"), {"case": case}).all()

    def naive(case: uuid.UUID) -> None:
        with running.sessions() as session:
            session.execute(text("SELECT amount_minor FROM naive WHERE case_id = :case"), {"case": case}).all()

    some = random.Random(2).choices(lines, k=len(chosen))
    show("limit: the allocation's row", row, chosen)
    show("case to lines, function", of_case, chosen)
    show("case to lines, route", lambda case: route(f"cases/{case}/money-trail"), chosen)
    show("line to cases, function", of_line, some)
    show("line to cases, route", lambda line: route(f"statement-lines/{line}/cases"), some)
    show("naive: its row by case alone", naive, chosen[:10])


def signed_in(running: runtime.Runtime) -> tuple[Any, dict[str, str]]:
    """Return a client of the application and the credential of somebody of finance."""
    now = datetime.now(UTC)
    with running.sessions.begin() as session:
        home = session.scalars(text("SELECT id FROM organisations ORDER BY created_at LIMIT 1")).one()
        session.execute(
            text("UPDATE organisations SET kind = 'operator', state = 'active' WHERE id = :home"), {"home": home}
        )
        user = User(
            organisation_id=home, login="finance", name="Finance", state=UserState.ACTIVE,
            roles=[Role.OPERATOR_FINANCE.value], password_hash="", created_at=now,
        )  # fmt: skip
        session.add(user)
        session.flush()
        token = credentials.session_token(secrets.token_bytes(credentials.TOKEN_BYTES))
        session.add(
            UserSession(
                user_id=user.id, token_hash=token_hash(token), created_at=now, expires_at=now + timedelta(hours=1)
            )
        )
    return app.create_app(running).test_client(), {"Authorization": f"Bearer {token}"}


def show(name: str, way: Callable[[Any], Any], subjects: Sequence[Any]) -> None:
    """Print the middle and the 99th percentile of a way."""
    taken = []
    for subject in subjects:
        started = time.perf_counter()
        way(subject)
        taken.append((time.perf_counter() - started) * 1000)
    hundredths = statistics.quantiles(taken, n=100)
    print(f"{name:30} p50 {statistics.median(taken):8.2f} ms   p99 {hundredths[98]:8.2f} ms   of {len(taken)}")


if __name__ == "__main__":
    main()
