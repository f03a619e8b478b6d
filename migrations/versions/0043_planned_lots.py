"""Re-listing plans of lots: one successor for each package that a listing left unsold, and the lot it sells by itself.

Revision: 0043_planned_lots, after 0042_first_bid_clock.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043_planned_lots"
down_revision = "0042_first_bid_clock"
branch_labels = None
depends_on = None

SUCCESSOR = "uq_listings_planned_successor"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("listings", sa.Column("planned_lot", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_listings_planned_lot_of_plan"), "listings", "planned_lot IS NULL OR plan_step > 0"
    )
    op.drop_index(SUCCESSOR, table_name="listings")
    op.create_index(
        SUCCESSOR,
        "listings",
        ["previous_listing_id", "package_id"],
        unique=True,
        postgresql_where=sa.text("plan_step > 0"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index(SUCCESSOR, table_name="listings")
    op.create_index(
        SUCCESSOR, "listings", ["previous_listing_id"], unique=True, postgresql_where=sa.text("plan_step > 0")
    )
    op.drop_constraint(op.f("ck_listings_planned_lot_of_plan"), "listings", type_="check")
    op.drop_column("listings", "planned_lot")
