"""Payment notices, sub-accounts, tolerances, third-party proposals, returned orders, release alerts, money changed.

Revision: 0023_payment_notices, after 0022_deals.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023_payment_notices"
down_revision = "0022_deals"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "payment_notices", "notice_cancellations", "sub_accounts", "payment_tolerances", "payment_limits", "release_alerts",
)  # fmt: skip

FINDINGS_BEFORE = (
    "exact", "completes", "partial", "deal", "order", "overpayment", "duplicate_payment", "wrong_currency",
    "no_reference", "unknown_reference", "several_references", "registration_closed", "deal_refused",
    "payment_returned", "order_amount_differs", "order_not_sent", "zero", "refunded", "third_party_payer", "unmatched",
)  # fmt: skip
FINDINGS = (*FINDINGS_BEFORE, "surplus", "returned", "changed", "notice_void")
ORDER_STATES_BEFORE = ("proposed", "approved", "sent", "settled", "cancelled")
ORDER_STATES = (*ORDER_STATES_BEFORE, "returned")

DEAL_CHECKS_BEFORE = {
    "received_not_negative": "deposit_minor >= 0 AND received_minor >= 0",
    "received_at_most_price": "deposit_minor + received_minor <= price_minor",
    "paid_in_full": "state IN ('awaiting_payment', 'signed', 'cancelled')"
    " OR deposit_minor + received_minor = price_minor",
    "cancelled_holds_nothing": "state <> 'cancelled' OR (deposit_minor = 0 AND received_minor = 0)",
}
DEAL_CHECKS = {
    "received_not_negative": "deposit_minor >= 0 AND received_minor >= 0 AND waived_minor >= 0",
    "received_at_most_price": "deposit_minor + received_minor + waived_minor <= price_minor",
    "paid_in_full": "state IN ('awaiting_payment', 'signed', 'cancelled')"
    " OR deposit_minor + received_minor + waived_minor = price_minor",
    "cancelled_holds_nothing": "state <> 'cancelled' OR deposit_minor + received_minor + waived_minor = 0",
}
ORDER_CHECKS = {
    "two_approvers": "approved_by_id <> first_approved_by_id",
    "first_approver_is_another": "first_approved_by_id <> proposed_by_id",
    "returned_by_a_line": "(state = 'returned') = (returned_by_line_id IS NOT NULL)",
}
PURPOSES = ("deposit", "balance", "instalment")
EXCHANGE_STATES = ("proposed", "posted", "rejected")


def _words(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _enum(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _at(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _money(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _id(name: str, *, nullable: bool = False) -> sa.Column[sa.Uuid]:
    return sa.Column(name, sa.Uuid(), nullable=nullable)


def _currency(name: str = "currency") -> sa.Column[str]:
    return sa.Column(name, sa.CHAR(length=3), nullable=False)


def _table(name: str, *columns: sa.Column[object], keys: dict[str, str], checks: dict[str, str]) -> None:
    """Create a table with a UUID key, foreign keys (column: target) and named checks."""
    op.create_table(
        name,
        _id("id"),
        *columns,
        *(sa.ForeignKeyConstraint([at], [to], name=op.f(f"fk_{name}_{at}")) for at, to in keys.items()),
        *(sa.CheckConstraint(condition, name=op.f(f"ck_{name}_{check}")) for check, condition in checks.items()),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )


def _unique(table: str, *columns: str) -> None:
    op.create_unique_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_receipt_keys_currency_amount_minor", table_name="receipt_keys")
    op.drop_table("receipt_keys")
    _create_notices()
    _create_policies()
    _create_exchange()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.add_column("deals", sa.Column("waived_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.alter_column("deals", "waived_minor", server_default=None)
    for name, condition in DEAL_CHECKS.items():
        _check("deals", name, condition)
    _check("statement_lines", "finding", _words("finding", FINDINGS))
    _change_orders()
    _change_proposals()


def _create_notices() -> None:
    _table(
        "payment_notices",
        _text("reference"),
        _text("subject"),
        sa.Column("purpose", _enum("notice_purpose", PURPOSES), nullable=False),
        _id("organisation_id"),
        _id("registration_id", nullable=True),
        _id("deal_id", nullable=True),
        _id("own_account_id"),
        _money("position"),
        _currency(),
        _money("asked_minor"),
        _money("tail_minor"),
        _money("before_minor"),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        _id("replaces_id", nullable=True),
        _at("issued_at"),
        _text("issued_by"),
        keys={
            "organisation_id": "organisations.id", "registration_id": "registrations.id", "deal_id": "deals.id",
            "own_account_id": "own_accounts.id", "replaces_id": "payment_notices.id",
        },
        checks={
            "one_subject": "(registration_id IS NULL) <> (deal_id IS NULL)",
            "deposit_of_a_registration": "(purpose = 'deposit') = (registration_id IS NOT NULL)",
            "asked_above_zero": "asked_minor > 0 AND before_minor >= 0",
            "tail_is_cents": "tail_minor BETWEEN 0 AND 99",
            "position_counts_from_one": "position >= 1",
            "due_before_it_expires": "due_on <= expires_on",
        },
    )  # fmt: skip
    _unique("payment_notices", "reference")
    _unique("payment_notices", "replaces_id")
    for column in ("subject", "organisation_id", "deal_id"):
        op.create_index(op.f(f"ix_payment_notices_{column}"), "payment_notices", [column], unique=False)
    op.create_index(
        "ix_payment_notices_own_account_id", "payment_notices", ["own_account_id", "expires_on"], unique=False
    )
    _table(
        "notice_cancellations",
        _id("notice_id"),
        _text("reason"),
        _at("cancelled_at"),
        _text("cancelled_by"),
        keys={"notice_id": "payment_notices.id"},
        checks={},
    )
    _unique("notice_cancellations", "notice_id")
    _table(
        "sub_accounts",
        _text("number"),
        _text("number_key"),
        _text("reference"),
        _at("created_at"),
        _text("created_by"),
        keys={},
        checks={"number_said": "number_key <> ''"},
    )
    _unique("sub_accounts", "number_key")
    _unique("sub_accounts", "reference")


def _create_policies() -> None:
    _table(
        "payment_tolerances",
        sa.Column("purpose", _enum("notice_purpose", PURPOSES), nullable=False),
        _currency(),
        _money("under_minor"),
        _money("over_minor"),
        sa.Column("valid_from_on", sa.Date(), nullable=False),
        _at("created_at"),
        _text("created_by"),
        keys={},
        checks={
            "not_negative": "under_minor >= 0 AND over_minor >= 0",
            "none_for_deposits": "purpose <> 'deposit' OR under_minor + over_minor = 0",
        },
    )
    op.create_index(
        "ix_payment_tolerances_purpose", "payment_tolerances", ["purpose", "currency", "valid_from_on"], unique=False
    )
    _table(
        "payment_limits",
        _currency(),
        _money("two_approvals_above_minor"),
        _at("created_at"),
        _text("created_by"),
        keys={},
        checks={"limit_not_negative": "two_approvals_above_minor >= 0"},
    )
    op.create_index("ix_payment_limits_currency", "payment_limits", ["currency", "id"], unique=False)
    _table(
        "release_alerts",
        _id("registration_id"),
        _money("amount_minor"),
        _currency(),
        _at("due_at"),
        _at("raised_at"),
        keys={"registration_id": "registrations.id"},
        checks={"raised_when_late": "amount_minor > 0 AND raised_at >= due_at"},
    )
    _unique("release_alerts", "registration_id")


def _decided() -> tuple[sa.Column[object], ...]:
    return (
        _text("reason"), _id("proposed_by_id"), _text("proposed_by"), _at("proposed_at"),
        _id("decided_by_id", nullable=True), _text("decided_by", nullable=True), _at("decided_at", nullable=True),
    )  # fmt: skip


def _create_exchange() -> None:
    decided = {
        "four_eyes": "state <> 'posted' OR decided_by_id <> proposed_by_id",
        "decided_by_somebody": "(state = 'proposed') = (decided_by_id IS NULL)",
    }
    _table(
        "currency_changes",
        sa.Column("state", _enum("exchange_state", EXCHANGE_STATES), nullable=False),
        _id("sold_line_id"),
        _id("bought_line_id"),
        _money("sold_minor"),
        _currency("sold_currency"),
        _money("bought_minor"),
        _currency("bought_currency"),
        *_decided(),
        keys={"sold_line_id": "statement_lines.id", "bought_line_id": "statement_lines.id"},
        checks={"is_a_change": "sold_minor > 0 AND bought_minor > 0 AND sold_currency <> bought_currency", **decided},
    )
    _table(
        "revaluations",
        sa.Column("state", _enum("exchange_state", EXCHANGE_STATES), nullable=False),
        _currency("home"),
        sa.Column("rates", postgresql.JSONB(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        _money("gain_minor", nullable=True),
        _id("entry_id", nullable=True),
        *_decided(),
        keys={"entry_id": "entries.id"},
        checks={"posted_has_a_result": "(state = 'posted') = (gain_minor IS NOT NULL)", **decided},
    )
    op.create_index(
        "uq_revaluations_posted",
        "revaluations",
        ["home", "value_on"],
        unique=True,
        postgresql_where=sa.text("state = 'posted'"),
    )


def _order_source(condition: str) -> None:
    op.drop_index("uq_payment_orders_source", table_name="payment_orders")
    op.create_index(
        "uq_payment_orders_source",
        "payment_orders",
        ["source_kind", "source_id"],
        unique=True,
        postgresql_where=sa.text(condition),
    )


def _change_orders() -> None:
    _check("payment_orders", "payment_order_state", _words("state", ORDER_STATES))
    op.add_column("payment_orders", _id("first_approved_by_id", nullable=True))
    op.add_column("payment_orders", _text("first_approved_by", nullable=True))
    op.add_column("payment_orders", _at("returned_at", nullable=True))
    op.add_column("payment_orders", _id("returned_by_line_id", nullable=True))
    op.create_foreign_key(
        op.f("fk_payment_orders_returned_by_line_id"),
        "payment_orders",
        "statement_lines",
        ["returned_by_line_id"],
        ["id"],
    )
    _unique("payment_orders", "returned_by_line_id")
    for name, condition in ORDER_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_payment_orders_{name}"), "payment_orders", condition)
    _order_source("state NOT IN ('cancelled', 'returned')")


def _change_proposals() -> None:
    op.add_column("match_proposals", sa.Column("third_party", sa.Boolean(), nullable=False, server_default="false"))
    op.add_column("match_proposals", _id("document_id", nullable=True))
    op.add_column("match_proposals", sa.Column("reason", sa.String(), nullable=False, server_default=""))
    for column in ("third_party", "reason"):
        op.alter_column("match_proposals", column, server_default=None)
    op.create_foreign_key(
        op.f("fk_match_proposals_document_id"), "match_proposals", "stored_files", ["document_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_match_proposals_third_party_documented"),
        "match_proposals",
        "NOT third_party OR (document_id IS NOT NULL AND reason <> '')",
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for column in ("reason", "document_id", "third_party"):
        op.drop_column("match_proposals", column)
    for name in ORDER_CHECKS:
        op.drop_constraint(op.f(f"ck_payment_orders_{name}"), "payment_orders", type_="check")
    _order_source("state <> 'cancelled'")
    for column in ("returned_by_line_id", "returned_at", "first_approved_by", "first_approved_by_id"):
        op.drop_column("payment_orders", column)
    op.execute("UPDATE payment_orders SET state = 'settled' WHERE state = 'returned'")
    op.execute("UPDATE statement_lines SET finding = 'no_reference' WHERE finding = 'notice_void'")
    op.execute("UPDATE statement_lines SET finding = 'deal' WHERE finding IN ('surplus', 'returned', 'changed')")
    op.execute("UPDATE deals SET received_minor = received_minor + waived_minor, waived_minor = 0")
    _check("payment_orders", "payment_order_state", _words("state", ORDER_STATES_BEFORE))
    _check("statement_lines", "finding", _words("finding", FINDINGS_BEFORE))
    for name, condition in DEAL_CHECKS_BEFORE.items():
        _check("deals", name, condition)
    op.drop_column("deals", "waived_minor")
    for table in ("revaluations", "currency_changes", "release_alerts", "payment_limits", "payment_tolerances"):
        op.drop_table(table)
    for table in ("sub_accounts", "notice_cancellations", "payment_notices"):
        op.drop_table(table)
    _restore_receipt_keys()


def _restore_receipt_keys() -> None:
    op.create_table(
        "receipt_keys",
        _id("id"),
        _text("reference"),
        _currency(),
        _money("amount_minor", nullable=True),
        _text("sub_account", nullable=True),
        _at("created_at"),
        _text("created_by"),
        sa.CheckConstraint("sub_account <> ''", name=op.f("ck_receipt_keys_sub_account_said")),
        sa.CheckConstraint("(amount_minor IS NULL) <> (sub_account IS NULL)", name=op.f("ck_receipt_keys_one_key")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_receipt_keys_amount_above_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_keys")),
        sa.UniqueConstraint("reference", "amount_minor", name=op.f("uq_receipt_keys_reference_amount_minor")),
        sa.UniqueConstraint("sub_account", name=op.f("uq_receipt_keys_sub_account")),
    )
    op.create_index("ix_receipt_keys_currency_amount_minor", "receipt_keys", ["currency", "amount_minor"], unique=False)
    op.execute(
        "CREATE TRIGGER receipt_keys_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt_keys "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
