"""What PostgreSQL itself refuses, whoever asks: raw SQL against the books, each attempt named by its constraint."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from marketplace.actor import SYSTEM
from settlement import ledger, periods
from settlement.domain import ledger as books
from settlement.domain.ledger import BOOKS_ZONE
from tests.conftest import NOW
from tests.settlement.money.test_ledger import DAY, post

OPEN_DAY = DAY + timedelta(days=1)
ENTRY = (
    "INSERT INTO entries (id, source_kind, source_id, description, currency, value_on, posted_on, posted_at, posted_by,"
    " reverses_id) VALUES ('{new}', 'raw', gen_random_uuid(), '', '{currency}', '{day}', '{day}',"
    " TIMESTAMP '{day} 09:00' AT TIME ZONE '{zone}', 'x', {reverses})"
)
LINES = " INSERT INTO postings (entry_id, line, account_id, currency, amount_minor, posted_on) VALUES "


@dataclass(frozen=True)
class World:
    """Two entries of a closed day: `entry` reversed by `reversal`; accounts; a way to try a statement."""

    engine: Engine
    names: dict[str, object]

    def attempt(self, statement: str, *, currency: str = "CNY", day=OPEN_DAY, reverses: object = None) -> str:
        """Run a statement that must fail, in a transaction of its own; return the constraint or message."""
        reverses_sql = f"'{reverses}'" if reverses else "NULL"
        given = self.names | {"currency": currency, "day": day, "zone": BOOKS_ZONE, "reverses": reverses_sql}
        statement = statement.format(**(given | {"new": uuid.uuid4()}))
        with self.engine.connect() as connection, connection.begin() as transaction:
            with pytest.raises(DBAPIError) as caught:
                connection.execute(text(statement))
            transaction.rollback()
        return caught.value.orig.diag.constraint_name or str(caught.value.orig)

    def entry(self, lines: str, **more: object) -> str:
        """An entry with lines `(line, account, currency, amount)` in one statement, as the product writes it."""
        rows = ", ".join(f"('{{new}}', {row}, '{{day}}')" for row in lines.split(";"))
        return self.attempt("WITH e AS (" + ENTRY + ")" + LINES + rows, **more)


@pytest.fixture
def world(database: str):
    engine = create_engine(database)
    deposit = books.deposits(uuid.uuid4())
    with Session(engine, expire_on_commit=False) as session:
        entry = post(session, 100, "bank", deposit)
        taken_back = post(session, 7, "bank", deposit)
        reversal = ledger.reverse(session, entry_id=taken_back.id, reason="x", value_on=DAY, actor=SYSTEM, at=NOW)
        periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=1))
        session.commit()
        ids = dict(session.execute(text("SELECT split_part(key, ':', 1), id FROM accounts")).all())
    yield World(engine, {"old": entry.id, "gone": taken_back.id, "reversal": reversal.id} | ids)
    engine.dispose()


def test_an_entry_that_is_in_order_is_taken(world: World) -> None:
    """So that the refusals below are for their own reason."""
    statement = ("WITH e AS (" + ENTRY + ")" + LINES + "('{new}', 1, '{bank}', 'CNY', 5, '{day}'),"
                 "('{new}', 2, '{deposits}', 'CNY', -5, '{day}')")  # fmt: skip
    given = world.names | {"currency": "CNY", "day": OPEN_DAY, "zone": BOOKS_ZONE, "reverses": "NULL"}
    with world.engine.begin() as connection:
        connection.execute(text(statement.format(**(given | {"new": uuid.uuid4()}))))


def test_unbalanced_empty_or_in_pieces(world: World) -> None:
    assert world.attempt(ENTRY) == "entries_have_lines"
    assert world.entry("1, '{bank}', 'CNY', 5") == "entries_balanced"
    assert world.entry("1, '{bank}', 'CNY', 5; 2, '{deposits}', 'CNY', -4") == "entries_balanced"
    assert world.entry("1, '{bank}', 'CNY', 0; 2, '{deposits}', 'CNY', 0") == "ck_postings_amount_not_zero"
    assert world.entry("2, '{bank}', 'CNY', 5; 3, '{deposits}', 'CNY', -5") == "entries_complete"
    later = "('{old}', 7, '{bank}', 'CNY', 5, '2026-03-02'), ('{old}', 8, '{deposits}', 'CNY', -5, '2026-03-02')"
    assert world.attempt(LINES + later) == "entries_complete"


def test_across_currencies(world: World) -> None:
    mixed = world.entry("1, '{bank}', 'EUR', 5; 2, '{deposits}', 'CNY', -5")
    assert mixed in {"fk_postings_account_id_currency", "fk_postings_entry_id"}
    wrong = world.entry("1, '{bank}', 'EUR', 5; 2, '{deposits}', 'EUR', -5", currency="EUR")
    assert wrong == "fk_postings_account_id_currency"


def test_into_a_closed_day_or_under_a_false_date(world: World) -> None:
    lines = "1, '{bank}', 'CNY', 5; 2, '{deposits}', 'CNY', -5"
    assert world.entry(lines, day=DAY) == "entries_period_open"
    assert world.entry(lines, day=DAY - timedelta(days=30)) == "entries_period_open"
    false = ENTRY.replace("TIMESTAMP '{day} 09:00'", "TIMESTAMP '2026-03-02 09:00'")
    assert world.attempt(false) == "ck_entries_posted_on_is_its_day"


def test_over_the_limit(world: World) -> None:
    assert world.entry("1, '{deposits}', 'CNY', 101; 2, '{bank}', 'CNY', -101") == "accounts_limit"


def test_a_reversal_is_a_mirror_of_an_entry_that_is_none(world: World) -> None:
    mirror = "1, '{bank}', 'CNY', {sign}7; 2, '{deposits}', 'CNY', {other}7"
    back, again = (
        mirror.replace("{sign}", "-").replace("{other}", ""),
        mirror.replace("{sign}", "").replace("{other}", "-"),
    )
    assert world.entry(back, reverses=world.names["gone"]) == "uq_entries_reverses_id"
    assert world.entry(again, reverses=world.names["reversal"]) == "entries_reversal"
    assert world.entry(back, reverses=world.names["old"]) == "entries_reversal"


def test_nothing_is_deleted_or_emptied(world: World) -> None:
    for table in (
        "accounts", "entries", "postings", "matches", "bank_statements", "deposits", "bank_accounts", "closed_days",
        "balance_snapshots", "client_money_checks", "correction_limits", "corrections",
    ):  # fmt: skip
        assert world.attempt(f"DELETE FROM {table}") == f"{table}_append_only"
        assert world.attempt(f"TRUNCATE {table} CASCADE").endswith("_append_only")


def test_nothing_is_changed(world: World) -> None:
    for statement in (
        "UPDATE postings SET amount_minor = 7",
        "UPDATE entries SET value_on = '2020-01-01'",
        "UPDATE accounts SET limited = false",
        "UPDATE statement_lines SET amount_minor = 1",
        "UPDATE payment_orders SET amount_minor = 1",
        "UPDATE closed_days SET hash = previous_hash",
        "UPDATE balance_snapshots SET balance_minor = 0",
        "UPDATE client_money_checks SET passed = true",
        "UPDATE corrections SET amount_minor = 1",
    ):
        assert world.attempt(statement).endswith("_append_only")
    assert world.attempt("SET LOCAL session_replication_role = replica; DELETE FROM postings") == "postings_append_only"


def test_a_day_follows_the_day_before(world: World) -> None:
    closing = (
        "INSERT INTO closed_days (id, number, day, version, entry_count, line_count, previous_hash, hash, closed_at,"
        " closed_by) SELECT gen_random_uuid(), number + {step}, day + {days}, 1, 0, 0, {previous}, hash,"
        " now() + interval '9 years', 'x' FROM closed_days ORDER BY number DESC LIMIT 1"
    )

    def close(**given: object) -> str:
        return world.attempt(closing.format(**({"step": 1, "days": 1, "previous": "hash"} | given)))

    assert close(days=2) == "closed_days_follow"
    assert close(days=0) == "closed_days_follow"
    assert close(step=2) == "closed_days_follow"
    assert close(previous="repeat('0', 64)") == "closed_days_follow"
    assert world.attempt(
        "INSERT INTO closed_days SELECT gen_random_uuid(), number + 1, day + 1, 1, 0, 0, hash, hash, closed_at, 'x'"
        " FROM closed_days ORDER BY number DESC LIMIT 1"
    ) == "ck_closed_days_day_is_over"  # fmt: skip


def test_the_owner_itself_has_no_right_to_change(world: World) -> None:
    """A superuser passes over rights (the triggers stop it); any other owner of the tables has none to begin with."""
    with world.engine.connect() as connection:
        rights = connection.execute(
            text(
                "SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.relname IN"
                " ('accounts', 'entries', 'postings', 'closed_days', 'balance_snapshots') AND a.grantee = c.relowner"
            )
        ).all()
    assert {right for _, right in rights} & {"UPDATE", "DELETE", "TRUNCATE"} == set()
    assert ("postings", "INSERT") in {tuple(row) for row in rights}
