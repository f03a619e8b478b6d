"""Packages that are sold and deals that are paid and signed, without the auction before them: for benchmarks alone.

Written past keys and triggers (`session_replication_role`), so that a million cases take seconds. What is measured
runs with all of them.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

import wsgi
from auctions.award_models import Award
from auctions.domain.lifecycles import AwardState
from demo import tape
from marketplace.actor import SYSTEM, OrganisationKind
from marketplace.parties import service as parties
from settlement import fees
from settlement.deal_models import Deal
from settlement.domain.deal import DealState
from settlement.domain.matching import Finding
from settlement.domain.references import ReferenceKind, new_reference
from settlement.models import StatementLine

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROOT = Path(__file__).resolve().parent.parent

_CASES = """
INSERT INTO package_cases (package_id, case_id, live, case_key, customer_type, currency, principal_minor,
    interest_minor, other_minor, days_past_due, as_of_on, litigation, written_off, security, borrower_fingerprint,
    borrower_masked_name, guaranteed, product, province)
SELECT :package, uuidv7(), true, 'LN' || lpad(n::text, 9, '0'), 'person', 'CNY', 10000 + (random() * 40000000)::bigint,
    (random() * 10000000)::bigint, 0, 400, DATE '2026-01-31', 'none', false, 'unsecured', '\\x00112233445566778899',
    'Z***', false, 'credit_card', '33'
FROM generate_series(1, :cases) AS n
"""


def migrate(connection: Connection) -> None:
    """Bring an empty database to the newest schema; see `let_go`."""
    assert wsgi.MODULES, "every package's tables are known"
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    let_go(connection)


def let_go(connection: Connection) -> None:
    """Drop the keys of a deal to what comes before it, which these benchmarks do without."""
    for column in ("award_id", "package_id", "listing_id", "registration_id"):
        connection.execute(text(f"ALTER TABLE deals DROP CONSTRAINT fk_deals_{column}"))
    connection.commit()


def add_organisation(connection: Connection, number: int) -> uuid.UUID:
    """Add a company that sells or buys."""
    with Session(connection) as session:
        made = parties.create_organisation(
            session, name=f"资产 {number}", kind=OrganisationKind.BUYER, country="CN", uscc=tape.company_code(number),
            province="33", actor=SYSTEM, at=AT,
        )  # fmt: skip
        session.commit()
        return made.id


def add_package(connection: Connection, cases: int) -> uuid.UUID:
    """Add the frozen cases of a package; claims of 100 to 500,000 yuan."""
    package = uuid.uuid4()
    _past_keys(connection, _CASES, package=package, cases=cases)
    return package


def add_deal(
    connection: Connection, *, package: uuid.UUID, seller: uuid.UUID, buyer: uuid.UUID, price: int
) -> uuid.UUID:
    """Add a deal that only waits for its distribution; earlier ones let go of its package, so that it is alone."""
    deal = uuid.uuid4()
    _past_keys(connection, "UPDATE deals SET package_id = id WHERE package_id = :package", package=package)
    with _rows(connection) as session:
        schedule = fees.schedule_in_force(session, currency="CNY", on=AT.date())
        session.add(
            Award(
                id=deal, auction_id=deal, listing_id=deal, package_id=package, seller_organisation_id=seller,
                registration_id=deal, state=AwardState.CONTRACTED, price_minor=price, currency="CNY", terms={},
                created_at=AT, in_force_at=AT, ended_at=AT,
            )
        )  # fmt: skip
        session.add(
            Deal(
                id=deal, award_id=deal, package_id=package, listing_id=deal, seller_organisation_id=seller,
                buyer_organisation_id=buyer, registration_id=deal, fee_schedule_id=schedule.id,
                reference=new_reference(ReferenceKind.DEAL), state=DealState.READY, currency="CNY", price_minor=price,
                received_minor=price, due_on=AT.date(), opened_at=AT, paid_at=AT, seller_signed_at=AT,
                buyer_signed_at=AT,
            )
        )  # fmt: skip
    return deal


def add_line(connection: Connection, amount_minor: int) -> uuid.UUID:
    """Add a line of a bank statement."""
    line = uuid.uuid4()
    with _rows(connection) as session:
        session.add(
            StatementLine(
                id=line, statement_id=line, position=1, account_number="1", currency="CNY", amount_minor=amount_minor,
                booked_on=AT.date(), value_on=AT.date(), remittance="", end_to_end_id="", counterparty_name="",
                counterparty_account="", bank_reference="", fingerprint=line.hex * 2, occurrence=1,
                finding=Finding.DEAL, sub_account="",
            )
        )  # fmt: skip
    return line


@contextmanager
def _rows(connection: Connection) -> Iterator[Session]:
    with Session(connection, expire_on_commit=False) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        yield session
        session.commit()


def _past_keys(connection: Connection, statement: str, **values: object) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(statement), values)
    connection.commit()
