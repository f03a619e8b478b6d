"""The card rail: errands outside, customers, refunds, disputes, Stripe's balance and payouts, states of card payments.

Revision: 0025_stripe, after 0024_after_sale.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025_stripe"
down_revision = "0024_after_sale"
branch_labels = None
depends_on = None

FINDINGS_BEFORE = (
    "exact", "completes", "partial", "deal", "order", "overpayment", "duplicate_payment", "wrong_currency",
    "no_reference", "unknown_reference", "several_references", "registration_closed", "deal_refused",
    "payment_returned", "order_amount_differs", "order_not_sent", "zero", "refunded", "third_party_payer", "unmatched",
    "surplus", "returned", "changed", "notice_void",
)  # fmt: skip
FINDINGS = (*FINDINGS_BEFORE, "card_payout")

KNOWN_PAYMENTS = """
UPDATE card_payments p SET state = 'received', received_minor = m.amount_minor, received_at = m.matched_at
FROM matches m WHERE m.rail = 'stripe' AND m.payer_account = p.intent_id
"""
"""Card payments that were counted before payments had a state."""


def _allow_findings(words: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_statement_lines_finding"), "statement_lines", type_="check")
    listed = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(op.f("ck_statement_lines_finding"), "statement_lines", f"finding IN ({listed})")


def _protect_events(columns: str) -> None:
    op.execute("DROP TRIGGER webhook_events_append_only ON webhook_events")
    op.execute(
        f"CREATE TRIGGER webhook_events_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF {columns} "
        "ON webhook_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _allow_findings(FINDINGS)
    _create_errands()
    _change_payments()
    _create_customers_and_refunds()
    _create_disputes()
    _create_balance()
    op.add_column("webhook_events", sa.Column("object_id", sa.String(), server_default="", nullable=False))
    op.add_column("webhook_events", sa.Column("errand_kind", sa.String(), server_default="", nullable=False))
    op.add_column("webhook_events", sa.Column("turn", sa.BigInteger(), nullable=True))
    _protect_events("id, event_id, kind, body, received_at, outcome, object_id, errand_kind, turn")
    _change_matches()


def _create_errands() -> None:
    op.create_table(
        "errands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errands")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_errands_kind_subject")),
    )
    op.create_index("ix_errands_due", "errands", ["next_attempt_at"], postgresql_where=sa.text("done < wanted"))


def _change_payments() -> None:
    op.drop_constraint(op.f("uq_card_payments_registration_id"), "card_payments", type_="unique")
    op.alter_column("card_payments", "intent_id", nullable=True)
    op.add_column("card_payments", sa.Column("state", sa.String(length=40), server_default="open", nullable=False))
    op.alter_column("card_payments", "state", server_default=None)
    op.add_column("card_payments", sa.Column("charge_id", sa.String(), nullable=True))
    op.add_column("card_payments", sa.Column("received_minor", sa.BigInteger(), nullable=True))
    op.add_column("card_payments", sa.Column("note", sa.String(), server_default="", nullable=False))
    op.add_column("card_payments", sa.Column("received_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(KNOWN_PAYMENTS)
    op.create_unique_constraint(op.f("uq_card_payments_charge_id"), "card_payments", ["charge_id"])
    for name, condition in (
        ("card_payment_state", "state IN ('requested', 'open', 'received', 'cancelled', 'refused')"),
        ("intent_known", "state IN ('requested', 'refused') OR intent_id IS NOT NULL"),
        ("received_amount_known", "(state = 'received') = (received_minor IS NOT NULL)"),
    ):
        op.create_check_constraint(op.f(f"ck_card_payments_{name}"), "card_payments", condition)
    op.create_index(op.f("ix_card_payments_organisation_id"), "card_payments", ["organisation_id"])
    op.create_index("ix_card_payments_registration_id", "card_payments", ["registration_id"])
    op.create_index(
        "uq_card_payments_live",
        "card_payments",
        ["registration_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('requested', 'open')"),
    )


def _create_customers_and_refunds() -> None:
    op.create_table(
        "card_customers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_card_customers_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_customers")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_card_customers_organisation_id")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_card_customers_customer_id")),
    )
    op.create_table(
        "card_refunds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("card_payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("refund_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_card_refunds_amount_above_zero")),
        sa.ForeignKeyConstraint(["order_id"], ["payment_orders.id"], name=op.f("fk_card_refunds_order_id")),
        sa.ForeignKeyConstraint(
            ["card_payment_id"], ["card_payments.id"], name=op.f("fk_card_refunds_card_payment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_refunds")),
        sa.UniqueConstraint("order_id", name=op.f("uq_card_refunds_order_id")),
        sa.UniqueConstraint("refund_id", name=op.f("uq_card_refunds_refund_id")),
    )
    op.create_index(op.f("ix_card_refunds_card_payment_id"), "card_refunds", ["card_payment_id"])


def _create_disputes() -> None:
    op.create_table(
        "card_disputes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dispute_id", sa.String(), nullable=False),
        sa.Column("card_payment_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("deposit_minor", sa.BigInteger(), nullable=False),
        sa.Column("unapplied_minor", sa.BigInteger(), nullable=False),
        sa.Column("loss_minor", sa.BigInteger(), nullable=False),
        sa.Column("hold_entry_id", sa.Uuid(), nullable=True),
        sa.Column("lost_entry_id", sa.Uuid(), nullable=True),
        sa.Column("evidence_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'won', 'lost')", name=op.f("ck_card_disputes_card_dispute_state")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_card_disputes_amount_above_zero")),
        sa.CheckConstraint(
            "least(deposit_minor, unapplied_minor, loss_minor) >= 0", name=op.f("ck_card_disputes_parts_not_negative")
        ),
        sa.CheckConstraint(
            "deposit_minor + unapplied_minor + loss_minor ="
            " CASE WHEN hold_entry_id IS NULL THEN 0 ELSE amount_minor END",
            name=op.f("ck_card_disputes_parts_add_up"),
        ),
        sa.CheckConstraint(
            "lost_entry_id IS NULL OR hold_entry_id IS NOT NULL", name=op.f("ck_card_disputes_held_before_lost")
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_card_disputes_{column}"))
            for column, target in (
                ("card_payment_id", "card_payments.id"),
                ("hold_entry_id", "entries.id"),
                ("lost_entry_id", "entries.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_disputes")),
        sa.UniqueConstraint("dispute_id", name=op.f("uq_card_disputes_dispute_id")),
    )
    op.create_index(op.f("ix_card_disputes_card_payment_id"), "card_disputes", ["card_payment_id"])


def _create_balance() -> None:
    op.create_table(
        "stripe_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("net_minor = amount_minor - fee_minor", name=op.f("ck_stripe_lines_net_adds_up")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_lines")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_stripe_lines_transaction_id")),
    )
    op.create_index(op.f("ix_stripe_lines_happened_at"), "stripe_lines", ["happened_at"])
    op.execute(
        "CREATE TRIGGER stripe_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stripe_lines "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "card_payouts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payout_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("arrival_on", sa.Date(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=True),
        sa.Column("lines_minor", sa.BigInteger(), nullable=True),
        sa.Column("settled_by_line_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["settled_by_line_id"], ["statement_lines.id"], name=op.f("fk_card_payouts_settled_by_line_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_payouts")),
        sa.UniqueConstraint("payout_id", name=op.f("uq_card_payouts_payout_id")),
        sa.UniqueConstraint("settled_by_line_id", name=op.f("uq_card_payouts_settled_by_line_id")),
    )


def _change_matches() -> None:
    op.drop_constraint(op.f("ck_matches_one_receipt"), "matches", type_="check")
    for column, target in (("card_payment_id", "card_payments.id"), ("card_payout_id", "card_payouts.id")):
        op.add_column("matches", sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(op.f(f"fk_matches_{column}"), "matches", target.partition(".")[0], [column], ["id"])
    op.execute("ALTER TABLE matches DISABLE TRIGGER matches_append_only")
    op.execute(
        "UPDATE matches SET card_payment_id = p.id FROM card_payments p"
        " WHERE matches.rail = 'stripe' AND p.intent_id = matches.payer_account"
    )
    op.execute("ALTER TABLE matches ENABLE TRIGGER matches_append_only")
    op.drop_column("matches", "webhook_event_id")
    op.create_check_constraint(
        op.f("ck_matches_one_receipt"), "matches", "(line_id IS NULL) <> (card_payment_id IS NULL)"
    )
    op.create_unique_constraint(op.f("uq_matches_card_payment_id"), "matches", ["card_payment_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint(op.f("ck_matches_one_receipt"), "matches", type_="check")
    op.drop_column("matches", "card_payout_id")
    op.drop_column("matches", "card_payment_id")
    op.add_column("matches", sa.Column("webhook_event_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_matches_webhook_event_id"), "matches", "webhook_events", ["webhook_event_id"], ["id"]
    )
    op.create_unique_constraint(op.f("uq_matches_webhook_event_id"), "matches", ["webhook_event_id"])
    op.create_check_constraint(
        op.f("ck_matches_one_receipt"), "matches", "(line_id IS NULL) <> (webhook_event_id IS NULL)"
    )
    _protect_events("id, event_id, kind, body, received_at")
    for column in ("turn", "errand_kind", "object_id"):
        op.drop_column("webhook_events", column)
    for table in ("card_payouts", "stripe_lines", "card_disputes", "card_refunds", "card_customers", "errands"):
        op.drop_table(table)
    op.drop_index("uq_card_payments_live", table_name="card_payments")
    op.drop_index("ix_card_payments_registration_id", table_name="card_payments")
    op.drop_index(op.f("ix_card_payments_organisation_id"), table_name="card_payments")
    for name in ("card_payment_state", "intent_known", "received_amount_known"):
        op.drop_constraint(op.f(f"ck_card_payments_{name}"), "card_payments", type_="check")
    for column in ("received_at", "note", "received_minor", "charge_id", "state"):
        op.drop_column("card_payments", column)
    op.alter_column("card_payments", "intent_id", nullable=False)
    op.create_unique_constraint(op.f("uq_card_payments_registration_id"), "card_payments", ["registration_id"])
    _allow_findings(FINDINGS_BEFORE)
