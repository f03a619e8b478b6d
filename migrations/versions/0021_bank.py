"""Bank statements: own accounts, proofs, matching queue.

Revision: 0021_bank, after 0020_ledger.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021_bank"
down_revision = "0020_ledger"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "own_accounts",
    "receipt_keys",
    "match_reversals",
    "match_proposals",
    "match_decisions",
    "line_assignments",
    "day_closes",
)

FINDINGS_BEFORE = (
    "exact", "completes", "partial", "deal", "order", "overpayment", "duplicate_payment", "wrong_currency",
    "no_reference", "unknown_reference", "several_references", "registration_closed", "deal_refused",
    "payment_returned", "order_amount_differs", "order_not_sent", "zero", "refunded",
)  # fmt: skip
FINDINGS = (*FINDINGS_BEFORE, "third_party_payer", "unmatched")
FORMATS_BEFORE = ("camt", "csv")
FORMATS = (*FORMATS_BEFORE, "mt940", "bai2", "ofx")

KNOWN_ACCOUNTS = """
INSERT INTO own_accounts (id, bank_name, holder, number, number_key, currency, opening_minor, numbered, csv_profile,
    four_eyes_above_minor, created_at, created_by)
SELECT DISTINCT ON (regexp_replace(upper(account_number), '[^A-Z0-9]', '', 'g'), currency)
    uuidv7(), '', '', account_number, regexp_replace(upper(account_number), '[^A-Z0-9]', '', 'g'), currency,
    coalesce(opening_minor, 0), false, '', 100000000, imported_at, 'migration'
FROM bank_statements ORDER BY regexp_replace(upper(account_number), '[^A-Z0-9]', '', 'g'), currency, id
"""
"""The accounts that statements came from before there was a list of them."""

KNOWN_HEADS = """
UPDATE bank_statements s SET own_account_id = o.id, head_minor = o.opening_minor + coalesce(
    (SELECT sum(l.amount_minor) FROM statement_lines l WHERE l.currency = o.currency
     AND regexp_replace(upper(l.account_number), '[^A-Z0-9]', '', 'g') = o.number_key), 0)
FROM own_accounts o
WHERE o.currency = s.currency AND o.number_key = regexp_replace(upper(s.account_number), '[^A-Z0-9]', '', 'g')
"""

LINE_COLUMNS = (
    "id, statement_id, position, account_number, currency, amount_minor, booked_on, value_on, remittance, "
    "end_to_end_id, counterparty_name, counterparty_account, bank_reference, fingerprint, occurrence"
)


def _allow(table: str, constraint: str, column: str, values: tuple[str, ...]) -> None:
    """Say anew which words a column takes."""
    op.drop_constraint(op.f(f"ck_{table}_{constraint}"), table, type_="check")
    words = ", ".join(f"'{value}'" for value in values)
    op.create_check_constraint(op.f(f"ck_{table}_{constraint}"), table, f"{column} IN ({words})")


def _protect_lines(columns: str) -> None:
    op.execute("DROP TRIGGER statement_lines_append_only ON statement_lines")
    op.execute(
        f"CREATE TRIGGER statement_lines_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF {columns} "
        "ON statement_lines FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "own_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bank_name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("number_key", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("numbered", sa.Boolean(), nullable=False),
        sa.Column("csv_profile", sa.String(), nullable=False),
        sa.Column("four_eyes_above_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.CheckConstraint("number_key <> ''", name=op.f("ck_own_accounts_number_said")),
        sa.CheckConstraint("four_eyes_above_minor >= 0", name=op.f("ck_own_accounts_limit_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_accounts")),
        sa.UniqueConstraint("number_key", "currency", name=op.f("uq_own_accounts_number_key_currency")),
    )
    op.create_table(
        "receipt_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("sub_account", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.CheckConstraint("sub_account <> ''", name=op.f("ck_receipt_keys_sub_account_said")),
        sa.CheckConstraint("(amount_minor IS NULL) <> (sub_account IS NULL)", name=op.f("ck_receipt_keys_one_key")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_receipt_keys_amount_above_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_keys")),
        sa.UniqueConstraint("reference", "amount_minor", name=op.f("uq_receipt_keys_reference_amount_minor")),
        sa.UniqueConstraint("sub_account", name=op.f("uq_receipt_keys_sub_account")),
    )
    op.create_index("ix_receipt_keys_currency_amount_minor", "receipt_keys", ["currency", "amount_minor"], unique=False)
    op.create_table(
        "day_closes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("own_account_id", sa.Uuid(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("bank_minor", sa.BigInteger(), nullable=False),
        sa.Column("ledger_minor", sa.BigInteger(), nullable=False),
        sa.Column("in_transit_minor", sa.BigInteger(), nullable=False),
        sa.Column("difference_minor", sa.BigInteger(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "difference_minor = 0 OR explanation <> ''", name=op.f("ck_day_closes_difference_explained")
        ),
        sa.CheckConstraint(
            "difference_minor = bank_minor - ledger_minor", name=op.f("ck_day_closes_difference_adds_up")
        ),
        sa.ForeignKeyConstraint(["own_account_id"], ["own_accounts.id"], name=op.f("fk_day_closes_own_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_closes")),
        sa.UniqueConstraint("own_account_id", "closed_on", name=op.f("uq_day_closes_own_account_id_closed_on")),
    )
    op.create_table(
        "line_assignments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("assigned_by", sa.String(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["line_id"], ["statement_lines.id"], name=op.f("fk_line_assignments_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_assignments")),
    )
    op.create_index("ix_line_assignments_line_id", "line_assignments", ["line_id", "id"], unique=False)
    op.create_table(
        "match_proposals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("parts", postgresql.JSONB(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "rung",
            sa.Enum(
                "reference",
                "reference_other_amount",
                "receipt_key",
                "known_payer",
                "similar_name",
                "several_items",
                "several_lines",
                name="rung",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_match_proposals_amount_above_zero")),
        sa.ForeignKeyConstraint(["line_id"], ["statement_lines.id"], name=op.f("fk_match_proposals_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_proposals")),
        sa.UniqueConstraint("id", "proposed_by_id", name=op.f("uq_match_proposals_id_proposed_by_id")),
    )
    op.create_index(op.f("ix_match_proposals_line_id"), "match_proposals", ["line_id"], unique=False)
    op.create_table(
        "match_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by_id", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by_id <> proposed_by_id", name=op.f("ck_match_decisions_four_eyes")),
        sa.ForeignKeyConstraint(
            ["proposal_id", "proposed_by_id"],
            ["match_proposals.id", "match_proposals.proposed_by_id"],
            name="fk_match_decisions_proposal",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_decisions")),
        sa.UniqueConstraint("proposal_id", name=op.f("uq_match_decisions_proposal_id")),
    )
    op.create_table(
        "match_reversals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reversed_by_id", sa.Uuid(), nullable=True),
        sa.Column("reversed_by", sa.String(), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_match_reversals_entry_id")),
        sa.ForeignKeyConstraint(["match_id"], ["matches.id"], name=op.f("fk_match_reversals_match_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_reversals")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_match_reversals_entry_id")),
        sa.UniqueConstraint("match_id", name=op.f("uq_match_reversals_match_id")),
    )
    op.add_column("bank_statements", sa.Column("own_account_id", sa.Uuid(), nullable=True))
    op.add_column("bank_statements", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("bank_statements", sa.Column("page", sa.BigInteger(), nullable=True))
    op.add_column("bank_statements", sa.Column("head_minor", sa.BigInteger(), nullable=True))
    op.execute(KNOWN_ACCOUNTS)
    op.execute("ALTER TABLE bank_statements DISABLE TRIGGER bank_statements_append_only")
    op.execute(KNOWN_HEADS)
    op.execute("ALTER TABLE bank_statements ENABLE TRIGGER bank_statements_append_only")
    op.alter_column("bank_statements", "own_account_id", nullable=False)
    op.alter_column("bank_statements", "head_minor", nullable=False)
    op.create_index("ix_bank_statements_own_account_id", "bank_statements", ["own_account_id", "id"], unique=False)
    op.create_foreign_key(
        op.f("fk_bank_statements_own_account_id"), "bank_statements", "own_accounts", ["own_account_id"], ["id"]
    )
    op.add_column("statement_lines", sa.Column("sub_account", sa.String(), server_default="", nullable=False))
    op.create_index("ix_statement_lines_finding", "statement_lines", ["finding", "booked_on"], unique=False)
    _allow("statement_lines", "finding", "finding", FINDINGS)
    _allow("bank_statements", "statement_format", "format", FORMATS)
    _protect_lines(f"{LINE_COLUMNS}, sub_account")
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "UPDATE statement_lines SET finding = 'no_reference' WHERE finding IN ('third_party_payer', 'unmatched')"
    )
    op.execute("ALTER TABLE bank_statements DISABLE TRIGGER bank_statements_append_only")
    op.execute("UPDATE bank_statements SET format = 'csv' WHERE format NOT IN ('camt', 'csv')")
    op.execute("ALTER TABLE bank_statements ENABLE TRIGGER bank_statements_append_only")
    _allow("statement_lines", "finding", "finding", FINDINGS_BEFORE)
    _allow("bank_statements", "statement_format", "format", FORMATS_BEFORE)
    _protect_lines(LINE_COLUMNS)
    op.drop_index("ix_statement_lines_finding", table_name="statement_lines")
    op.drop_column("statement_lines", "sub_account")
    op.drop_constraint(op.f("fk_bank_statements_own_account_id"), "bank_statements", type_="foreignkey")
    op.drop_index("ix_bank_statements_own_account_id", table_name="bank_statements")
    op.drop_column("bank_statements", "head_minor")
    op.drop_column("bank_statements", "page")
    op.drop_column("bank_statements", "number")
    op.drop_column("bank_statements", "own_account_id")
    op.drop_table("match_reversals")
    op.drop_table("match_decisions")
    op.drop_index(op.f("ix_match_proposals_line_id"), table_name="match_proposals")
    op.drop_table("match_proposals")
    op.drop_index("ix_line_assignments_line_id", table_name="line_assignments")
    op.drop_table("line_assignments")
    op.drop_table("day_closes")
    op.drop_index("ix_receipt_keys_currency_amount_minor", table_name="receipt_keys")
    op.drop_table("receipt_keys")
    op.drop_table("own_accounts")
