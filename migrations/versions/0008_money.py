"""Money: ledger, statements, deposits, payment orders.

Revision: 0008_money, after 0007_auctions.
"""

from alembic import op

revision = "0008_money"
down_revision = "0007_auctions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
