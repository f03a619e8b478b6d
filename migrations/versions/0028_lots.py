"""Lots: which cases each lot of a listing has, which award holds it, and packages that were split from another.

Revision: 0028_lots, after 0027_sealed_chain.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028_lots"
down_revision = "0027_sealed_chain"
branch_labels = None
depends_on = None

LOTS_FIXED = """
CREATE FUNCTION lots_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM changed c JOIN listings l ON l.id = c.listing_id WHERE l.state <> 'draft') THEN
        RAISE EXCEPTION '% are fixed with the publication of their listing: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_fixed', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""

AWARD_LOTS_FOLLOW = """
CREATE FUNCTION award_lots_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (cardinality(NEW.lots) > 0) IS DISTINCT FROM EXISTS (SELECT FROM lots WHERE listing_id = NEW.listing_id) THEN
        RAISE EXCEPTION 'an award names lots if and only if its listing has lots'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'awards_of_lots', TABLE = 'awards';
    END IF;
    DELETE FROM award_lots WHERE award_id = NEW.id;
    IF NEW.state IN ('pending', 'protocol_confirmed', 'contracted') THEN
        INSERT INTO award_lots (auction_id, lot, listing_id, award_id)
        SELECT NEW.auction_id, lot, NEW.listing_id, NEW.id FROM unnest(NEW.lots) AS lot;
    END IF;
    RETURN NULL;
END $$
"""
"""The key of `award_lots` is what makes two awards of one lot impossible; this keeps the table true."""

ALLOCATIONS_OF_OWN_CASES = """
CREATE FUNCTION allocations_of_own_cases() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deal record;
BEGIN
    FOR deal IN
        SELECT d.id, d.package_id, a.listing_id, a.lots FROM deals d JOIN awards a ON a.id = d.award_id
        WHERE d.id IN (SELECT DISTINCT deal_id FROM added) ORDER BY d.package_id, d.id
    LOOP
        PERFORM FROM packages WHERE id = deal.package_id FOR NO KEY UPDATE;
        IF cardinality(deal.lots) > 0 AND EXISTS (
            SELECT FROM added n WHERE n.deal_id = deal.id AND NOT EXISTS (
                SELECT FROM lot_cases c
                WHERE c.listing_id = deal.listing_id AND c.case_id = n.case_id AND c.lot = ANY (deal.lots)
            )
        ) THEN
            RAISE EXCEPTION 'deal % allocates to a case that is in none of its lots', deal.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_of_own_cases', TABLE = 'allocations';
        END IF;
        IF EXISTS (
            SELECT FROM deals o WHERE o.package_id = deal.package_id AND o.id <> deal.id AND o.net_minor IS NOT NULL
        ) AND EXISTS (
            SELECT FROM deals o JOIN allocations b ON b.deal_id = o.id JOIN added n ON n.case_id = b.case_id
            WHERE o.package_id = deal.package_id AND o.id <> deal.id AND n.deal_id = deal.id
        ) THEN
            RAISE EXCEPTION 'deal % allocates to a case of another deal of its package', deal.id
                USING ERRCODE = 'unique_violation', CONSTRAINT = 'allocations_case_once', TABLE = 'allocations';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
"""No case is sold twice: two deals of one package that are distributed at once wait for each other at its row."""

LOTS_OF_BEFORE = """
INSERT INTO lots (listing_id, name, package_id, position, chosen, currency, loans, borrowers, persons,
                  principal_minor, interest_minor, other_minor, cases_hash)
SELECT l.id, t.lot ->> 'lot', l.package_id, t.position, '{}', l.currency, 0, 0, 0, 0, 0, 0, ''
FROM listings l CROSS JOIN LATERAL jsonb_array_elements(l.format_terms -> 'lots') WITH ORDINALITY AS t (lot, position)
WHERE l.format = 'package' AND l.state <> 'draft'
"""
"""Lots of before were names: they stay without cases, and a deal of theirs is not distributed."""

AWARDED_BEFORE = """
INSERT INTO award_lots (auction_id, lot, listing_id, award_id)
SELECT a.auction_id, l.name, a.listing_id, a.id
FROM awards a JOIN lots l ON l.listing_id = a.listing_id AND l.name = ANY (a.lots)
WHERE a.state IN ('pending', 'protocol_confirmed', 'contracted')
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("packages", sa.Column("origin_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_packages_origin_id"), "packages", "packages", ["origin_id"], ["id"])
    op.create_check_constraint(op.f("ck_packages_origin_is_another"), "packages", "origin_id <> id")
    op.add_column("listings", sa.Column("rest_not_for_sale", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("listings", "rest_not_for_sale", server_default=None)
    op.create_unique_constraint("uq_listings_of_package", "listings", ["id", "package_id"])
    op.create_index(
        "ix_obligors_without_name_fingerprint",
        "obligors",
        ["id"],
        unique=False,
        postgresql_where=sa.text("name_fingerprint IS NULL"),
    )
    _create_lots()
    _create_award_lots()
    op.execute(LOTS_OF_BEFORE)
    _guard()


def _create_lots() -> None:
    counts = ("loans", "borrowers", "persons", "principal_minor", "interest_minor", "other_minor")
    op.create_table(
        "lots",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("chosen", postgresql.JSONB(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("cases_hash", sa.String(), nullable=False),
        sa.CheckConstraint(f"least({', '.join(counts)}) >= 0", name=op.f("ck_lots_figures_not_negative")),
        sa.CheckConstraint(
            "position > 0 AND persons <= borrowers AND borrowers <= loans", name=op.f("ck_lots_figures_fit")
        ),
        sa.ForeignKeyConstraint(
            ["listing_id", "package_id"], ["listings.id", "listings.package_id"], name="fk_lots_of_listing"
        ),
        sa.PrimaryKeyConstraint("listing_id", "name", name=op.f("pk_lots")),
        sa.UniqueConstraint("listing_id", "name", "package_id", name="uq_lots_of_package"),
    )
    op.create_table(
        "lot_cases",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("lot", sa.String(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id", "lot", "package_id"],
            ["lots.listing_id", "lots.name", "lots.package_id"],
            name="fk_lot_cases_lot",
        ),
        sa.ForeignKeyConstraint(
            ["package_id", "case_id"],
            ["package_cases.package_id", "package_cases.case_id"],
            name="fk_lot_cases_case_of_package",
        ),
        sa.PrimaryKeyConstraint("listing_id", "case_id", name=op.f("pk_lot_cases")),
    )
    op.create_index("ix_lot_cases_listing_id_lot", "lot_cases", ["listing_id", "lot"], unique=False)


def _create_award_lots() -> None:
    op.create_table(
        "award_lots",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("lot", sa.String(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["listing_id", "lot"], ["lots.listing_id", "lots.name"], name="fk_award_lots_lot"),
        sa.ForeignKeyConstraint(["award_id"], ["awards.id"], name=op.f("fk_award_lots_award_id")),
        sa.PrimaryKeyConstraint("auction_id", "lot", name=op.f("pk_award_lots")),
    )
    op.create_index("ix_award_lots_award_id", "award_lots", ["award_id"], unique=False)


def _guard() -> None:
    op.execute(AWARDED_BEFORE)
    for function in (LOTS_FIXED, AWARD_LOTS_FOLLOW, ALLOCATIONS_OF_OWN_CASES):
        op.execute(function)
    for table in ("lots", "lot_cases"):
        for event, rows in (("INSERT", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER {table}_fixed_{event.lower()} AFTER {event} ON {table} "
                f"REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION lots_fixed()"
            )
        op.execute(
            f"CREATE TRIGGER {table}_not_changed BEFORE UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER award_lots_follow AFTER INSERT OR UPDATE OF state, lots ON awards "
        "FOR EACH ROW EXECUTE FUNCTION award_lots_follow()"
    )
    op.create_check_constraint(op.f("ck_awards_slots_of_lots"), "awards", "slot = 1 OR cardinality(lots) > 0")
    op.execute(
        "CREATE TRIGGER allocations_of_own_cases AFTER INSERT ON allocations REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION allocations_of_own_cases()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TRIGGER allocations_of_own_cases ON allocations")
    op.execute("DROP TRIGGER award_lots_follow ON awards")
    op.drop_constraint(op.f("ck_awards_slots_of_lots"), "awards", type_="check")
    for table in ("award_lots", "lot_cases", "lots"):
        op.drop_table(table)
    for function in ("allocations_of_own_cases", "award_lots_follow", "lots_fixed"):
        op.execute(f"DROP FUNCTION {function}()")
    op.drop_index("ix_obligors_without_name_fingerprint", "obligors")
    op.drop_constraint("uq_listings_of_package", "listings", type_="unique")
    op.drop_column("listings", "rest_not_for_sale")
    op.drop_constraint(op.f("fk_packages_origin_id"), "packages", type_="foreignkey")
    op.drop_constraint(op.f("ck_packages_origin_is_another"), "packages", type_="check")
    op.drop_column("packages", "origin_id")
