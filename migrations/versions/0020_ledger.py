"""The ledger: periods, dates, snapshots, closed days.

Revision: 0020_ledger, after 0009_settlement.
"""

revision = "0020_ledger"
down_revision = "0009_settlement"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
