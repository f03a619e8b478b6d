"""Money: ledger, statements, deposits, payment orders.

Revision: 0008_money, after 0007_auctions.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008_money"
down_revision = "0007_auctions"
branch_labels = None
depends_on = None

APPEND_ONLY = ("accounts", "entries", "postings", "bank_statements", "deposits", "bank_accounts", "matches")

CHECK_POSTINGS = """
CREATE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
    END IF;
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
"""One look at the lines of a whole statement, linear in them: every entry adds up to zero; it begins with its line 1,
so a later statement cannot add to it (the key (entry, line) is taken); no limited account owes less than nothing,
decided under the lock of its row. No join: a plan kept from a small entry would be quadratic for a large one."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "asset",
                "liability",
                "income",
                "expense",
                name="account_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("limited", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("id", "currency", name=op.f("uq_accounts_id_currency")),
        sa.UniqueConstraint("key", "currency", name=op.f("uq_accounts_key_currency")),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_by", sa.String(), nullable=False),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["reverses_id"], ["entries.id"], name=op.f("fk_entries_reverses_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint("id", "currency", name=op.f("uq_entries_id_currency")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_entries_reverses_id")),
        sa.UniqueConstraint("source_kind", "source_id", name=op.f("uq_entries_source_kind_source_id")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_webhook_events_event_id")),
    )
    op.create_table(
        "bank_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("bank_name", sa.String(), nullable=False),
        sa.Column("bank_code", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_bank_accounts_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_accounts")),
    )
    op.create_index(op.f("ix_bank_accounts_organisation_id"), "bank_accounts", ["organisation_id"], unique=False)
    op.create_table(
        "bank_statements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.CHAR(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "format",
            sa.Enum("camt", "csv", name="statement_format", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("account_number", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=True),
        sa.Column("to_on", sa.Date(), nullable=True),
        sa.Column("opening_minor", sa.BigInteger(), nullable=True),
        sa.Column("closing_minor", sa.BigInteger(), nullable=True),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("new_line_count", sa.BigInteger(), nullable=False),
        sa.Column("pending_count", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_bank_statements_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statements")),
        sa.UniqueConstraint(
            "sha256",
            "account_number",
            "currency",
            "position",
            name=op.f("uq_bank_statements_sha256_account_number_currency_position"),
        ),
    )
    op.create_table(
        "card_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("intent_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_card_payments_amount_above_zero")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_card_payments_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_card_payments_registration_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_payments")),
        sa.UniqueConstraint("intent_id", name=op.f("uq_card_payments_intent_id")),
        sa.UniqueConstraint("registration_id", name=op.f("uq_card_payments_registration_id")),
    )
    op.create_table(
        "deposits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("required_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("required_minor >= 0", name=op.f("ck_deposits_required_not_negative")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_deposits_organisation_id")),
        sa.ForeignKeyConstraint(["registration_id"], ["registrations.id"], name=op.f("fk_deposits_registration_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposits")),
        sa.UniqueConstraint("registration_id", name=op.f("uq_deposits_registration_id")),
    )
    op.create_table(
        "postings",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_postings_amount_not_zero")),
        sa.ForeignKeyConstraint(
            ["account_id", "currency"],
            ["accounts.id", "accounts.currency"],
            name=op.f("fk_postings_account_id_currency"),
        ),
        sa.ForeignKeyConstraint(
            ["entry_id", "currency"], ["entries.id", "entries.currency"], name=op.f("fk_postings_entry_id_currency")
        ),
        sa.PrimaryKeyConstraint("entry_id", "line", name=op.f("pk_postings")),
    )
    op.create_index(
        "ix_postings_account_id",
        "postings",
        ["account_id"],
        unique=False,
        postgresql_include=["amount_minor", "entry_id"],
    )
    op.create_table(
        "statement_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("account_number", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("remittance", sa.String(), nullable=False),
        sa.Column("end_to_end_id", sa.String(), nullable=False),
        sa.Column("counterparty_name", sa.String(), nullable=False),
        sa.Column("counterparty_account", sa.String(), nullable=False),
        sa.Column("bank_reference", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.CHAR(length=64), nullable=False),
        sa.Column("occurrence", sa.BigInteger(), nullable=False),
        sa.Column(
            "finding",
            sa.Enum(
                "exact",
                "completes",
                "partial",
                "deal",
                "order",
                "overpayment",
                "duplicate_payment",
                "wrong_currency",
                "no_reference",
                "unknown_reference",
                "several_references",
                "registration_closed",
                "deal_refused",
                "payment_returned",
                "order_amount_differs",
                "order_not_sent",
                "zero",
                "refunded",
                name="finding",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("occurrence >= 1", name=op.f("ck_statement_lines_occurrence_counts_from_one")),
        sa.ForeignKeyConstraint(["statement_id"], ["bank_statements.id"], name=op.f("fk_statement_lines_statement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_lines")),
        sa.UniqueConstraint(
            "account_number", "currency", "fingerprint", "occurrence", name="uq_statement_lines_identity"
        ),
    )
    op.create_index(op.f("ix_statement_lines_statement_id"), "statement_lines", ["statement_id"], unique=False)
    op.create_table(
        "payment_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "approved",
                "sent",
                "settled",
                "cancelled",
                name="payment_order_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "purpose",
            sa.Enum(
                "deposit_refund",
                "unapplied_refund",
                "payout",
                "commission",
                "tax",
                "other",
                name="payment_purpose",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "rail",
            sa.Enum("wire", "stripe", name="rail", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("payee_organisation_id", sa.Uuid(), nullable=True),
        sa.Column("payee_name", sa.String(), nullable=False),
        sa.Column("payee_account", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("remittance", sa.String(), nullable=False),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("source_account", sa.String(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("approved_by_id", sa.Uuid(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by_line_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'cancelled') OR approved_by_id IS NOT NULL",
            name=op.f("ck_payment_orders_approver_known"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_orders_amount_above_zero")),
        sa.CheckConstraint("approved_by_id <> proposed_by_id", name=op.f("ck_payment_orders_four_eyes")),
        sa.ForeignKeyConstraint(
            ["payee_organisation_id"], ["organisations.id"], name=op.f("fk_payment_orders_payee_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_payment_orders_registration_id")
        ),
        sa.ForeignKeyConstraint(
            ["settled_by_line_id"], ["statement_lines.id"], name=op.f("fk_payment_orders_settled_by_line_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_orders")),
        sa.UniqueConstraint("reference", name=op.f("uq_payment_orders_reference")),
        sa.UniqueConstraint("settled_by_line_id", name=op.f("uq_payment_orders_settled_by_line_id")),
    )
    op.create_index(
        "ix_payment_orders_payee_organisation_id", "payment_orders", ["payee_organisation_id"], unique=False
    )
    op.create_index(op.f("ix_payment_orders_registration_id"), "payment_orders", ["registration_id"], unique=False)
    op.create_index(
        "uq_payment_orders_source",
        "payment_orders",
        ["source_kind", "source_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'cancelled'"),
    )
    op.create_table(
        "matches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=True),
        sa.Column("webhook_event_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("deposit_id", sa.Uuid(), nullable=True),
        sa.Column("payment_order_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("matched_by", sa.String(), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payer_name", sa.String(), nullable=False),
        sa.Column("payer_account", sa.String(), nullable=False),
        sa.Column(
            "rail",
            sa.Enum("wire", "stripe", name="rail", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.CheckConstraint("(line_id IS NULL) <> (webhook_event_id IS NULL)", name=op.f("ck_matches_one_receipt")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_matches_amount_above_zero")),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposits.id"], name=op.f("fk_matches_deposit_id")),
        sa.ForeignKeyConstraint(["line_id"], ["statement_lines.id"], name=op.f("fk_matches_line_id")),
        sa.ForeignKeyConstraint(["payment_order_id"], ["payment_orders.id"], name=op.f("fk_matches_payment_order_id")),
        sa.ForeignKeyConstraint(["webhook_event_id"], ["webhook_events.id"], name=op.f("fk_matches_webhook_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_matches")),
        sa.UniqueConstraint("webhook_event_id", name=op.f("uq_matches_webhook_event_id")),
    )
    op.create_index(op.f("ix_matches_deposit_id"), "matches", ["deposit_id"], unique=False)
    op.create_index(op.f("ix_matches_line_id"), "matches", ["line_id"], unique=False)
    op.execute(CHECK_POSTINGS)
    op.execute(
        "CREATE TRIGGER postings_add_up AFTER INSERT ON postings REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION check_postings()"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER statement_lines_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, statement_id, position, "
        "account_number, currency, amount_minor, booked_on, value_on, remittance, end_to_end_id, counterparty_name, "
        "counterparty_account, bank_reference, fingerprint, occurrence ON statement_lines "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER webhook_events_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, event_id, kind, body, "
        "received_at ON webhook_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER payment_orders_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, reference, purpose, "
        "rail, payee_organisation_id, amount_minor, currency, remittance, source_kind, source_id, source_account, "
        "registration_id, proposed_by_id, proposed_by, created_at ON payment_orders "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index(op.f("ix_matches_line_id"), table_name="matches")
    op.drop_index(op.f("ix_matches_deposit_id"), table_name="matches")
    op.drop_table("matches")
    op.drop_index(
        "uq_payment_orders_source", table_name="payment_orders", postgresql_where=sa.text("state <> 'cancelled'")
    )
    op.drop_index(op.f("ix_payment_orders_registration_id"), table_name="payment_orders")
    op.drop_index("ix_payment_orders_payee_organisation_id", table_name="payment_orders")
    op.drop_table("payment_orders")
    op.drop_index(op.f("ix_statement_lines_statement_id"), table_name="statement_lines")
    op.drop_table("statement_lines")
    op.drop_index("ix_postings_account_id", table_name="postings", postgresql_include=["amount_minor", "entry_id"])
    op.drop_table("postings")
    op.drop_table("deposits")
    op.drop_table("card_payments")
    op.drop_table("bank_statements")
    op.drop_index(op.f("ix_bank_accounts_organisation_id"), table_name="bank_accounts")
    op.drop_table("bank_accounts")
    op.drop_table("webhook_events")
    op.drop_table("entries")
    op.drop_table("accounts")
    op.execute("DROP FUNCTION check_postings()")
