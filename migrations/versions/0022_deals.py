"""Deals that come to nothing: cancelled deals, default policies, forfeited deposits.

Revision: 0022_deals, after 0021_bank.
"""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022_deals"
down_revision = "0021_bank"
branch_labels = None
depends_on = None

STATES_BEFORE = ("awaiting_payment", "paid", "signed", "ready", "distributed", "settled")
STATES = (*STATES_BEFORE, "cancelled")
PAID = "state IN ({open}) OR deposit_minor + received_minor = price_minor"
PARTS = (
    "sale_costs_minor", "resale_price_minor", "costs_taken_minor", "gap_taken_minor", "seller_minor",
    "returned_minor", "claim_minor",
)  # fmt: skip

LOST = {"causes": ["buyer_defaulted"], "uses": ["sale_costs", "price_gap"], "rest": "seller", "claim": False}
"""Judicial online 2016, Art. 24; the markets without a text of their own go by it too (configurable practice)."""
REST_BACK = {**LOST, "rest": "buyer", "claim": True}
"""Offline 2020, Art. 25: the rest goes back to the buyer."""
FIRST_POLICIES = {
    "judicial_cn": LOST, "offline_cn": REST_BACK, "plain": LOST, "yindeng_cn": LOST, "debitos_eu": LOST, "dgf": LOST,
    "sealed_us": LOST,
}  # fmt: skip

ADD_POLICY = """
INSERT INTO default_policies (id, regime, version, valid_from_on, rules, created_at)
VALUES (uuidv7(), :regime, 1, DATE '2020-01-01', CAST(:rules AS jsonb), now())
"""


def _allow(states: tuple[str, ...], still_open: str) -> None:
    """Say anew which states a deal has, and in which of them it need not be paid."""
    op.drop_constraint(op.f("ck_deals_deal_state"), "deals", type_="check")
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint(op.f("ck_deals_deal_state"), "deals", f"state IN ({listed})")
    op.drop_constraint(op.f("ck_deals_paid_in_full"), "deals", type_="check")
    op.create_check_constraint(op.f("ck_deals_paid_in_full"), "deals", PAID.format(open=still_open))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("deals", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    _allow(STATES, "'awaiting_payment', 'signed', 'cancelled'")
    op.create_check_constraint(
        op.f("ck_deals_cancelled_at_a_time"), "deals", "(state = 'cancelled') = (cancelled_at IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("ck_deals_cancelled_holds_nothing"),
        "deals",
        "state <> 'cancelled' OR (deposit_minor = 0 AND received_minor = 0)",
    )
    op.create_table(
        "default_policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("valid_from_on", sa.Date(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_default_policies_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_default_policies")),
        sa.UniqueConstraint("regime", "version", name=op.f("uq_default_policies_regime_version")),
    )
    for regime, rules in FIRST_POLICIES.items():
        op.execute(sa.text(ADD_POLICY).bindparams(regime=regime, rules=json.dumps(rules)))
    _create_forfeitures()
    op.execute(
        "CREATE TRIGGER default_policies_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON default_policies "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER forfeitures_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, award_id, deal_id, "
        "registration_id, organisation_id, seller_organisation_id, policy_id, cause, price_minor, amount_minor, "
        "currency, forfeited_at ON forfeitures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _create_forfeitures() -> None:
    settled = " AND ".join(f"({part} IS NULL) = (settled_at IS NULL)" for part in PARTS)
    op.create_table(
        "forfeitures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=True),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("seller_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("forfeited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.Column(part, sa.BigInteger(), nullable=True) for part in PARTS),
        sa.CheckConstraint("amount_minor >= 0 AND price_minor > 0", name=op.f("ck_forfeitures_amounts_not_negative")),
        sa.CheckConstraint(settled, name=op.f("ck_forfeitures_settled_whole")),
        sa.CheckConstraint(
            "costs_taken_minor + gap_taken_minor + seller_minor + returned_minor = amount_minor",
            name=op.f("ck_forfeitures_uses_add_up"),
        ),
        sa.CheckConstraint(
            "least(sale_costs_minor, resale_price_minor, costs_taken_minor, gap_taken_minor, seller_minor,"
            " returned_minor, claim_minor) >= 0",
            name=op.f("ck_forfeitures_uses_not_negative"),
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_forfeitures_{column}"))
            for column, target in (
                ("award_id", "awards.id"),
                ("deal_id", "deals.id"),
                ("registration_id", "registrations.id"),
                ("organisation_id", "organisations.id"),
                ("seller_organisation_id", "organisations.id"),
                ("policy_id", "default_policies.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forfeitures")),
        sa.UniqueConstraint("award_id", name=op.f("uq_forfeitures_award_id")),
    )
    for column in ("deal_id", "registration_id", "organisation_id", "seller_organisation_id"):
        op.create_index(op.f(f"ix_forfeitures_{column}"), "forfeitures", [column], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("forfeitures")
    op.drop_table("default_policies")
    op.drop_constraint(op.f("ck_deals_cancelled_holds_nothing"), "deals", type_="check")
    op.drop_constraint(op.f("ck_deals_cancelled_at_a_time"), "deals", type_="check")
    _allow(STATES_BEFORE, "'awaiting_payment', 'signed'")
    op.drop_column("deals", "cancelled_at")
