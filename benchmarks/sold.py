"""Packages that are sold and deals that are paid and signed, without the auction before them: for benchmarks alone.

Written past keys and triggers (`session_replication_role`), so that a million cases take seconds. What is measured
runs with all of them.
"""

import uuid
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

import wsgi
from demo import tape
from marketplace.actor import SYSTEM, OrganisationKind
from marketplace.parties import service as parties
from settlement.domain.references import ReferenceKind, new_reference

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
_AWARD = """
INSERT INTO awards (id, auction_id, listing_id, package_id, seller_organisation_id, registration_id, slot, place, lots,
    state, price_minor, currency, terms, created_at, in_force_at, ended_at)
VALUES (:id, :id, :id, :package, :seller, :id, 1, 1, '{}', 'contracted', :price, 'CNY', '{}', now(), now(), now())
"""
_LINE = """
INSERT INTO statement_lines SELECT (jsonb_populate_record(NULL::statement_lines, jsonb_build_object(
    'id', CAST(:id AS text), 'statement_id', CAST(:id AS text), 'position', 1, 'account_number', '1', 'currency', 'CNY',
    'amount_minor', CAST(:amount AS bigint), 'booked_on', '2026-03-02', 'value_on', '2026-03-02', 'remittance', '',
    'end_to_end_id', '', 'counterparty_name', '', 'counterparty_account', '', 'bank_reference', '', 'fingerprint',
    CAST(:id AS text), 'occurrence', 1, 'finding', 'deal', 'sub_account', '', 'unapplied_minor', 0))).*
"""
_DEAL = """
INSERT INTO deals (id, award_id, package_id, listing_id, seller_organisation_id, buyer_organisation_id,
    registration_id, fee_schedule_id, reference, state, currency, price_minor, deposit_minor, received_minor, due_on,
    opened_at, paid_at, seller_signed_at, buyer_signed_at)
SELECT :id, :id, :package, :id, :seller, :buyer, :id, f.id, :reference, 'ready', 'CNY', :price, 0, :price,
    '2026-03-02', now(), now(), now(), now()
FROM fee_schedules f WHERE f.currency = 'CNY' ORDER BY f.version DESC LIMIT 1
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
            province="33", actor=SYSTEM, at=datetime(2026, 3, 2, 9, tzinfo=UTC),
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
    reference = new_reference(ReferenceKind.DEAL)
    _past_keys(connection, _AWARD, id=deal, package=package, seller=seller, price=price)
    _past_keys(
        connection, _DEAL, id=deal, package=package, seller=seller, buyer=buyer, reference=reference, price=price
    )
    return deal


def add_line(connection: Connection, amount_minor: int) -> uuid.UUID:
    """Add a line of a bank statement."""
    line = uuid.uuid4()
    _past_keys(connection, _LINE, id=line, amount=amount_minor)
    return line


def _past_keys(connection: Connection, statement: str, **values: object) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(statement), values)
    connection.commit()
