"""Settlement: fee schedules, deals, deductions, allocations.

Revision: 0009_settlement, after 0008_money.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_settlement"
down_revision = "0008_money"
branch_labels = None
depends_on = None

APPEND_ONLY = ("fee_schedules", "deal_deductions", "allocations")
CURRENCIES = (
    "CNY", "EUR", "USD", "GBP", "CHF", "HKD", "SGD", "PLN", "CZK", "RON",
    "SEK", "DKK", "NOK", "UAH", "TRY", "JPY", "KRW", "KWD", "BHD",
)  # fmt: skip
STATES = ("awaiting_payment", "paid", "signed", "ready", "distributed", "settled")

FIRST_SCHEDULE = """
INSERT INTO fee_schedules (id, currency, version, valid_from_on, deductions, created_at)
SELECT uuidv7(), currency, 1, DATE '2020-01-01', jsonb_build_array(
    jsonb_build_object('name', 'commission', 'payee', 'operator', 'kind', 'percent', 'percent', '1.5'),
    jsonb_build_object('name', 'VAT on commission', 'payee', 'tax', 'kind', 'percent_of', 'of', 'commission',
                       'percent', '6')
), now() FROM unnest(CAST(:currencies AS text[])) AS currency
"""

ALLOCATIONS_ADD_UP = """
CREATE FUNCTION allocations_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT t.deal_id INTO wrong FROM (
        SELECT deal_id, sum(amount_minor) AS total, count(*) AS cases FROM allocations
        WHERE deal_id IN (SELECT DISTINCT deal_id FROM added) GROUP BY deal_id
    ) t LEFT JOIN deals d ON d.id = t.deal_id
    WHERE (d.net_minor, d.case_count) IS DISTINCT FROM (t.total, t.cases) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the allocations of deal % do not add up to its net proceeds', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_add_up', TABLE = 'allocations';
    END IF;
    RETURN NULL;
END $$
"""
"""Looks once at a whole statement: a deal is allocated in one statement, to all of its cases, to the minor unit."""

DEALS_ALLOCATED = """
CREATE FUNCTION deals_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT (coalesce(sum(amount_minor), 0), count(*)) FROM allocations WHERE deal_id = NEW.id)
        IS DISTINCT FROM (CAST(NEW.net_minor AS numeric), NEW.case_count) THEN
        RAISE EXCEPTION 'deal % is distributed and its allocations do not add up to its net proceeds', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deals_allocated', TABLE = 'deals';
    END IF;
    RETURN NULL;
END $$
"""
"""The other direction, at the end of the transaction: no deal is distributed without its allocations."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "fee_schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("valid_from_on", sa.Date(), nullable=False),
        sa.Column("deductions", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_fee_schedules_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_schedules")),
        sa.UniqueConstraint("currency", "version", name=op.f("uq_fee_schedules_currency_version")),
    )
    _create_deals()
    op.create_table(
        "deal_deductions",
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_deal_deductions_amount_not_negative")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_deal_deductions_deal_id")),
        sa.PrimaryKeyConstraint("deal_id", "position", name=op.f("pk_deal_deductions")),
    )
    op.create_table(
        "allocations",
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("weight >= 0", name=op.f("ck_allocations_weight_not_negative")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_allocations_amount_not_negative")),
        sa.PrimaryKeyConstraint("deal_id", "case_id", name=op.f("pk_allocations")),
    )
    op.execute(sa.text(FIRST_SCHEDULE).bindparams(currencies=list(CURRENCIES)))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER deals_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, award_id, package_id, listing_id, "
        "seller_organisation_id, buyer_organisation_id, registration_id, fee_schedule_id, reference, currency, "
        "price_minor, opened_at ON deals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(ALLOCATIONS_ADD_UP)
    op.execute(
        "CREATE TRIGGER allocations_add_up AFTER INSERT ON allocations REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION allocations_add_up()"
    )
    op.execute(DEALS_ALLOCATED)
    op.execute(
        "CREATE CONSTRAINT TRIGGER deals_allocated AFTER INSERT OR UPDATE OF state, net_minor, case_count ON deals "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state IN ('distributed', 'settled')) "
        "EXECUTE FUNCTION deals_allocated()"
    )


def _create_deals() -> None:
    op.create_table(
        "deals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("seller_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("runner_up_registration_id", sa.Uuid(), nullable=True),
        sa.Column("fee_schedule_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="deal_state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("deposit_minor", sa.BigInteger(), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=name != "opened_at")
            for name in ("opened_at", "paid_at", "seller_signed_at", "buyer_signed_at", "distributed_at", "settled_at")
        ),
        sa.Column("net_minor", sa.BigInteger(), nullable=True),
        sa.Column("case_count", sa.BigInteger(), nullable=True),
        sa.Column("payment_order_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("price_minor > 0", name=op.f("ck_deals_price_positive")),
        sa.CheckConstraint("deposit_minor >= 0 AND received_minor >= 0", name=op.f("ck_deals_received_not_negative")),
        sa.CheckConstraint(
            "deposit_minor + received_minor <= price_minor", name=op.f("ck_deals_received_at_most_price")
        ),
        sa.CheckConstraint("net_minor BETWEEN 0 AND price_minor", name=op.f("ck_deals_net_within_price")),
        sa.CheckConstraint("(net_minor IS NULL) = (case_count IS NULL)", name=op.f("ck_deals_net_with_cases")),
        sa.CheckConstraint(
            "state IN ('awaiting_payment', 'signed') OR deposit_minor + received_minor = price_minor",
            name=op.f("ck_deals_paid_in_full"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('distributed', 'settled') OR net_minor IS NOT NULL",
            name=op.f("ck_deals_distributed_has_net"),
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_deals_{column}"))
            for column, target in (
                ("award_id", "awards.id"),
                ("package_id", "packages.id"),
                ("listing_id", "listings.id"),
                ("seller_organisation_id", "organisations.id"),
                ("buyer_organisation_id", "organisations.id"),
                ("registration_id", "registrations.id"),
                ("runner_up_registration_id", "registrations.id"),
                ("fee_schedule_id", "fee_schedules.id"),
                ("payment_order_id", "payment_orders.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deals")),
        sa.UniqueConstraint("award_id", name=op.f("uq_deals_award_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_deals_reference")),
    )
    for column in ("package_id", "seller_organisation_id", "buyer_organisation_id", "state"):
        op.create_index(op.f(f"ix_deals_{column}"), "deals", [column], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("allocations")
    op.drop_table("deal_deductions")
    op.drop_table("deals")
    op.drop_table("fee_schedules")
    op.execute("DROP FUNCTION deals_allocated()")
    op.execute("DROP FUNCTION allocations_add_up()")
