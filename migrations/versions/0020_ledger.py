"""The ledger: periods, dates, snapshots, closed days.

Revision: 0020_ledger, after 0013_awards.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020_ledger"
down_revision = "0013_awards"
branch_labels = None
depends_on = None

APPEND_ONLY = ("closed_days", "balance_snapshots", "client_money_checks", "correction_limits")
BOOKS = ("accounts", "entries", "postings", *APPEND_ONLY)

CHECK_ENTRIES = """
CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT DISTINCT posted_on FROM added ORDER BY posted_on LOOP
        PERFORM pg_advisory_xact_lock_shared(20200, one.posted_on - DATE '2000-01-01');
        IF EXISTS (SELECT FROM closed_days WHERE day >= one.posted_on) THEN
            RAISE EXCEPTION 'the books are closed for %', one.posted_on
                USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_period_open', TABLE = 'entries';
        END IF;
    END LOOP;
    FOR one IN SELECT a.id FROM added a WHERE NOT EXISTS (SELECT FROM postings p WHERE p.entry_id = a.id) LIMIT 1 LOOP
        RAISE EXCEPTION 'entry % was written without its lines', one.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_have_lines', TABLE = 'entries';
    END LOOP;
    FOR one IN SELECT id, reverses_id FROM added WHERE reverses_id IS NOT NULL LOOP
        IF EXISTS (SELECT FROM entries WHERE id = one.reverses_id AND reverses_id IS NOT NULL) OR EXISTS (
            (SELECT line, account_id, amount_minor FROM postings WHERE entry_id = one.id
             EXCEPT SELECT line, account_id, -amount_minor FROM postings WHERE entry_id = one.reverses_id)
            UNION ALL
            (SELECT line, account_id, -amount_minor FROM postings WHERE entry_id = one.reverses_id
             EXCEPT SELECT line, account_id, amount_minor FROM postings WHERE entry_id = one.id)
        ) THEN
            RAISE EXCEPTION 'entry % is no mirror image of an entry that is no reversal itself', one.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_reversal', TABLE = 'entries';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
"""Fires when the whole statement is done, lines included: an entry and its lines are one statement. A poster holds its
day's lock shared, whoever closes the day holds it alone, so that no entry slips into a day while it is being closed."""

CHECK_POSTINGS = """
CREATE OR REPLACE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    wrong uuid;
    debited uuid;
BEGIN
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not add up to zero', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_balanced', TABLE = 'postings';
    END IF;
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING min(line) <> 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % is written in one statement and never added to', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_complete', TABLE = 'postings';
    END IF;{accounts}
    FOR debited IN SELECT DISTINCT account_id FROM added WHERE amount_minor > 0 ORDER BY account_id LOOP
        PERFORM 1 FROM accounts WHERE id = debited AND limited FOR NO KEY UPDATE;
        IF FOUND AND (SELECT sum(amount_minor) FROM postings WHERE account_id = debited) > 0 THEN
            RAISE EXCEPTION 'account % does not hold that much', debited
                USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_limit', TABLE = 'postings';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
CHECK_ACCOUNTS = """
    SELECT a.account_id INTO wrong FROM (SELECT DISTINCT account_id, currency FROM added) a
    WHERE NOT EXISTS (SELECT FROM accounts WHERE id = a.account_id AND currency = a.currency) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is not there in that currency', wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_postings_account_id_currency', TABLE = 'postings';
    END IF;"""
"""The composite key of account and currency. Accounts are never changed nor removed, so it needs no lock of their rows;
PostgreSQL's own enforcement would lock the row of a hot account once for every line, by everybody at once."""

CLOSED_DAYS_FOLLOW = """
CREATE FUNCTION closed_days_follow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last closed_days%ROWTYPE;
BEGIN
    PERFORM pg_advisory_xact_lock(20200, NEW.day - DATE '2000-01-01');
    SELECT * INTO last FROM closed_days ORDER BY number DESC LIMIT 1;
    IF FOUND THEN
        IF NEW.number <> last.number + 1 OR NEW.day <> last.day + 1 OR NEW.previous_hash <> last.hash THEN
            RAISE EXCEPTION 'day % does not follow %', NEW.day, last.day
                USING ERRCODE = 'check_violation', CONSTRAINT = 'closed_days_follow', TABLE = 'closed_days';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(20200, NEW.day - 1 - DATE '2000-01-01');
    IF NEW.number <> 1 OR EXISTS (SELECT FROM entries WHERE posted_on < NEW.day) THEN
        RAISE EXCEPTION 'the first closed day is the first day with an entry'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'closed_days_follow', TABLE = 'closed_days';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _date_postings()
    _create_closed_days()
    _create_checks()
    _create_corrections()
    op.execute(CHECK_POSTINGS.replace("{accounts}", CHECK_ACCOUNTS))
    op.execute("ALTER TABLE postings ALTER CONSTRAINT fk_postings_account_id_currency NOT ENFORCED")
    op.execute(CHECK_ENTRIES)
    op.execute(
        "CREATE TRIGGER entries_complete AFTER INSERT ON entries REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION check_entries()"
    )
    op.execute(CLOSED_DAYS_FOLLOW)
    op.execute(
        "CREATE TRIGGER closed_days_follow BEFORE INSERT ON closed_days "
        "FOR EACH ROW EXECUTE FUNCTION closed_days_follow()"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER corrections_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, reverses_id, lines, reason, "
        "value_on, amount_minor, currency, four_eyes, proposed_by_id, proposed_by, proposed_at ON corrections "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    for table in BOOKS:
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")
    for table in ("accounts", "entries", "closed_days"):
        op.execute(f"GRANT UPDATE (id) ON {table} TO CURRENT_USER")  # what a row lock (a foreign key takes one) needs
    for trigger in ("entries_complete ON entries", "postings_add_up ON postings", "closed_days_follow ON closed_days"):
        name, _, table = trigger.partition(" ON ")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _date_postings() -> None:
    op.add_column("postings", sa.Column("posted_on", sa.Date(), nullable=True))
    op.execute("ALTER TABLE postings DISABLE TRIGGER postings_append_only")
    op.execute("UPDATE postings SET posted_on = e.posted_on FROM entries e WHERE e.id = entry_id")
    op.execute("ALTER TABLE postings ENABLE TRIGGER postings_append_only")
    op.alter_column("postings", "posted_on", nullable=False)
    op.create_check_constraint(
        op.f("ck_entries_posted_on_is_its_day"),
        "entries",
        "posted_on = CAST(timezone('Asia/Shanghai', posted_at) AS date)",
    )
    op.create_index("ix_entries_posted_on_id", "entries", ["posted_on", "id"])
    op.create_unique_constraint(op.f("uq_entries_id_currency_posted_on"), "entries", ["id", "currency", "posted_on"])
    op.drop_constraint(op.f("fk_postings_entry_id_currency"), "postings", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_postings_entry_id_currency_posted_on"),
        "postings",
        "entries",
        ["entry_id", "currency", "posted_on"],
        ["id", "currency", "posted_on"],
    )
    op.drop_constraint(op.f("uq_entries_id_currency"), "entries", type_="unique")
    op.drop_index("ix_postings_account_id", "postings")
    op.create_index(
        "ix_postings_account_id_posted_on",
        "postings",
        ["account_id", "posted_on"],
        postgresql_include=["amount_minor", "entry_id"],
    )


def _create_closed_days() -> None:
    op.create_table(
        "closed_days",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.CHAR(length=64), nullable=False),
        sa.Column("hash", sa.CHAR(length=64), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "number > 0 AND entry_count >= 0 AND line_count >= 2 * entry_count", name=op.f("ck_closed_days_counts")
        ),
        sa.CheckConstraint(
            "day < CAST(timezone('Asia/Shanghai', closed_at) AS date)", name=op.f("ck_closed_days_day_is_over")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closed_days")),
        sa.UniqueConstraint("day", name=op.f("uq_closed_days_day")),
        sa.UniqueConstraint("number", name=op.f("uq_closed_days_number")),
    )
    op.create_table(
        "balance_snapshots",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_balance_snapshots_account_id")),
        sa.ForeignKeyConstraint(["day"], ["closed_days.day"], name=op.f("fk_balance_snapshots_day")),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_balance_snapshots")),
    )


def _create_checks() -> None:
    op.create_table(
        "client_money_checks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), nullable=False),
        sa.Column("owed_minor", sa.BigInteger(), nullable=False),
        sa.Column("own_minor", sa.BigInteger(), nullable=False),
        sa.Column("unexplained_minor", sa.BigInteger(), nullable=False),
        sa.Column("difference_minor", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("parts", postgresql.JSONB(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "difference_minor = held_minor - owed_minor - own_minor",
            name=op.f("ck_client_money_checks_difference_adds_up"),
        ),
        sa.CheckConstraint(
            "passed = (difference_minor = 0 AND unexplained_minor = 0)",
            name=op.f("ck_client_money_checks_passed_when_nothing_is_missing"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_money_checks")),
    )
    op.create_index("ix_client_money_checks_currency_id", "client_money_checks", ["currency", "id"])


def _create_corrections() -> None:
    op.create_table(
        "correction_limits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.CheckConstraint("limit_minor >= 0", name=op.f("ck_correction_limits_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_limits")),
    )
    op.create_index("ix_correction_limits_currency_id", "correction_limits", ["currency", "id"])
    op.create_table(
        "corrections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "posted",
                "rejected",
                name="correction_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), nullable=False),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "NOT four_eyes OR state <> 'posted' OR (decided_by_id IS NOT NULL AND decided_by_id <> proposed_by_id)",
            name=op.f("ck_corrections_four_eyes"),
        ),
        sa.CheckConstraint("(state = 'posted') = (entry_id IS NOT NULL)", name=op.f("ck_corrections_posted_has_entry")),
        sa.CheckConstraint("amount_minor > 0 AND reason <> ''", name=op.f("ck_corrections_says_what_and_why")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_corrections_entry_id")),
        sa.ForeignKeyConstraint(["reverses_id"], ["entries.id"], name=op.f("fk_corrections_reverses_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index(
        "uq_corrections_reverses_id",
        "corrections",
        ["reverses_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'rejected'"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("accounts", "entries", "postings"):
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only")
        op.execute(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER")
    op.execute("ALTER TABLE postings ENABLE TRIGGER postings_add_up")
    op.execute(CHECK_POSTINGS.replace("{accounts}", ""))
    op.execute("ALTER TABLE postings ALTER CONSTRAINT fk_postings_account_id_currency ENFORCED")
    op.drop_table("corrections")
    op.drop_table("correction_limits")
    op.drop_table("client_money_checks")
    op.drop_table("balance_snapshots")
    op.drop_table("closed_days")
    op.execute("DROP FUNCTION closed_days_follow()")
    op.execute("DROP TRIGGER entries_complete ON entries")
    op.execute("DROP FUNCTION check_entries()")
    op.drop_index("ix_postings_account_id_posted_on", "postings")
    op.create_index(
        "ix_postings_account_id", "postings", ["account_id"], postgresql_include=["amount_minor", "entry_id"]
    )
    op.create_unique_constraint(op.f("uq_entries_id_currency"), "entries", ["id", "currency"])
    op.drop_constraint(op.f("fk_postings_entry_id_currency_posted_on"), "postings", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_postings_entry_id_currency"), "postings", "entries", ["entry_id", "currency"], ["id", "currency"]
    )
    op.drop_constraint(op.f("uq_entries_id_currency_posted_on"), "entries", type_="unique")
    op.drop_index("ix_entries_posted_on_id", "entries")
    op.drop_constraint(op.f("ck_entries_posted_on_is_its_day"), "entries", type_="check")
    op.drop_column("postings", "posted_on")
